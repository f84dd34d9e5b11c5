#include "hypervisor/config_duration.h"

#include "utils/clock.h"
#include "utils/parse.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define DURATION_MAX_NS (UINT64_C(1000000000) * NS_PER_SEC)
#define NUMBER_SIZE     32

static const struct {
    const char *name;
    uint64_t ns;
} units[] = {
    /* Those that are written, from the largest; then what else is read. */
    {"d", 86400 * NS_PER_SEC},
    {"h", 3600 * NS_PER_SEC},
    {"m", 60 * NS_PER_SEC},
    {"s", NS_PER_SEC},
    {"ms", NS_PER_MS},
    {"us", NS_PER_US},
    {"ns", 1},
    {"", NS_PER_SEC},
    {"day", 86400 * NS_PER_SEC},
    {"days", 86400 * NS_PER_SEC},
    {"hr", 3600 * NS_PER_SEC},
    {"hour", 3600 * NS_PER_SEC},
    {"hours", 3600 * NS_PER_SEC},
    {"min", 60 * NS_PER_SEC},
    {"minute", 60 * NS_PER_SEC},
    {"minutes", 60 * NS_PER_SEC},
    {"sec", NS_PER_SEC},
    {"second", NS_PER_SEC},
    {"seconds", NS_PER_SEC},
    {"msec", NS_PER_MS},
    {"usec", NS_PER_US},
};
#define WRITTEN_UNITS 7

static uint64_t find_unit(const char *text, size_t length)
{
    for (size_t i = 0; i < ARRAY_LENGTH(units); i++)
        if (strlen(units[i].name) == length && strncmp(units[i].name, text, length) == 0)
            return units[i].ns;
    return 0;
}

/* `12` or `1.5`: the whole, and its fraction in 10^-9. Returns success. */
static bool read_number(const char *text, size_t length, uint64_t *ret_whole,
                        uint64_t *ret_fraction)
{
    const char *dot = memchr(text, '.', length);
    char whole[NUMBER_SIZE], fraction[NUMBER_SIZE];

    if (!str_format(whole, sizeof(whole), "%.*s", (int)(dot ? dot - text : (ptrdiff_t)length),
                    text))
        return false;
    if (!str_format(fraction, sizeof(fraction), "0%.*s", dot ? (int)(text + length - dot) : 0, dot))
        return false;
    return parse_u64(ret_whole, whole, 0, UINT64_MAX, NULL) == 0 &&
           parse_seconds(ret_fraction, fraction, NULL) == 0;
}

/* One number with its unit; returns what follows, NULL where it is no such thing. */
static const char *read_part(const char *text, uint64_t *ret_ns)
{
    size_t digits = strspn(text, "0123456789."), length;
    uint64_t whole, fraction, unit_ns;

    if (!read_number(text, digits, &whole, &fraction))
        return NULL;
    text += digits + strspn(text + digits, " ");
    length = strcspn(text, "0123456789. ");
    unit_ns = find_unit(text, length);
    if (!unit_ns)
        return NULL;
    /* Beyond the bound it only has to stay beyond it. */
    if (whole > DURATION_MAX_NS / unit_ns) {
        *ret_ns = DURATION_MAX_NS + 1;
        return text + length;
    }
    if (unit_ns < NS_PER_SEC && fraction * unit_ns % NS_PER_SEC)
        return NULL; /* parts of a nanosecond */
    fraction =
        unit_ns < NS_PER_SEC ? fraction * unit_ns / NS_PER_SEC : fraction * (unit_ns / NS_PER_SEC);
    *ret_ns = whole * unit_ns + fraction;
    return text + length;
}

int config_duration_read(uint64_t *ret_ns, const char *text, struct err *err)
{
    const char *rest = text + strspn(text, " ");
    uint64_t total_ns = 0, part_ns;

    do {
        rest = read_part(rest, &part_ns);
        if (!rest)
            return err_say(err, EINVAL,
                           "'%s' is not a length of time such as '90s', '500ms', '24h' or '1h 30m'",
                           text);
        total_ns += part_ns;
        if (total_ns > DURATION_MAX_NS)
            return err_say(err, ERANGE, "'%s' is more than a thousand million seconds", text);
        rest += strspn(rest, " ");
    } while (*rest);
    *ret_ns = total_ns;
    return 0;
}

void config_duration_write(struct str *str, uint64_t duration_ns)
{
    size_t unit = 0;

    while (unit + 1 < WRITTEN_UNITS && duration_ns % units[unit].ns)
        unit++;
    str_add(str, "%llu%s", (unsigned long long)(duration_ns / units[unit].ns),
            duration_ns ? units[unit].name : "s");
}
