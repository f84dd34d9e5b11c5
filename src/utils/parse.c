#include "utils/parse.h"

#include "utils/str.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#define SIZE_MAX_BYTES  (UINT64_C(1) << 56)
#define SECONDS_MAX     UINT64_C(1000000000)
#define NAME_LENGTH_MAX 63

/* A decimal number as written: `whole` and the first digits of its fraction, scaled to `digits`. */
struct decimal {
    uint64_t whole, fraction;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads digits; returns what follows them, NULL where there are none or too many. */
static const char *read_whole(const char *text, uint64_t *ret_value)
{
    uint64_t value = 0;

    if (!is_digit(*text))
        return NULL;
    for (; is_digit(*text); text++) {
        uint64_t digit = (uint64_t)(*text - '0');

        if (value > (UINT64_MAX - digit) / 10)
            return NULL;
        value = value * 10 + digit;
    }
    *ret_value = value;
    return text;
}

/* `12` or `12.345` with at most `digits` decimals; NULL where it is no such thing. */
static const char *read_decimal(const char *text, int digits, struct decimal *ret_decimal)
{
    uint64_t fraction = 0;

    text = read_whole(text, &ret_decimal->whole);
    ret_decimal->fraction = 0;
    if (!text || *text != '.')
        return text;
    text++;
    if (!is_digit(*text))
        return NULL;
    for (; is_digit(*text); text++, digits--) {
        if (!digits)
            return NULL;
        fraction = fraction * 10 + (uint64_t)(*text - '0');
    }
    for (; digits; digits--)
        fraction *= 10;
    ret_decimal->fraction = fraction;
    return text;
}

int parse_u64(uint64_t *ret_value, const char *text, uint64_t min, uint64_t max, struct err *err)
{
    const char *rest;
    uint64_t value;

    rest = read_whole(text, &value);
    if (!rest || *rest)
        return err_say(err, EINVAL, "'%s' is not a whole number", text);
    if (value < min || value > max)
        return err_say(err, ERANGE, "'%s' is not between %llu and %llu", text,
                       (unsigned long long)min, (unsigned long long)max);
    *ret_value = value;
    return 0;
}

static uint64_t find_unit(const char *text)
{
    static const struct {
        const char *name;
        uint64_t bytes;
    } units[] = {
        {"", 1},
        {"B", 1},
        {"K", UINT64_C(1) << 10},
        {"KiB", UINT64_C(1) << 10},
        {"KB", UINT64_C(1000)},
        {"M", UINT64_C(1) << 20},
        {"MiB", UINT64_C(1) << 20},
        {"MB", UINT64_C(1000000)},
        {"G", UINT64_C(1) << 30},
        {"GiB", UINT64_C(1) << 30},
        {"GB", UINT64_C(1000000000)},
        {"T", UINT64_C(1) << 40},
        {"TiB", UINT64_C(1) << 40},
        {"TB", UINT64_C(1000000000000)},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(units); i++)
        if (str_equals(units[i].name, text))
            return units[i].bytes;
    return 0;
}

static int parse_card_part(struct parse_size *ret_size, const char *text, struct err *err)
{
    uint32_t milli_percent;
    int rc = parse_percent(&milli_percent, text, err);

    if (!rc)
        *ret_size = (struct parse_size){.milli_percent = milli_percent};
    return rc;
}

int parse_size(struct parse_size *ret_size, const char *text, struct err *err)
{
    struct decimal decimal;
    const char *rest = read_decimal(text, 3, &decimal);
    uint64_t unit, bytes;

    if (rest && str_equals(rest, "%"))
        return parse_card_part(ret_size, text, err);
    unit = rest ? find_unit(rest) : 0;
    if (!unit || (decimal.fraction && unit < 1000))
        return err_say(err, EINVAL, "'%s' is not a size such as '8GiB', '512MiB', '8GB' or '40%%'",
                       text);
    if (decimal.whole > SIZE_MAX_BYTES / unit)
        return err_say(err, ERANGE, "'%s' is more memory than any GPU has", text);
    bytes = decimal.whole * unit + decimal.fraction * unit / 1000;
    if (!bytes)
        return err_say(err, ERANGE, "'%s' is no memory at all", text);
    *ret_size = (struct parse_size){.bytes = bytes};
    return 0;
}

int parse_percent(uint32_t *ret_milli_percent, const char *text, struct err *err)
{
    struct decimal decimal;
    const char *rest = read_decimal(text, 3, &decimal);
    uint64_t milli;

    if (!rest || (!str_equals(rest, "") && !str_equals(rest, "%")))
        return err_say(err, EINVAL, "'%s' is not a percentage such as '30%%' or '12.5'", text);
    milli = decimal.whole > 100 ? UINT64_MAX : decimal.whole * 1000 + decimal.fraction;
    if (!milli || milli > 100000)
        return err_say(err, ERANGE, "'%s' is not above 0 and at most 100 percent", text);
    *ret_milli_percent = (uint32_t)milli;
    return 0;
}

int parse_seconds(uint64_t *ret_ns, const char *text, struct err *err)
{
    struct decimal decimal;
    const char *rest = read_decimal(text, 9, &decimal);

    if (!rest || *rest)
        return err_say(err, EINVAL, "'%s' is not a number of seconds such as '5' or '0.5'", text);
    if (decimal.whole > SECONDS_MAX)
        return err_say(err, ERANGE, "'%s' is more than %llu seconds", text,
                       (unsigned long long)SECONDS_MAX);
    *ret_ns = decimal.whole * UINT64_C(1000000000) + decimal.fraction;
    return 0;
}

static bool is_plain(char c, bool is_first)
{
    if (is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
        return true;
    return !is_first && (c == '_' || c == '.' || c == '-');
}

int parse_name(const char *text, struct err *err)
{
    size_t length = 0;

    for (; text[length]; length++)
        if (length == NAME_LENGTH_MAX || !is_plain(text[length], length == 0))
            break;
    if (!length || text[length])
        return err_say(err, EINVAL,
                       "'%s' is not a plain name: letters, digits, '_', '.', '-', a letter or "
                       "digit first, at most %d",
                       text, NAME_LENGTH_MAX);
    return 0;
}
