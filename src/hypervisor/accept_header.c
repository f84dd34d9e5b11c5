#include "hypervisor/accept_header.h"

#include "utils/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

/* A part of the header, not NUL-terminated. */
struct slice {
    const char *text;
    size_t length;
};

struct range {
    struct slice type, subtype, version; /* version.text NULL: none given */
    uint32_t quality_milli;
};

static bool is_token_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool equals(struct slice slice, const char *text)
{
    return strlen(text) == slice.length && strncasecmp(slice.text, text, slice.length) == 0;
}

static void skip_blanks(const char **at)
{
    *at += strspn(*at, " \t");
}

static bool take_char(const char **at, char wanted)
{
    if (**at != wanted)
        return false;
    ++*at;
    return true;
}

static bool take_token(const char **at, struct slice *ret_token)
{
    const char *begin = *at;

    while (is_token_char(**at))
        ++*at;
    *ret_token = (struct slice){begin, (size_t)(*at - begin)};
    return *at > begin;
}

/* What is between the quotes, as it stands there: nobody escapes what is looked at here. */
static bool take_quoted(const char **at, struct slice *ret_text)
{
    const char *begin = *at + 1, *end = begin;

    while (*end && *end != '"')
        end += end[0] == '\\' && end[1] ? 2 : 1;
    if (!*end)
        return false;
    *ret_text = (struct slice){begin, (size_t)(end - begin)};
    *at = end + 1;
    return true;
}

/* `0`, `0.5`, `1.000`: at most three decimals, at most 1. */
static bool read_quality(struct slice text, uint32_t *ret_milli)
{
    uint32_t milli = 0, unit = 1000;

    if (!text.length || text.length > 5 || (text.length > 1 && text.text[1] != '.'))
        return false;
    for (size_t i = 0; i < text.length; i++) {
        if (i == 1)
            continue;
        if (text.text[i] < '0' || text.text[i] > '9')
            return false;
        milli += (uint32_t)(text.text[i] - '0') * unit;
        unit /= 10;
    }
    if (milli > 1000)
        return false;
    *ret_milli = milli;
    return true;
}

/* `;name=value`, of which q and version are kept. */
static bool take_parameter(const char **at, struct range *range)
{
    struct slice name, value;

    skip_blanks(at);
    /* An empty one is allowed. */
    if (**at == ';' || **at == ',' || !**at)
        return true;
    if (!take_token(at, &name) || !take_char(at, '='))
        return false;
    if (**at == '"' ? !take_quoted(at, &value) : !take_token(at, &value))
        return false;
    if (equals(name, "q"))
        return read_quality(value, &range->quality_milli);
    if (equals(name, "version"))
        range->version = value;
    return true;
}

/* A whole range with its parameters, up to the comma after it. */
static bool take_range(const char **at, struct range *ret_range)
{
    struct range range = {.quality_milli = 1000};

    skip_blanks(at);
    if (!take_token(at, &range.type) || !take_char(at, '/') || !take_token(at, &range.subtype))
        return false;
    for (skip_blanks(at); take_char(at, ';'); skip_blanks(at))
        if (!take_parameter(at, &range))
            return false;
    if (**at && **at != ',')
        return false;
    *ret_range = range;
    return true;
}

/* Past what cannot be understood; a comma between quotes is none. */
static void skip_range(const char **at)
{
    struct slice text;

    while (**at && **at != ',')
        if (**at != '"' || !take_quoted(at, &text))
            ++*at;
}

static enum accept_header_closeness closeness_of(const struct range *range,
                                                 const struct accept_header_media *media)
{
    if (range->version.text && (!media->version || !equals(range->version, media->version)))
        return ACCEPT_HEADER_NOTHING;
    if (equals(range->type, "*"))
        return equals(range->subtype, "*") ? ACCEPT_HEADER_ANYTHING : ACCEPT_HEADER_NOTHING;
    if (!equals(range->type, media->type))
        return ACCEPT_HEADER_NOTHING;
    if (equals(range->subtype, "*"))
        return ACCEPT_HEADER_TYPE;
    if (!equals(range->subtype, media->subtype))
        return ACCEPT_HEADER_NOTHING;
    return range->version.text ? ACCEPT_HEADER_VERSION : ACCEPT_HEADER_SUBTYPE;
}

struct accept_header_match accept_header_match(const char *header,
                                               const struct accept_header_media *media)
{
    struct accept_header_match match = {.closeness = ACCEPT_HEADER_NOTHING};

    for (const char *at = header ? header : ""; *at;) {
        enum accept_header_closeness closeness;
        struct range range;
        bool is_range = take_range(&at, &range);

        if (!is_range)
            skip_range(&at);
        (void)take_char(&at, ','); /* there is one, or it is the end */
        if (!is_range)
            continue;
        closeness = closeness_of(&range, media);
        if (closeness == ACCEPT_HEADER_NOTHING || closeness < match.closeness)
            continue;
        if (closeness > match.closeness || range.quality_milli > match.quality_milli)
            match = (struct accept_header_match){closeness, range.quality_milli};
    }
    return match;
}
