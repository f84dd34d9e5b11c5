#include "hypervisor/log_file.h"

#include "tests/harness.h"
#include "utils/file.h"
#include "utils/str.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOW_MS UINT64_C(1767323045678)

/* A folder, the log in it, and what stderr gets meanwhile. */
struct place {
    char folder[32], path[64], text[8192];
    int saved_stderr, said[2];
    struct log_file file;
};

static void place_begin(struct place *place, const struct log_file_limits *limits)
{
    struct err err = {0};

    *place = (struct place){.folder = "/tmp/vgpu-log-XXXXXX"};
    CHECK(mkdtemp(place->folder) != NULL);
    CHECK(str_format(place->path, sizeof(place->path), "%s/log", place->folder));
    CHECK_EQ(pipe2(place->said, O_CLOEXEC | O_NONBLOCK), 0);
    place->saved_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
    CHECK(dup2(place->said[1], STDERR_FILENO) >= 0);
    CHECK_OK(log_file_open(&place->file, place->path, limits, NOW_MS, &err), &err);
}

/* What stderr got since it was asked last. */
static const char *said(struct place *place)
{
    ssize_t length = read(place->said[0], place->text, sizeof(place->text) - 1);

    place->text[length < 0 ? 0 : length] = '\0';
    return place->text;
}

static void place_end(struct place *place)
{
    char path[80];

    log_file_close(&place->file);
    CHECK(dup2(place->saved_stderr, STDERR_FILENO) >= 0);
    CHECK_EQ(close(place->saved_stderr) | close(place->said[0]) | close(place->said[1]), 0);
    CHECK_EQ(chmod(place->folder, 0700), 0);
    (void)unlink(place->path);
    for (int i = 1; i < 12; i++) {
        CHECK(str_format(path, sizeof(path), "%s.%d", place->path, i));
        if (unlink(path) < 0 && errno == EISDIR)
            CHECK_EQ(rmdir(path), 0);
    }
    CHECK_EQ(rmdir(place->folder), 0);
}

static bool put(struct place *place, const char *line, uint64_t unix_ms)
{
    return log_file_write(&place->file, line, strlen(line), unix_ms);
}

/* The content of the log, or of a former one; "(none)" where there is none. */
static const char *content(struct place *place, int number)
{
    char path[80];

    CHECK(str_format(path, sizeof(path), "%s%s%.*d", place->path, number ? "." : "", number ? 1 : 0,
                     number));
    path[strlen(place->path) + (number ? 2 : 0)] = '\0';
    if (file_read(path, place->text, sizeof(place->text), NULL) < 0)
        return "(none)";
    return place->text;
}

TEST(a_file_that_would_be_too_large_is_replaced_and_so_many_are_kept)
{
    struct place place;

    place_begin(&place, &(struct log_file_limits){.size_bytes = 10, .kept = 2});
    for (int i = 0; i < 6; i++) {
        char line[8] = "line 0\n";

        line[5] = (char)('0' + i);
        CHECK(put(&place, line, NOW_MS));
    }
    CHECK_STR_EQ(content(&place, 0), "line 5\n");
    CHECK_STR_EQ(content(&place, 1), "line 4\n");
    CHECK_STR_EQ(content(&place, 2), "line 3\n");
    CHECK_STR_EQ(content(&place, 3), "(none)");
    CHECK_STR_EQ(said(&place), "");
    place_end(&place);
}

TEST(a_line_longer_than_the_limit_makes_no_empty_files)
{
    struct place place;

    place_begin(&place, &(struct log_file_limits){.size_bytes = 4, .kept = 3});
    CHECK(put(&place, "long line\n", NOW_MS));
    CHECK(put(&place, "another\n", NOW_MS));
    CHECK_STR_EQ(content(&place, 0), "another\n");
    CHECK_STR_EQ(content(&place, 1), "long line\n");
    CHECK_STR_EQ(content(&place, 2), "(none)");
    place_end(&place);
}

