/*
 * preload_clock - what bench_add_path preloads before and behind libadd_path.so, in two copies: the
 * constructor of the first that the loader comes to takes the time, that of the second writes to
 * standard output how long it is ago. The loader takes the last of LD_PRELOAD first.
 */
#include <stdint.h>
#include <time.h>
#include <unistd.h>

/* One for both copies: the loader binds them to the first one's. */
__attribute__((visibility("default"))) uint64_t preload_clock_ns;

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

__attribute__((constructor)) static void take_time(void)
{
    uint64_t time_ns = now_ns();

    if (preload_clock_ns) {
        time_ns -= preload_clock_ns;
        if (write(STDOUT_FILENO, &time_ns, sizeof(time_ns)) != sizeof(time_ns))
            _exit(1);
        return;
    }
    preload_clock_ns = now_ns(); /* the second reading: the first finds the clock's code cold */
}
