#include "hypervisor/rfc3339.h"

#include "utils/str.h"

#include <time.h>

#define LAST_MS    UINT64_C(253402300799999)
#define MS_PER_S   1000
#define FIRST_YEAR 1900

void rfc3339_format(char ret_text[RFC3339_SIZE], uint64_t unix_ms)
{
    uint64_t instant_ms = unix_ms < LAST_MS ? unix_ms : LAST_MS;
    time_t seconds = (time_t)(instant_ms / MS_PER_S);
    struct tm tm;

    (void)gmtime_r(&seconds, &tm); /* cannot fail within these years */
    (void)str_format(ret_text, RFC3339_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ", /* fits */
                     tm.tm_year + FIRST_YEAR, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
                     tm.tm_sec, (unsigned int)(instant_ms % MS_PER_S));
}
