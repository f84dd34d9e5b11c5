#include "hypervisor/http_guard.h"

#include "utils/parse.h"
#include "utils/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#define HOST_MAX 256

static bool is_ipv4(const char *text, struct in_addr *ret_address)
{
    return inet_pton(AF_INET, text, ret_address) == 1;
}

static bool is_ipv6(const char *text, struct in6_addr *ret_address)
{
    return inet_pton(AF_INET6, text, ret_address) == 1;
}

bool http_guard_is_loopback(const char *address)
{
    struct in6_addr six;
    struct in_addr four;

    if (is_ipv4(address, &four))
        return ntohl(four.s_addr) >> 24 == 127;
    if (!is_ipv6(address, &six))
        return false;
    if (IN6_IS_ADDR_V4MAPPED(&six))
        return six.s6_addr[12] == 127;
    return IN6_IS_ADDR_LOOPBACK(&six);
}

static bool is_same_address(const char *a, const char *b)
{
    struct in6_addr six_a, six_b;
    struct in_addr four_a, four_b;

    if (is_ipv4(a, &four_a) && is_ipv4(b, &four_b))
        return four_a.s_addr == four_b.s_addr;
    return is_ipv6(a, &six_a) && is_ipv6(b, &six_b) && IN6_ARE_ADDR_EQUAL(&six_a, &six_b);
}

static bool is_wildcard(const char *address)
{
    return is_same_address(address, "0.0.0.0") || is_same_address(address, "::");
}

/* Splits `host` into name and port; false where it is no such thing. */
static bool split_host(const char *host, char *name, size_t size)
{
    bool is_bracketed = *host == '[';
    const char *start = host + is_bracketed;
    const char *end = is_bracketed ? strchr(start, ']') : start + strcspn(start, ":");
    const char *after;
    uint64_t port;

    if (!end || end == start || (size_t)(end - start) >= size)
        return false;
    memcpy(name, start, (size_t)(end - start));
    name[end - start] = '\0';
    if (strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:") !=
        strlen(name))
        return false;
    after = end + is_bracketed;
    return !*after || (*after == ':' && parse_u64(&port, after + 1, 1, 65535, NULL) == 0);
}

static bool is_listed(const char *name, const char *list)
{
    while (list && *list) {
        size_t length = strcspn(list, " ");

        if (length == strlen(name) && strncasecmp(list, name, length) == 0)
            return true;
        list += length + (list[length] == ' ');
    }
    return false;
}

bool http_guard_host_is_ours(const char *host, const struct http_guard_names *names)
{
    char name[HOST_MAX];
    struct in6_addr six;
    struct in_addr four;

    if (!split_host(host, name, sizeof(name)))
        return false;
    if (names->is_any || strcasecmp(name, "localhost") == 0 || http_guard_is_loopback(name) ||
        is_same_address(name, names->address) || is_listed(name, names->others))
        return true;
    /* An address cannot be bound anew; with a wildcard we do not know which of them are ours. */
    return is_wildcard(names->address) && (is_ipv4(name, &four) || is_ipv6(name, &six));
}

bool http_guard_origin_is_ours(const char *origin, const char *fetch_site, const char *host)
{
    static const char *const schemes[] = {"http://", "https://"};

    if (fetch_site && !str_equals(fetch_site, "same-origin") && !str_equals(fetch_site, "none"))
        return false;
    if (!origin)
        return true;
    if (!host) /* HTTP/1.0: no browser sends an Origin without a Host */
        return false;
    for (size_t i = 0; i < ARRAY_LENGTH(schemes); i++)
        if (strncasecmp(origin, schemes[i], strlen(schemes[i])) == 0)
            return strcasecmp(origin + strlen(schemes[i]), host) == 0;
    return false;
}

bool http_guard_is_json(const char *content_type)
{
    static const char json[] = "application/json";
    const char *rest;

    if (!content_type || strncasecmp(content_type, json, strlen(json)) != 0)
        return false;
    rest = content_type + strlen(json);
    rest += strspn(rest, " \t");
    if (!*rest)
        return true;
    if (*rest++ != ';')
        return false;
    rest += strspn(rest, " \t");
    return strcasecmp(rest, "charset=utf-8") == 0 || strcasecmp(rest, "charset=\"utf-8\"") == 0;
}

static bool is_field_name(const char *name)
{
    static const char allowed[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

    return *name && !name[strspn(name, allowed)];
}

static bool is_field_value(const char *value)
{
    for (; *value; value++)
        if (((unsigned char)*value < 0x20 && *value != '\t') || *value == 0x7f)
            return false;
    return true;
}

int http_guard_add_field(struct http_guard_framing *framing, const char *name, const char *value,
                         struct err *err)
{
    if (!is_field_name(name))
        return err_say(err, EINVAL, "a field's name has a character that is not allowed there");
    if (!is_field_value(value))
        return err_say(err, EINVAL, "a field's value has a control character");
    if (strcasecmp(name, "Host") == 0)
        framing->host_count++;
    if (strcasecmp(name, "Content-Length") == 0) {
        if (!*value || value[strspn(value, "0123456789")])
            return err_say(err, EINVAL, "Content-Length is no number");
        framing->length_count++;
    }
    if (strcasecmp(name, "Transfer-Encoding") == 0) {
        framing->encoding_count++;
        framing->encoding = value;
    }
    return 0;
}

int http_guard_check_framing(const struct http_guard_framing *framing, struct err *err)
{
    if (framing->host_count > 1 || (framing->host_count == 0 && !framing->is_http_1_0))
        return err_say(err, EINVAL, "there has to be one Host field");
    if (framing->length_count > 1)
        return err_say(err, EINVAL, "there is more than one Content-Length");
    if (framing->encoding_count == 0)
        return 0;
    if (framing->length_count)
        return err_say(err, EINVAL, "there is a Content-Length beside a Transfer-Encoding");
    if (framing->is_http_1_0)
        return err_say(err, EINVAL, "there is no Transfer-Encoding in HTTP/1.0");
    if (framing->encoding_count > 1 || strcasecmp(framing->encoding, "chunked") != 0)
        return err_say(err, EINVAL, "the Transfer-Encoding is not 'chunked'");
    return 0;
}
