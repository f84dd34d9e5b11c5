/*
 * bench_add_path - how long libadd_path.so's constructor takes by the clock: the median over
 * processes that the loader starts with it, each with all six variables of two elements. Two more
 * libraries take the time, one constructor before it and one behind (preload_clock.c).
 *
 *     bench_add_path [PROCESSES]
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES     200
#define PROCESSES_MAX 10000

static uint64_t start_one(void)
{
    uint64_t took_ns = 0;
    int ends[2], status = -1;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0 || (pid = fork()) < 0)
        return 0;
    if (pid == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)execl("/bin/true", "true", (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    if (read(ends[0], &took_ns, sizeof(took_ns)) != sizeof(took_ns))
        took_ns = 0;
    close(ends[0]);
    return waitpid(pid, &status, 0) == pid && status == 0 ? took_ns : 0;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void set_variables(void)
{
    static const char *const variables[][2] = {
        {"TF_PATH", "/opt/a:/opt/b"},
        {"TF_PREPEND_PATH", "/opt/c:/usr/bin"},
        {"LD_PRELOAD", PRELOADS}, /* of the build */
        {"TF_LD_PRELOAD", "/opt/x.so:/opt/y.so"},
        {"TF_PREPEND_LD_PRELOAD", "/opt/z.so /opt/y.so"},
        {"TF_LD_LIBRARY_PATH", "/opt/lib:/opt/lib64"},
        {"TF_PREPEND_LD_LIBRARY_PATH", "/opt/first:/opt/lib"},
    };

    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
        setenv(variables[i][0], variables[i][1], 1);
}

int main(int argc, char **argv)
{
    static uint64_t took_ns[PROCESSES_MAX];
    size_t processes = argc > 1 ? strtoul(argv[1], NULL, 10) : PROCESSES;

    if (processes < 1 || processes > PROCESSES_MAX) {
        fprintf(stderr, "usage: bench_add_path [PROCESSES]\n");
        return 2;
    }
    set_variables();
    for (size_t i = 0; i < processes; i++) {
        took_ns[i] = start_one();
        if (!took_ns[i]) {
            fprintf(stderr, "bench_add_path: /bin/true does not run with its libraries\n");
            return 1;
        }
    }
    qsort(took_ns, processes, sizeof(took_ns[0]), compare);
    printf("{\"processes\": %zu, \"median_us\": %.2f, \"p90_us\": %.2f}\n", processes,
           (double)took_ns[processes / 2] / 1000.0, (double)took_ns[processes * 9 / 10] / 1000.0);
    return 0;
}
