/*
 * late_start - a library that keeps the first `vgpu burn` with an instant to start at (the file
 * $LATE_START is made by it, so that it is one alone) until that instant is past, as a busy machine
 * might.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The word behind --start-at of a burn's own command line; NULL: there is none. */
static const char *find_instant(const char *words, size_t length)
{
    const char *at = words + strlen(words) + 1, *end = words + length;

    if (at >= end || strcmp(at, "burn") != 0)
        return NULL;
    while (at < end && strcmp(at, "--start-at") != 0)
        at += strlen(at) + 1;
    at += at < end ? strlen(at) + 1 : 0;
    return at < end ? at : NULL;
}

__attribute__((constructor)) static void begin(void)
{
    const char *marker = getenv("LATE_START"), *instant;
    char words[4096] = "";
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, words, sizeof(words) - 1);

    if (fd >= 0)
        (void)close(fd);
    instant = length > 0 ? find_instant(words, (size_t)length) : NULL;
    if (!instant || !marker)
        return;
    fd = open(marker, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0) {
        uint64_t ns = strtoull(instant, NULL, 10) + 1;
        struct timespec until = {.tv_sec = (time_t)(ns / 1000000000),
                                 .tv_nsec = (long)(ns % 1000000000)};

        (void)close(fd);
        (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    }
}
