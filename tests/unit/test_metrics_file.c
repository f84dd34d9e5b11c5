#include "hypervisor/metrics_file.h"

#include "utils/file.h"
#include "utils/log.h"
#include "utils/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/harness.h"

#define DAY_MS  UINT64_C(86400000)
#define MAY_1ST (UINT64_C(1777593600000)) /* 2026-05-01 00:00:00 UTC */

static char directory[64];

static const char *path_of(const char *name)
{
    static char path[PATH_MAX];

    CHECK(str_format(path, sizeof(path), "%s/%s", directory, name));
    return path;
}

static void make_directory(void)
{
    (void)str_format(directory, sizeof(directory), "/tmp/vgmfXXXXXX");
    CHECK(mkdtemp(directory) != NULL);
}

static int remove_all(void)
{
    DIR *dir = opendir(directory);
    int count = 0;

    CHECK(dir != NULL);
    for (const struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
        if (entry->d_name[0] != '.')
            count += unlinkat(dirfd(dir), entry->d_name, 0) == 0;
    (void)closedir(dir);
    CHECK_EQ(rmdir(directory), 0);
    return count;
}

static struct metrics_file *new_file(const char *path, uint64_t unix_ms)
{
    struct metrics_file *file = NULL;
    struct err err;

    CHECK_OK(metrics_file_new(&file, path, unix_ms, &err), &err);
    return file;
}

static uint64_t write_text(struct metrics_file *file, const char *text, uint64_t unix_ms)
{
    return metrics_file_write(file, text, strlen(text), unix_ms);
}

static const char *content_of(const char *name)
{
    static char content[4096];

    if (file_read(path_of(name), content, sizeof(content), NULL) < 0)
        return "not there";
    return content;
}

TEST(lines_go_to_the_file_of_their_day)
{
    struct metrics_file *file;
    struct stat st;

    make_directory();
    file = new_file(path_of("gpu.log"), MAY_1ST);
    CHECK_EQ(write_text(file, "a\n", MAY_1ST), 0);
    CHECK_EQ(write_text(file, "b\n", MAY_1ST + DAY_MS - 1), 0);
    CHECK_EQ(write_text(file, "c\n", MAY_1ST + DAY_MS), 0);
    metrics_file_free(file);
    /* Another daemon goes on where the last one stopped. */
    file = new_file(path_of("gpu.log"), MAY_1ST + DAY_MS);
    CHECK_EQ(write_text(file, "d\n", MAY_1ST + DAY_MS), 0);
    metrics_file_free(file);
    CHECK_STR_EQ(content_of("gpu.log.2026-05-01"), "a\nb\n");
    CHECK_STR_EQ(content_of("gpu.log.2026-05-02"), "c\nd\n");
    CHECK_EQ(stat(path_of("gpu.log.2026-05-02"), &st), 0);
    CHECK_EQ(st.st_mode & 0777, 0644);
    CHECK_EQ(remove_all(), 2);
}

TEST(a_new_file_is_open_to_readers_whatever_the_umask_and_stays_as_somebody_made_it)
{
    struct metrics_file *file;
    struct stat st;
    mode_t mask;

    make_directory();
    mask = umask(0077);
    metrics_file_free(new_file(path_of("gpu.log"), MAY_1ST));
    CHECK_EQ(umask(mask), 0077);
    CHECK_EQ(stat(path_of("gpu.log.2026-05-01"), &st), 0);
    CHECK_EQ(st.st_mode & 0777, 0644);
    CHECK_EQ(chmod(path_of("gpu.log.2026-05-01"), 0600), 0);
    file = new_file(path_of("gpu.log"), MAY_1ST);
    metrics_file_free(file);
    CHECK_EQ(stat(path_of("gpu.log.2026-05-01"), &st), 0);
    CHECK_EQ(st.st_mode & 0777, 0600);
    CHECK_EQ(remove_all(), 1);
}

TEST(in_a_directory_the_files_are_called_metrics_log)
{
    struct metrics_file *file;

    make_directory();
    file = new_file(directory, MAY_1ST);
    CHECK_EQ(write_text(file, "a\n", MAY_1ST), 0);
    metrics_file_free(file);
    CHECK_STR_EQ(content_of("metrics.log.2026-05-01"), "a\n");
    CHECK_EQ(remove_all(), 1);
}

TEST(three_days_are_kept_and_no_other_file_is_touched)
{
    static const char *const others[] = {"gpu.log", "gpu.log.2026-04-1", "gpu.log.2026-04-01x",
                                         "other.log.2026-04-01", "gpu.log.2026x04-01"};
    struct metrics_file *file;

    make_directory();
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        CHECK_EQ(file_write(path_of(others[i]), "x", 1, NULL), 0);
    file = new_file(path_of("gpu.log"), MAY_1ST);
    for (uint64_t day = 0; day < 6; day++)
        CHECK_EQ(write_text(file, "a\n", MAY_1ST + day * DAY_MS), 0);
    metrics_file_free(file);
    CHECK_STR_EQ(content_of("gpu.log.2026-05-03"), "not there");
    CHECK_STR_EQ(content_of("gpu.log.2026-05-04"), "a\n");
    CHECK_STR_EQ(content_of("gpu.log.2026-05-06"), "a\n");
    CHECK_EQ(remove_all(), 3 + 5);
}

TEST(todays_file_stays_where_the_clock_was_ahead_before)
{
    struct metrics_file *file;

    make_directory();
    for (uint64_t day = 10; day < 14; day++)
        metrics_file_free(new_file(path_of("gpu.log"), MAY_1ST + day * DAY_MS));
    file = new_file(path_of("gpu.log"), MAY_1ST);
    CHECK_EQ(write_text(file, "a\n", MAY_1ST), 0);
    metrics_file_free(file);
    CHECK_STR_EQ(content_of("gpu.log.2026-05-01"), "a\n");
    CHECK_EQ(remove_all(), 4);
}

TEST(a_file_that_somebody_removed_is_made_again)
{
    struct metrics_file *file;

    make_directory();
    file = new_file(path_of("gpu.log"), MAY_1ST);
    CHECK_EQ(write_text(file, "a\n", MAY_1ST), 0);
    CHECK_EQ(unlink(path_of("gpu.log.2026-05-01")), 0);
    CHECK_EQ(write_text(file, "b\n", MAY_1ST), 0);
    metrics_file_free(file);
    CHECK_STR_EQ(content_of("gpu.log.2026-05-01"), "b\n");
    CHECK_EQ(remove_all(), 1);
}

/* How often a text is in what the log said. */
static int count_said(int fd, const char *text)
{
    char said[4096];
    ssize_t length = read(fd, said, sizeof(said) - 1);
    int count = 0;

    CHECK(length >= 0);
    said[length] = '\0';
    for (const char *at = said; (at = strstr(at, text)); at++)
        count++;
    return count;
}

TEST(a_full_disk_costs_whole_lines_and_is_said_once)
{
    struct rlimit before, full;
    struct metrics_file *file;
    uint64_t lost[4];
    int pipe_fds[2];

    make_directory();
    CHECK_EQ(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK), 0);
    file = new_file(path_of("gpu.log"), MAY_1ST);
    /* No file may grow beyond 8 bytes: as on a full disk, a write is cut and the next one fails. */
    CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    CHECK_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    full = (struct rlimit){.rlim_cur = 8, .rlim_max = before.rlim_max};
    log_set_fd(pipe_fds[1]);
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &full), 0);
    lost[0] = write_text(file, "one\n", MAY_1ST);
    lost[1] = write_text(file, "two\nthree\n", MAY_1ST);
    lost[2] = write_text(file, "four five\n", MAY_1ST);
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    lost[3] = write_text(file, "six\n", MAY_1ST);
    log_set_fd(-1);
    metrics_file_free(file);
    CHECK_EQ(lost[0], 0);
    CHECK_EQ(lost[1], 2);
    CHECK_EQ(lost[2], 1);
    CHECK_EQ(lost[3], 0);
    CHECK_STR_EQ(content_of("gpu.log.2026-05-01"), "one\nsix\n");
    (void)close(pipe_fds[1]);
    CHECK_EQ(count_said(pipe_fds[0], "\n"), 2);
    (void)close(pipe_fds[0]);
    CHECK_EQ(remove_all(), 1);
}

