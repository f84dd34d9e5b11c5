#include "hypervisor/http_target.h"

#include "utils/str.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* In place; a `+` is a space in a query alone. */
static int decode(char *text, bool is_query, struct err *err)
{
    char *to = text;

    for (const char *from = text; *from; from++) {
        int high, low;

        if (*from != '%') {
            *to++ = (char)(is_query && *from == '+' ? ' ' : *from);
            continue;
        }
        high = hex_value(from[1]);
        low = high < 0 ? -1 : hex_value(from[2]);
        if (low < 0)
            return err_say(err, EINVAL, "a percent sign without two hexadecimal digits");
        if (high * 16 + low < 0x20 || high * 16 + low == 0x7f)
            return err_say(err, EINVAL, "an encoded control character");
        *to++ = (char)(high * 16 + low);
        from += 2;
    }
    *to = '\0';
    return 0;
}

static int split_path(struct http_target *target, char *path, struct err *err)
{
    if (!*path)
        return 0;
    for (char *segment = path, *end; segment; segment = end ? end + 1 : NULL) {
        int rc;

        end = strchr(segment, '/');
        if (end)
            *end = '\0';
        if (target->segment_count == HTTP_TARGET_SEGMENTS_MAX)
            return err_say(err, EINVAL, "more than %d parts in the path", HTTP_TARGET_SEGMENTS_MAX);
        rc = decode(segment, false, err);
        if (rc < 0)
            return rc;
        target->segments[target->segment_count++] = segment;
    }
    return 0;
}

static int add_query(struct http_target *target, char *pair, struct err *err)
{
    static char nothing[] = "";
    char *equals = strchr(pair, '=');
    char *value = equals ? equals + 1 : nothing;
    int rc;

    if (equals)
        *equals = '\0';
    rc = decode(pair, true, err);
    if (rc == 0 && equals)
        rc = decode(value, true, err);
    if (rc < 0)
        return rc;
    if (!*pair)
        return err_say(err, EINVAL, "a query parameter without a name");
    if (http_target_query(target, pair))
        return err_say(err, EINVAL, "the query parameter '%s' is given twice", pair);
    if (target->query_count == HTTP_TARGET_QUERY_MAX)
        return err_say(err, EINVAL, "more than %d query parameters", HTTP_TARGET_QUERY_MAX);
    target->query[target->query_count++] = (struct http_query){pair, value};
    return 0;
}

static int split_query(struct http_target *target, char *query, struct err *err)
{
    for (char *pair = query, *end; pair; pair = end ? end + 1 : NULL) {
        int rc;

        end = strchr(pair, '&');
        if (end)
            *end = '\0';
        rc = add_query(target, pair, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* `http://authority/path` is for proxies, but a server has to take it (RFC 9112, 3.2.2). */
static char *skip_authority(struct http_target *target)
{
    static const char scheme[] = "http://";
    char *slash, *start = target->text;

    if (strncasecmp(start, scheme, strlen(scheme)) != 0)
        return start;
    start += strlen(scheme);
    slash = strchr(start, '/');
    if (!slash)
        return target->text;
    /* One to the left, so that its end has room for a NUL. */
    memmove(start - 1, start, (size_t)(slash - start));
    slash[-1] = '\0';
    target->authority = start - 1;
    return slash;
}

int http_target_parse(struct http_target *ret_target, const char *text, struct err *err)
{
    struct http_target *target = ret_target;
    size_t length = strnlen(text, HTTP_TARGET_MAX + 1);
    char *path, *query;
    int rc;

    if (length > HTTP_TARGET_MAX)
        return err_say(err, ENAMETOOLONG, "more than %d characters", HTTP_TARGET_MAX);
    memset(target, 0, sizeof(*target));
    memcpy(target->text, text, length);
    for (size_t i = 0; i < length; i++)
        if (text[i] <= 0x20 || text[i] >= 0x7f || text[i] == '#')
            return err_say(err, EINVAL, "a character that has to be percent-encoded");
    path = skip_authority(target);
    if (*path != '/')
        return err_say(err, EINVAL, "a path begins with a slash");
    query = strchr(path, '?');
    if (query)
        *query++ = '\0';
    rc = split_path(target, path + 1, err);
    return rc < 0 || !query ? rc : split_query(target, query, err);
}

const char *http_target_query(const struct http_target *target, const char *name)
{
    for (size_t i = 0; i < target->query_count; i++)
        if (str_equals(target->query[i].name, name))
            return target->query[i].value;
    return NULL;
}
