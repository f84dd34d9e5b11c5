/*
 * memory - a guest that asks for memory in every way.
 *
 *     memory kinds            allocates and frees in each way; after each step it prints a name and
 *                             what NVML says the process has, and waits for a line on stdin
 *     memory limit            allocates until it is refused, frees everything and allocates again
 *     memory later            takes all it gets when a line comes on stdin, and ends with the next
 *     memory race ROUNDS SEED LIMIT_BYTES FILE   allocates and frees at random, watching what all
 *                             have, once FILE is there
 *     memory hold BYTES       has that much until it is ended
 *     memory kill PID         kills the process and prints after how many ms its memory was free
 *     memory start            makes a context and ends
 */
#include "driver.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MIB           ((size_t)1 << 20)
#define RACE_KEPT     4
#define BLOCKS_MAX    65536
#define KILL_LIMIT_MS 5000

static void must(int result, const char *what)
{
    if (result != 0) {
        fprintf(stderr, "guest: %s: %d\n", what, result);
        exit(3);
    }
}

static void step(const char *name)
{
    char line[80];

    printf("%s %llu\n", name, (unsigned long long)driver_used_bytes(getpid()));
    fflush(stdout);
    if (!fgets(line, sizeof(line), stdin))
        exit(1);
}

static void plain_kinds(void)
{
    uint64_t addresses[3];

    must(driver_alloc(&addresses[0], 1), "alloc");
    step("one-byte");
    must(driver_alloc(&addresses[1], 3 * MIB), "alloc");
    step("3-MiB");
    must(driver_alloc(&addresses[2], 100 * MIB), "alloc");
    step("100-MiB");
    for (int i = 0; i < 3; i++)
        driver_free(addresses[i]);
    step("plain-freed");
}

static void other_kinds(void)
{
    struct driver_pitch pitch;
    uint64_t pooled, physical;
    void *array;

    must(driver_alloc_pitch(&pitch, 1000, 30000), "pitch");
    step("pitch");
    must(driver_alloc_async(&pooled, 20 * MIB), "async");
    step("pool");
    must(driver_create_array(&array, 2048, 2048), "array");
    step("array");
    must(driver_create(&physical, 64 * MIB), "create");
    step("physical");
    driver_free(pitch.address);
    driver_free_async(pooled);
    driver_destroy_array(array);
    driver_release(physical);
    step("freed");
}

static int run_kinds(void)
{
    step("context");
    plain_kinds();
    other_kinds();
    return 0;
}

/* Fills the GPU with blocks and returns their number; the refusal has to be the driver's own. */
static size_t fill(uint64_t *blocks, size_t block_bytes)
{
    size_t count = 0;
    int result = 0;

    while (count < BLOCKS_MAX && (result = driver_alloc(&blocks[count], block_bytes)) == 0)
        count++;
    if (result != CUDA_OUT_OF_MEMORY)
        must(result ? result : -1, "the refusal");
    return count;
}

static int run_limit(void)
{
    static uint64_t blocks[BLOCKS_MAX];
    size_t free_bytes, total_bytes, first, second;

    driver_get_info(&free_bytes, &total_bytes);
    first = fill(blocks, 16 * MIB);
    printf("{\"total_bytes\": %zu, \"free_bytes\": %zu, \"used_bytes\": %llu, ", total_bytes,
           free_bytes, (unsigned long long)driver_used_bytes(getpid()));
    for (size_t i = 0; i < first; i++)
        driver_free(blocks[i]);
    second = fill(blocks, 16 * MIB);
    printf("\"blocks\": %zu, \"blocks_again\": %zu}\n", first, second);
    return 0;
}

/* Says that it is there, and waits until everybody is: a context needs memory as well. */
static void wait_for_all(const char *go_path)
{
    const struct timespec moment = {.tv_nsec = 1000000};

    fputs("ready\n", stderr);
    while (access(go_path, F_OK) < 0)
        nanosleep(&moment, NULL);
}

static int run_race(unsigned long rounds, unsigned int seed, uint64_t limit_bytes)
{
    uint64_t blocks[RACE_KEPT] = {0}, most_bytes = 0;
    unsigned long granted = 0, refused = 0, over = 0;

    for (unsigned long i = 0; i < rounds; i++) {
        uint64_t *block = &blocks[i % RACE_KEPT];
        uint64_t together_bytes;
        int result;

        if (*block)
            driver_free(*block);
        *block = 0;
        seed = seed * 1103515245u + 12345u;
        result = driver_alloc(block, (size_t)(seed >> 16) * 2048 + 1);
        granted += result == 0;
        refused += result == CUDA_OUT_OF_MEMORY;
        if (result != 0 && result != CUDA_OUT_OF_MEMORY)
            must(result, "alloc");
        together_bytes = driver_used_bytes(0);
        over += together_bytes > limit_bytes;
        most_bytes = together_bytes > most_bytes ? together_bytes : most_bytes;
    }
    printf("{\"granted\": %lu, \"refused\": %lu, \"over\": %lu, \"most_bytes\": %llu}\n", granted,
           refused, over, (unsigned long long)most_bytes);
    return 0;
}

static _Noreturn void run_hold(size_t bytes)
{
    uint64_t address;

    must(driver_alloc(&address, bytes), "alloc");
    puts("ready");
    fflush(stdout);
    for (;;)
        pause();
}

/* Takes all it gets when a line comes on stdin, and stays. */
static int run_later(void)
{
    static uint64_t blocks[BLOCKS_MAX];
    size_t total_bytes, free_bytes, count;

    puts("ready");
    fflush(stdout);
    (void)getchar();
    driver_get_info(&free_bytes, &total_bytes);
    count = fill(blocks, 16 * MIB);
    printf("{\"total_bytes\": %zu, \"blocks\": %zu}\n", total_bytes, count);
    fflush(stdout);
    return getchar() == EOF ? 0 : 1;
}

static double now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int run_kill(pid_t pid)
{
    /* Who spins takes the core that dying needs. */
    const struct timespec pause = {.tv_nsec = 1000000};
    double started_ms;

    if (driver_used_bytes(pid) == 0) {
        fprintf(stderr, "guest: process %d has no memory\n", (int)pid);
        return 1;
    }
    started_ms = now_ms();
    if (kill(pid, SIGKILL) < 0)
        return 1;
    while (driver_used_bytes(pid) > 0 && now_ms() - started_ms < KILL_LIMIT_MS)
        (void)nanosleep(&pause, NULL);
    printf("%.1f\n", now_ms() - started_ms);
    return 0;
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    unsigned long long numbers[3] = {0};

    for (int i = 0; i < 3 && i + 2 < argc; i++)
        numbers[i] = strtoull(argv[i + 2], NULL, 10);
    driver_start(0);
    if (strcmp(mode, "kinds") == 0)
        return run_kinds();
    if (strcmp(mode, "limit") == 0)
        return run_limit();
    if (strcmp(mode, "later") == 0)
        return run_later();
    if (strcmp(mode, "race") == 0 && argc > 5)
        wait_for_all(argv[5]);
    if (strcmp(mode, "race") == 0)
        return run_race(numbers[0], (unsigned int)numbers[1], numbers[2]);
    if (strcmp(mode, "hold") == 0)
        run_hold(numbers[0]);
    if (strcmp(mode, "kill") == 0)
        return run_kill((pid_t)numbers[0]);
    if (strcmp(mode, "start") == 0)
        return puts("ready") < 0;
    fprintf(stderr, "usage: memory kinds|limit|later|race|hold|kill|start [NUMBER...]\n");
    return 2;
}