TEST(a_day_whose_file_cannot_be_opened_is_tried_again)
{
    struct metrics_file *file;

    make_directory();
    file = new_file(path_of("gpu.log"), MAY_1ST);
    CHECK_EQ(mkdir(path_of("gpu.log.2026-05-02"), 0700), 0);
    log_set_level(LOG_LEVEL_ERROR);
    CHECK_EQ(write_text(file, "a\nb\n", MAY_1ST + DAY_MS), 2);
    CHECK_EQ(rmdir(path_of("gpu.log.2026-05-02")), 0);
    CHECK_EQ(write_text(file, "c\n", MAY_1ST + DAY_MS), 0);
    log_set_level(LOG_LEVEL_WARN);
    metrics_file_free(file);
    CHECK_STR_EQ(content_of("gpu.log.2026-05-02"), "c\n");
    CHECK_EQ(remove_all(), 2);
}

TEST(what_cannot_be_opened_at_the_start_is_an_error_with_words)
{
    struct metrics_file *file = NULL;
    struct err err = {.code = 0};

    CHECK_EQ(metrics_file_new(&file, "/nowhere/at/all", MAY_1ST, &err), -ENOENT);
    CHECK(strstr(err.text, "/nowhere/at/all.2026-05-01") != NULL);
    make_directory();
    CHECK_EQ(symlink("/tmp/elsewhere", path_of("gpu.log.2026-05-01")), 0);
    CHECK_EQ(metrics_file_new(&file, path_of("gpu.log"), MAY_1ST, &err), -ELOOP);
    CHECK_EQ(remove_all(), 1);
}