TEST(a_file_that_is_too_old_is_replaced_even_after_a_clock_was_set_back)
{
    struct place place;

    place_begin(&place, &(struct log_file_limits){.age_ms = 1000, .kept = 3});
    CHECK(put(&place, "a\n", NOW_MS));
    CHECK(put(&place, "b\n", NOW_MS + 999));
    CHECK_STR_EQ(content(&place, 0), "a\nb\n");
    CHECK(put(&place, "c\n", NOW_MS - 5000));
    CHECK(put(&place, "d\n", NOW_MS + 1000));
    CHECK_STR_EQ(content(&place, 0), "d\n");
    CHECK_STR_EQ(content(&place, 1), "a\nb\nc\n");
    place_end(&place);
}

TEST(after_a_restart_the_file_goes_on_with_its_length)
{
    struct place place;
    struct err err = {0};
    struct log_file_limits limits = {.size_bytes = 10, .kept = 1};

    place_begin(&place, &limits);
    CHECK(put(&place, "before\n", NOW_MS));
    log_file_close(&place.file);
    CHECK_OK(log_file_open(&place.file, place.path, &limits, NOW_MS, &err), &err);
    CHECK(put(&place, "after\n", NOW_MS));
    CHECK_STR_EQ(content(&place, 0), "after\n");
    CHECK_STR_EQ(content(&place, 1), "before\n");
    place_end(&place);
}

/* A folder at the place of FILE.1 cannot be replaced by a file, not even by root. */
TEST(where_renaming_fails_the_log_goes_on_and_says_so_once)
{
    struct place place;
    char blocked[80];

    place_begin(&place, &(struct log_file_limits){.size_bytes = 10, .kept = 1});
    CHECK(str_format(blocked, sizeof(blocked), "%s.1", place.path));
    CHECK_EQ(mkdir(blocked, 0700), 0);
    for (int i = 0; i < 20; i++)
        CHECK(put(&place, "line\n", NOW_MS));
    CHECK_EQ(strlen(content(&place, 0)), 100);
    CHECK(log_file_fault(&place.file) != NULL);
    CHECK(strstr(said(&place), "rename log file") != NULL);
    CHECK_EQ(strcspn(place.text, "\n") + 1, strlen(place.text));
    CHECK_EQ(rmdir(blocked), 0);
    for (int i = 0; i < 3; i++)
        CHECK(put(&place, "line\n", NOW_MS));
    CHECK(log_file_fault(&place.file) == NULL);
    CHECK(strlen(content(&place, 0)) <= 10);
    place_end(&place);
}

