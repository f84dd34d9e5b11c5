/*
 * startup - what preloading a library costs a program that never touches the GPU: the median time of
 * fork, exec and wait of a command, with and without LD_PRELOAD, taken in turn so that a busy machine
 * slows both alike.
 *
 *     startup LIBRARY [ROUNDS [COMMAND]]
 */
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

static uint64_t time_one_ns(char *command, char **environment)
{
    char *arguments[] = {command, NULL};
    uint64_t started_ns = now_ns();
    int status = -1;
    pid_t pid;

    if (posix_spawn(&pid, command, NULL, NULL, arguments, environment) != 0 ||
        waitpid(pid, &status, 0) != pid || status != 0) {
        fprintf(stderr, "startup: '%s' does not run\n", command);
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

int main(int argc, char **argv)
{
    static uint64_t plain_ns[ROUNDS_MAX], preloaded_ns[ROUNDS_MAX];
    char truth[] = "/bin/true", path[] = "PATH=/usr/bin:/bin", preload[4096] = "LD_PRELOAD=";
    char *command = argc > 3 ? argv[3] : truth;
    char *plain[] = {path, NULL};
    char *preloaded[] = {path, preload, NULL};
    size_t rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 200;
    double base_us, with_us;

    if (argc < 2 || rounds < 1 || rounds > ROUNDS_MAX || strlen(argv[1]) > sizeof(preload) - 12) {
        fprintf(stderr, "usage: startup LIBRARY [ROUNDS [COMMAND]]\n");
        return 2;
    }
    memcpy(preload + 11, argv[1], strlen(argv[1]) + 1);
    for (size_t i = 0; i < rounds; i++) {
        plain_ns[i] = time_one_ns(command, plain);
        preloaded_ns[i] = time_one_ns(command, preloaded);
    }
    base_us = median_us(plain_ns, rounds);
    with_us = median_us(preloaded_ns, rounds);
    printf("{\"rounds\": %zu, \"plain_us\": %.1f, \"preloaded_us\": %.1f, \"cost_us\": %.1f}\n", rounds,
           base_us, with_us, with_us - base_us);
    return 0;
}
