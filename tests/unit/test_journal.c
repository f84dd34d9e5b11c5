#include "hypervisor/journal.h"

#include "tests/harness.h"
#include "utils/file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
    char folder[32], path[64], text[65536];
} place;

static struct journal_options begin(const char *levels, enum log_line_format format)
{
    struct journal_options options = {.format = format, .path = place.path, .limits = {.kept = 1}};

    memcpy(place.folder, "/tmp/vgpu-log-XXXXXX", sizeof("/tmp/vgpu-log-XXXXXX"));
    CHECK(mkdtemp(place.folder) != NULL);
    CHECK(str_format(place.path, sizeof(place.path), "%s/log", place.folder));
    CHECK_EQ(log_levels_parse(&options.levels, levels, NULL), 0);
    CHECK_EQ(journal_open(&options, NULL), 0);
    return options;
}

static const char *content(void)
{
    CHECK(file_read(place.path, place.text, sizeof(place.text), NULL) >= 0);
    return place.text;
}

static void end(void)
{
    journal_close();
    CHECK_EQ(unlink(place.path), 0);
    CHECK_EQ(rmdir(place.folder), 0);
}

TEST(what_any_component_logs_comes_out_in_the_journals_form)
{
    (void)begin("info", LOG_LINE_LOGFMT);
    errno = ENOTDIR;
    log_warn("tenant '%s' ended", "a");
    CHECK_EQ(errno, ENOTDIR);
    log_debug("not wanted");
    log_write(LOG_LEVEL_INFO, "elsewhere", "with a name of its own");
    CHECK(strstr(content(), " level=warn component=test_journal message=\"tenant 'a' ended\"\n"));
    CHECK(
        strstr(content(), " level=info component=elsewhere message=\"with a name of its own\"\n"));
    CHECK(!strstr(content(), "not wanted"));
    end();
}

TEST(levels_and_form_change_while_it_runs)
{
    struct journal_options options = begin("info", LOG_LINE_TEXT);

    log_debug("one");
    CHECK_EQ(log_levels_parse(&options.levels, "error,test=debug", NULL), 0);
    options.format = LOG_LINE_JSON;
    CHECK_EQ(journal_open(&options, NULL), 0);
    log_debug("two");
    log_write(LOG_LEVEL_WARN, "elsewhere", "three");
    CHECK(!strstr(content(), ": one"));
    CHECK(strstr(content(), "\"message\":\"two\"}"));
    CHECK(!strstr(content(), "three"));
    end();
}

TEST(levels_that_are_set_last_until_it_is_opened_again)
{
    struct journal_options options = begin("info", LOG_LINE_TEXT);
    struct log_levels levels;

    CHECK_EQ(log_levels_parse(&levels, "error,test=debug", NULL), 0);
    journal_set_levels(&levels);
    log_debug("one");
    log_write(LOG_LEVEL_WARN, "elsewhere", "two");
    journal_get_levels(&levels);
    CHECK_EQ(levels.standard, LOG_LEVEL_ERROR);
    CHECK_EQ(levels.count, 1);
    CHECK_EQ(journal_open(&options, NULL), 0);
    log_debug("three");
    journal_get_levels(&levels);
    CHECK_EQ(levels.standard, LOG_LEVEL_INFO);
    CHECK_EQ(levels.count, 0);
    CHECK(strstr(content(), ": one"));
    CHECK(!strstr(content(), "two"));
    CHECK(!strstr(content(), "three"));
    end();
}

TEST(a_file_that_cannot_be_opened_leaves_all_as_it_was)
{
    struct journal_options options = begin("info", LOG_LINE_TEXT), other = options;
    struct err err = {0};

    other.path = "/nowhere/log";
    other.format = LOG_LINE_JSON;
    CHECK_EQ(journal_open(&other, &err), -ENOENT);
    log_info("still here");
    CHECK(strstr(content(), " info  test_journal: still here\n"));
    end();
}

TEST(a_file_that_is_not_to_be_had_at_the_start_is_waited_for_on_stderr)
{
    struct journal_options options;
    char words[200] = "", said[400] = "";
    int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0), ends[2];

    options = begin("info", LOG_LINE_TEXT);
    end();
    CHECK_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    CHECK(dup2(ends[1], STDERR_FILENO) >= 0);
    options.is_patient = true;
    CHECK_EQ(journal_open(&options, NULL), 0); /* its folder is gone */
    log_info("on stderr");
    CHECK(read(ends[0], said, sizeof(said) - 1) > 0);
    CHECK(strstr(said, "on stderr\n") != NULL);
    CHECK(journal_get_fault(words, sizeof(words)));
    CHECK(strstr(words, "open log file") && strstr(words, "no such file"));
    options.is_patient = false; /* SIGHUP: what it has is no worse than it was */
    CHECK_EQ(journal_open(&options, NULL), 0);
    CHECK(journal_get_fault(words, sizeof(words)));
    CHECK_EQ(mkdir(place.folder, 0700), 0);
    CHECK_EQ(journal_open(&options, NULL), 0);
    CHECK(!journal_get_fault(words, sizeof(words)));
    log_info("in the file");
    CHECK(strstr(content(), "in the file\n") != NULL);
    CHECK(read(ends[0], said, sizeof(said)) < 0);
    CHECK(dup2(saved, STDERR_FILENO) >= 0);
    CHECK_EQ(close(saved) | close(ends[0]) | close(ends[1]), 0);
    end();
}

TEST(a_gap_is_told_in_the_same_form)
{
    struct rlimit before, small;
    char words[200] = "";
    struct journal_options options = begin("info", LOG_LINE_JSON);
    int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0),
        null = open("/dev/null", O_WRONLY | O_CLOEXEC);

    CHECK(dup2(null, STDERR_FILENO) >= 0);
    CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    CHECK_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 50;
    CHECK(!journal_get_fault(words, sizeof(words)));
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    log_info("lost");
    log_info("lost");
    log_info("lost");
    CHECK(journal_get_fault(words, sizeof(words)));
    CHECK(strstr(words, options.path) != NULL);
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    log_info("found");
    CHECK(!journal_get_fault(words, sizeof(words)));
    CHECK(strstr(content(), "\"component\":\"journal\",\"message\":\"3 lines were lost here\"}\n"));
    CHECK(strstr(content(), "\"message\":\"found\"}\n"));
    CHECK(!strstr(content(), "\"lost\""));
    CHECK(dup2(saved, STDERR_FILENO) >= 0);
    CHECK_EQ(close(saved) | close(null), 0);
    end();
}

static void *log_much(void *name)
{
    for (int i = 0; i < 100; i++)
        log_write(LOG_LEVEL_INFO, name, "line");
    return NULL;
}

TEST(threads_that_log_at_once_share_no_line)
{
    pthread_t threads[4];
    char names[4][8] = {"one", "two", "three", "four"};
    size_t lines = 0;

    (void)begin("info", LOG_LINE_TEXT);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, log_much, names[i]), 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    for (const char *at = content(); *at; at = strchr(at, '\n') + 1, lines++)
        CHECK(strncmp(at + strlen("2026-01-02T03:04:05.678Z"), " info  ", 7) == 0);
    CHECK_EQ(lines, 400);
    end();
}
