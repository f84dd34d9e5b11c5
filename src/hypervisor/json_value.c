#include "hypervisor/json_value.h"

#include "utils/attr.h"

#include <stdlib.h>
#include <string.h>

/* Enough for 16 cards' worth of thousandths of a percent, too few to show that 0.1 is none. */
#define REAL_PRECISION 12

json_t *json_value_count(uint64_t count)
{
    if (count == UINT64_MAX)
        return json_null();
    /* jansson's integers have a sign; what we count does not get there. */
    return json_integer(count > INT64_MAX ? INT64_MAX : (json_int_t)count);
}

json_t *json_value_thousandths(uint64_t thousandths)
{
    if (thousandths == UINT64_MAX)
        return json_null();
    return json_real((double)thousandths / 1000);
}

json_t *json_value_text(const char *text)
{
    json_t *value = json_string(text);
    CLEANUP_FREE char *copy = value ? NULL : strdup(text);

    if (value || !copy)
        return value;
    for (char *c = copy; *c; c++)
        if ((unsigned char)*c >= 0x80)
            *c = '?';
    return json_string(copy);
}

json_t *json_value_text_or_null(const char *text)
{
    return *text ? json_value_text(text) : json_null();
}

char *json_value_write(const json_t *value)
{
    return value ? json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(REAL_PRECISION)) : NULL;
}
