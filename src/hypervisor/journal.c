#include "hypervisor/journal.h"

#include "utils/atomics.h"
#include "utils/clock.h"

#include <pthread.h>
#include <unistd.h>

static struct {
    pthread_mutex_t lock; /* of all but `highest` */
    _Atomic int highest;  /* above it no line needs the lock; relaxed: it guards no other data */
    struct log_levels levels;
    enum log_line_format format;
    bool has_file;
    struct log_file file;
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
static bool put(const struct log_line *line)
{
    char text[LOG_LINE_SIZE];
    struct str str;

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

/* Under the lock. The file that is open already is kept where it is the one that is wanted. */
static int change_file(const struct journal_options *options, struct err *err)
{
    uint64_t now_ms = clock_unix_ms();
    struct log_file file;
    int rc;

    if (journal.has_file && str_equals(journal.file.path, options->path)) {
        journal.file.limits = options->limits;
        log_file_reopen(&journal.file, now_ms);
        return 0;
    }
    if (options->path[0]) {
        rc = log_file_open(&file, options->path, &options->limits, now_ms, err);
        if (rc < 0)
            return rc;
    }
    if (journal.has_file)
        log_file_close(&journal.file);
    journal.has_file = options->path[0] != '\0';
    if (journal.has_file)
        journal.file = file;
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
    unlock();
}

bool journal_get_fault(char *ret_text, size_t size)
{
    const char *fault;

    lock();
    fault = journal.has_file ? log_file_fault(&journal.file) : NULL;
    if (fault)
        (void)str_format(ret_text, size, "%s", fault); /* cut where there is no room for more */
    unlock();
    return fault != NULL;
}
