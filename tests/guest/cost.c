/*
 * cost - a guest that measures what calls cost it, as medians in microseconds: a launch (of a
 * kernel that does nothing, in batches that the queue holds), an allocation with its free, and
 * asking for the free memory.
 */
#include "driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BATCHES  101
#define LAUNCHES 200
#define CALLS    20

static double now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static void launch(void)
{
    driver_launch();
}

static void allocate(void)
{
    uint64_t address;

    if (driver_alloc(&address, (size_t)8 << 20) != 0)
        exit(3);
    driver_free(address);
}

static void ask(void)
{
    size_t free_bytes, total_bytes;

    driver_get_info(&free_bytes, &total_bytes);
}

/* The median over batches of what one call takes. */
static double median_us(void (*call)(void), int calls)
{
    static double times_us[BATCHES];

    call();
    driver_synchronize();
    for (int batch = 0; batch < BATCHES; batch++) {
        double started_us = now_us();

        for (int i = 0; i < calls; i++)
            call();
        times_us[batch] = (now_us() - started_us) / calls;
        driver_synchronize();
    }
    qsort(times_us, BATCHES, sizeof(times_us[0]), compare);
    return times_us[BATCHES / 2];
}

int main(void)
{
    driver_start(0);
    printf("{\"launch_us\": %.3f, ", median_us(launch, LAUNCHES));
    printf("\"alloc_us\": %.3f, ", median_us(allocate, CALLS));
    printf("\"info_us\": %.3f}\n", median_us(ask, CALLS));
    return 0;
}