static void limit_file_size(rlim_t bytes)
{
    struct rlimit limit;

    CHECK_EQ(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

TEST(a_full_disk_costs_lines_and_never_half_of_one)
{
    struct place place;
    struct rlimit before;

    CHECK_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    place_begin(&place, &(struct log_file_limits){.kept = 1});
    limit_file_size(12);
    CHECK(put(&place, "line 1\n", NOW_MS));
    for (int i = 0; i < 5; i++) /* the first of them fits by a part */
        CHECK(!put(&place, "line 2\n", NOW_MS));
    CHECK_STR_EQ(content(&place, 0), "line 1\n");
    CHECK_EQ(place.file.lost_lines, 5);
    CHECK(log_file_fault(&place.file) != NULL);
    CHECK(strstr(said(&place), "lines are lost until it can be written") != NULL);
    CHECK_EQ(strcspn(place.text, "\n") + 1, strlen(place.text));
    limit_file_size(before.rlim_cur);
    CHECK(put(&place, "line 3\n", NOW_MS));
    CHECK_STR_EQ(content(&place, 0), "line 1\nline 3\n");
    CHECK_EQ(place.file.lost_lines, 0);
    CHECK(log_file_fault(&place.file) == NULL);
    CHECK(strstr(said(&place), "can be written again") != NULL);
    place_end(&place);
}

TEST(a_file_that_somebody_moved_is_made_anew_when_asked)
{
    struct place place;
    char moved[80];

    place_begin(&place, &(struct log_file_limits){.kept = 1});
    CHECK(str_format(moved, sizeof(moved), "%s.7", place.path));
    CHECK(put(&place, "a\n", NOW_MS));
    log_file_reopen(&place.file, NOW_MS);
    CHECK(put(&place, "b\n", NOW_MS));
    CHECK_EQ(rename(place.path, moved), 0);
    CHECK(put(&place, "c\n", NOW_MS));
    CHECK_STR_EQ(content(&place, 7), "a\nb\nc\n");
    log_file_reopen(&place.file, NOW_MS);
    CHECK(put(&place, "d\n", NOW_MS));
    CHECK_STR_EQ(content(&place, 0), "d\n");
    place_end(&place);
}

TEST(a_file_that_cannot_be_opened_is_an_error)
{
    struct log_file file = {.fd = -1};
    struct err err = {0};

    CHECK_EQ(log_file_open(&file, "/nowhere/log", &(struct log_file_limits){.kept = 1}, 0, &err),
             -ENOENT);
    CHECK(strstr(err.text, "/nowhere/log") != NULL);
}

/* Also with limits that came by a reload: a name like /dev/null is not ours to move. */
TEST(what_is_no_file_is_never_replaced)
{
    struct place place;
    struct stat status;
    char got[128];
    int reader;

    place_begin(&place, &(struct log_file_limits){.kept = 2});
    log_file_close(&place.file);
    CHECK_EQ(unlink(place.path), 0);
    CHECK_EQ(mkfifo(place.path, 0600), 0);
    reader = open(place.path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    CHECK(reader >= 0);
    CHECK_OK(
        log_file_open(&place.file, place.path, &(struct log_file_limits){.kept = 2}, NOW_MS, NULL),
        NULL);
    place.file.limits = (struct log_file_limits){.size_bytes = 10, .age_ms = 1, .kept = 2};
    for (unsigned int i = 0; i < 4; i++)
        CHECK(put(&place, "line of it\n", NOW_MS + i * 1000));
    CHECK_EQ(lstat(place.path, &status), 0);
    CHECK(S_ISFIFO(status.st_mode));
    CHECK_STR_EQ(content(&place, 1), "(none)");
    CHECK_EQ(read(reader, got, sizeof(got)), 44);
    CHECK_EQ(close(reader), 0);
    place_end(&place);
}

TEST(a_file_that_somebody_took_away_costs_no_former_one)
{
    static const char *const lines[] = {"line a\n", "line b\n", "line c\n", "line d\n"};
    struct place place;

    place_begin(&place, &(struct log_file_limits){.size_bytes = 10, .kept = 3});
    for (size_t i = 0; i < ARRAY_LENGTH(lines); i++)
        CHECK(put(&place, lines[i], NOW_MS));
    CHECK_EQ(unlink(place.path), 0);
    CHECK(put(&place, "line e\n", NOW_MS));
    CHECK(log_file_fault(&place.file) == NULL);
    CHECK_STR_EQ(content(&place, 0), "line e\n");
    CHECK_STR_EQ(content(&place, 1), "line c\n");
    CHECK_STR_EQ(content(&place, 3), "line a\n");
    CHECK_STR_EQ(said(&place), "");
    place_end(&place);
}

TEST(fewer_that_are_kept_are_fewer_after_the_next_replacement)
{
    struct place place;

    place_begin(&place, &(struct log_file_limits){.size_bytes = 10, .kept = 4});
    for (int i = 0; i < 6; i++)
        CHECK(put(&place, "a line\n", NOW_MS));
    CHECK_STR_EQ(content(&place, 4), "a line\n");
    place.file.limits.kept = 2;
    CHECK(put(&place, "a line\n", NOW_MS));
    CHECK_STR_EQ(content(&place, 2), "a line\n");
    CHECK_STR_EQ(content(&place, 3), "(none)");
    CHECK_STR_EQ(content(&place, 4), "(none)");
    place_end(&place);
}
