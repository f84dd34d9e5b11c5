/*
 * startup - what one way of starting a program costs over another: the median time of two commands,
 * run in turn so that a busy machine slows both alike.
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

#define ROUNDS_MAX 10000

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t time_one_ns(char **command, const posix_spawn_file_actions_t *actions)
{
    uint64_t started_ns = now_ns();
    int status = -1;
    pid_t pid;

    if (posix_spawnp(&pid, command[0], actions, NULL, command, environ) != 0 ||
        waitpid(pid, &status, 0) != pid || status != 0) {
        fprintf(stderr, "startup: '%s' does not run\n", command[0]);
        exit(1);
    }
    return now_ns() - started_ns;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static double median_us(uint64_t *times_ns, size_t count)
{
    qsort(times_ns, count, sizeof(*times_ns), compare);
    return (double)times_ns[count / 2] / 1000.0;
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
    static uint64_t first_ns[ROUNDS_MAX], second_ns[ROUNDS_MAX];
    size_t rounds = argc > 4 ? strtoul(argv[1], NULL, 10) : 0;
    char **second = argc > 4 ? second_command(argv + 3) : NULL;
    posix_spawn_file_actions_t actions;
    double first_us, second_us;

    if (rounds < 1 || rounds > ROUNDS_MAX || !second) {
        fprintf(stderr, "usage: startup ROUNDS COMMAND... -- COMMAND...\n");
        return 2;
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    for (size_t i = 0; i < rounds; i++) {
        first_ns[i] = time_one_ns(argv + 2, &actions);
        second_ns[i] = time_one_ns(second, &actions);
    }
    posix_spawn_file_actions_destroy(&actions);
    first_us = median_us(first_ns, rounds);
    second_us = median_us(second_ns, rounds);
    printf("{\"rounds\": %zu, \"first_us\": %.1f, \"second_us\": %.1f, \"cost_us\": %.1f}\n",
           rounds, first_us, second_us, second_us - first_us);
    return 0;
}
