/*
 * startup - what one way of starting a program costs over another: the median times of two
 * commands, run in turn so that a busy machine slows both alike. A program has started when it says
 * its first word (on stdout), or ends without one; what is taken until its end is printed as well.
 *
 *     startup ROUNDS COMMAND... -- COMMAND...
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS_MAX 10000

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

struct times {
    uint64_t start_ns[ROUNDS_MAX], whole_ns[ROUNDS_MAX];
};

static _Noreturn void give_up(const char *command)
{
    fprintf(stderr, "startup: '%s' does not run\n", command);
    exit(1);
}

static pid_t spawn(char **command, int stdout_fd)
{
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int rc;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, stdout_fd, 1);
    rc = posix_spawnp(&pid, command[0], &actions, NULL, command, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (rc != 0)
        give_up(command[0]);
    return pid;
}

static void time_one(struct times *times, size_t round, char **command)
{
    int ends[2], status = -1;
    uint64_t begin_ns;
    char words[256];
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0)
        give_up(command[0]);
    begin_ns = now_ns();
    pid = spawn(command, ends[1]);
    close(ends[1]);
    if (read(ends[0], words, sizeof(words)) < 0)
        give_up(command[0]);
    times->start_ns[round] = now_ns() - begin_ns;
    while (read(ends[0], words, sizeof(words)) > 0)
        continue;
    if (waitpid(pid, &status, 0) != pid || status != 0)
        give_up(command[0]);
    times->whole_ns[round] = now_ns() - begin_ns;
    close(ends[0]);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* In order afterwards: the first is the best. */
static double median_us(uint64_t *times_ns, size_t count)
{
    qsort(times_ns, count, sizeof(*times_ns), compare);
    return (double)times_ns[count / 2] / 1000.0;
}

static double difference_us(const uint64_t *first_ns, const uint64_t *second_ns, size_t at)
{
    return ((double)second_ns[at] - (double)first_ns[at]) / 1000.0;
}

/* The first command ends where "--" stood; NULL where there is no second. */
static char **second_command(char **words)
{
    for (; *words; words++) {
        if (strcmp(*words, "--") == 0) {
            *words = NULL;
            return words[1] ? words + 1 : NULL;
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    static struct times first, second;
    size_t rounds = argc > 4 ? strtoul(argv[1], NULL, 10) : 0;
    char **other = argc > 4 ? second_command(argv + 3) : NULL;
    double first_us, second_us;

    if (rounds < 1 || rounds > ROUNDS_MAX || !other) {
        fprintf(stderr, "usage: startup ROUNDS COMMAND... -- COMMAND...\n");
        return 2;
    }
    for (size_t i = 0; i < rounds; i++) {
        time_one(&first, i, argv + 2);
        time_one(&second, i, other);
    }
    first_us = median_us(first.start_ns, rounds);
    second_us = median_us(second.start_ns, rounds);
    printf("{\"rounds\": %zu, \"first_us\": %.1f, \"second_us\": %.1f, \"cost_us\": %.1f, "
           "\"quartile_cost_us\": %.1f, \"best_cost_us\": %.1f, \"whole_cost_us\": %.1f}\n",
           rounds, first_us, second_us, second_us - first_us,
           difference_us(first.start_ns, second.start_ns, rounds / 4),
           difference_us(first.start_ns, second.start_ns, 0),
           median_us(second.whole_ns, rounds) - median_us(first.whole_ns, rounds));
    return 0;
}
