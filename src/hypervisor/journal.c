#include "hypervisor/journal.h"

#include "utils/atomics.h"
#include "utils/clock.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#define RETRY_NS (10 * NS_PER_SEC)

/* A file that could not be opened. */
struct waiting {
    uint64_t retry_ns; /* CLOCK_MONOTONIC; 0: there is none */
    char path[PATH_MAX - 8], fault[200];
    struct log_file_limits limits;
};

static struct {
    pthread_mutex_t lock; /* of all but `highest` */
    _Atomic int highest;  /* above it no line needs the lock; relaxed: it guards no other data */
    struct log_levels levels;
    enum log_line_format format;
    bool has_file;
    struct log_file file;
    struct waiting waiting;
} journal = {.lock = PTHREAD_MUTEX_INITIALIZER,
             .highest = LOG_LEVEL_DEBUG,
             .levels = {.standard = LOG_LEVEL_INFO}};

static void lock(void)
{
    (void)pthread_mutex_lock(&journal.lock); /* fails for misuse only */
}

static void unlock(void)
{
    (void)pthread_mutex_unlock(&journal.lock);
}

static bool wants(enum log_level level, const char *source)
{
    bool is_wanted;

    if ((int)level > load_relaxed(&journal.highest))
        return false;
    lock();
    is_wanted = log_levels_want(&journal.levels, level, source);
    unlock();
    return is_wanted;
}

/* Under the lock. */
static void retry_where_due(void)
{
    struct waiting *waiting = &journal.waiting;
    uint64_t now_ns = waiting->retry_ns ? clock_now_ns() : 0;

    if (!waiting->retry_ns || now_ns < waiting->retry_ns)
        return;
    waiting->retry_ns = now_ns + RETRY_NS;
    if (log_file_open(&journal.file, waiting->path, &waiting->limits, clock_unix_ms(), NULL) < 0)
        return; /* the fault is told already */
    journal.has_file = true;
    waiting->retry_ns = 0;
}

/* Under the lock. */
static bool put(const struct log_line *line)
{
    char text[LOG_LINE_SIZE];
    struct str str;

    retry_where_due();
    str_init(&str, text, sizeof(text));
    log_line_add(&str, journal.format, line);
    if (journal.has_file)
        return log_file_write(&journal.file, text, str.length, line->unix_ms);
    return write(STDERR_FILENO, text, str.length) == (ssize_t)str.length;
}

/* After a loss the first line tells of it; where that cannot be written, nor can another. */
static bool put_gap(uint64_t unix_ms)
{
    char words[64];

    if (!journal.has_file || !journal.file.lost_lines)
        return true;
    (void)str_format(words, sizeof(words), "%llu lines were lost here",
                     (unsigned long long)journal.file.lost_lines);
    return put(&(struct log_line){unix_ms, LOG_LEVEL_WARN, "journal", words});
}

static void write_message(enum log_level level, const char *source, const char *message)
{
    struct log_line line = {clock_unix_ms(), level, source, message};

    lock();
    if (put_gap(line.unix_ms))
        (void)put(&line); /* the file counts what it loses; stderr has nobody to tell */
    unlock();
}

/* Under the lock. */
static void change_levels(const struct log_levels *levels)
{
    journal.levels = *levels;
    store_relaxed(&journal.highest, log_levels_highest(levels));
}

static const struct log_sink sink = {.wants = wants, .write = write_message};

/* Under the lock. */
static void wait_for_file(const struct journal_options *options, const struct err *reason)
{
    struct waiting *waiting = &journal.waiting;

    waiting->retry_ns = clock_now_ns() + RETRY_NS;
    waiting->limits = options->limits;
    (void)str_format(waiting->path, sizeof(waiting->path), "%s", options->path); /* was opened */
    (void)str_format(waiting->fault, sizeof(waiting->fault), "%s; lines go to stderr until then",
                     reason->text); /* cut at worst */
}

/* Under the lock. The file that is open already is kept where it is the one that is wanted. */
static int change_file(const struct journal_options *options, struct err *err)
{
    uint64_t now_ms = clock_unix_ms();
    bool is_patient = options->is_patient ||
                      (journal.waiting.retry_ns && str_equals(journal.waiting.path, options->path));
    struct log_file file;
    struct err reason;
    int rc;

    if (journal.has_file && str_equals(journal.file.path, options->path)) {
        journal.file.limits = options->limits;
        log_file_reopen(&journal.file, now_ms);
        return 0;
    }
    rc = options->path[0] ? log_file_open(&file, options->path, &options->limits, now_ms, &reason)
                          : 0;
    if (rc < 0 && (!is_patient || rc == -ENAMETOOLONG))
        return err_say(err, reason.code, "%s", reason.text);
    if (journal.has_file)
        log_file_close(&journal.file);
    journal.has_file = options->path[0] && !rc;
    journal.waiting.retry_ns = 0;
    if (journal.has_file)
        journal.file = file;
    else if (rc < 0)
        wait_for_file(options, &reason);
    return 0;
}

int journal_open(const struct journal_options *options, struct err *err)
{
    int rc;

    lock();
    rc = change_file(options, err);
    if (!rc) {
        change_levels(&options->levels);
        journal.format = options->format;
    }
    unlock();
    if (!rc)
        log_set_sink(&sink);
    return rc;
}

void journal_set_levels(const struct log_levels *levels)
{
    lock();
    change_levels(levels);
    unlock();
}

void journal_get_levels(struct log_levels *ret_levels)
{
    lock();
    *ret_levels = journal.levels;
    unlock();
}

void journal_close(void)
{
    log_set_sink(NULL);
    lock();
    if (journal.has_file)
        log_file_close(&journal.file);
    journal.has_file = false;
    journal.waiting.retry_ns = 0;
    unlock();
}

bool journal_get_fault(char *ret_text, size_t size)
{
    const char *fault;

    lock();
    retry_where_due();
    fault = journal.has_file ? log_file_fault(&journal.file) : NULL;
    if (journal.waiting.retry_ns)
        fault = journal.waiting.fault;
    if (fault)
        (void)str_format(ret_text, size, "%s", fault); /* cut where there is no room for more */
    unlock();
    return fault != NULL;
}
