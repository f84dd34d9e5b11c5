#include "hypervisor/metrics_writer.h"

#include "hypervisor/metrics_file.h"
#include "utils/clock.h"
#include "utils/file.h"
#include "utils/log.h"
#include "utils/str.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/harness.h"

static struct metrics_writer *new_writer(const char *path)
{
    struct metrics_writer *writer = NULL;
    struct metrics_file *file = NULL;
    struct err err;

    CHECK_OK(metrics_file_new(&file, path, clock_unix_ms(), &err), &err);
    CHECK_OK(metrics_writer_new(&writer, file, &err), &err);
    return writer;
}

static void *add_thousand(void *writer)
{
    for (int i = 0; i < 1000; i++)
        metrics_writer_add(writer, "line\n", 5);
    return NULL;
}

/* The bytes of all files in the directory, which are removed. */
static size_t take_bytes(const char *directory)
{
    DIR *dir = opendir(directory);
    size_t bytes = 0;

    CHECK(dir != NULL);
    for (const struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        static char content[65536];
        char path[PATH_MAX];
        ssize_t length;

        if (entry->d_name[0] == '.')
            continue;
        CHECK(str_format(path, sizeof(path), "%s/%s", directory, entry->d_name));
        length = file_read(path, content, sizeof(content), NULL);
        CHECK(length >= 0);
        CHECK_EQ(unlink(path), 0);
        bytes += (size_t)length;
    }
    (void)closedir(dir);
    CHECK_EQ(rmdir(directory), 0);
    return bytes;
}

TEST(what_several_threads_hand_over_is_all_written_before_the_end)
{
    char directory[] = "/tmp/vgmwXXXXXX";
    struct metrics_writer *writer;
    pthread_t threads[3];

    CHECK(mkdtemp(directory) != NULL);
    writer = new_writer(directory);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, add_thousand, writer), 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_EQ(metrics_writer_lost(writer), 0);
    metrics_writer_free(writer);
    CHECK_EQ(take_bytes(directory), 3000 * 5);
}

TEST(a_disk_that_does_not_answer_costs_lines_and_not_the_caller)
{
    enum { LINE = 1 << 16, LINES = 3 * (METRICS_WRITER_PENDING_MAX / LINE) };
    static char line[LINE];
    struct metrics_writer *writer;
    int pipe_fds[2], output = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
    uint64_t lost;

    memset(line, 'x', sizeof(line) - 1);
    line[LINE - 1] = '\n';
    /* A pipe that nobody reads, in the place of standard output. */
    CHECK_EQ(pipe2(pipe_fds, O_CLOEXEC), 0);
    (void)fflush(stdout);
    CHECK(dup2(pipe_fds[1], STDOUT_FILENO) >= 0);
    log_set_level(LOG_LEVEL_ERROR); /* its thread warns */
    writer = new_writer("-");
    for (int i = 0; i < LINES; i++)
        metrics_writer_add(writer, line, sizeof(line));
    lost = metrics_writer_lost(writer);
    /* It fails from now on, instead of waiting. */
    (void)close(pipe_fds[0]);
    metrics_writer_free(writer);
    log_set_level(LOG_LEVEL_WARN);
    CHECK(dup2(output, STDOUT_FILENO) >= 0);
    (void)close(output);
    (void)close(pipe_fds[1]);
    CHECK(lost > 0);
    CHECK(lost < LINES);
}

TEST(no_writer_is_fine_to_free)
{
    metrics_writer_free(NULL);
}
