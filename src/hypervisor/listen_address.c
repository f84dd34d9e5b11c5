#include "hypervisor/listen_address.h"

#include "utils/parse.h"
#include "utils/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

static bool fill_v4(struct listen_address *address, const char *host, in_port_t port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = port};

    if (inet_pton(AF_INET, host, &v4.sin_addr) != 1)
        return false;
    memcpy(&address->address, &v4, sizeof(v4));
    address->length = sizeof(v4);
    return true;
}

static bool fill_v6(struct listen_address *address, const char *host, in_port_t port)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = port};

    if (inet_pton(AF_INET6, host, &v6.sin6_addr) != 1)
        return false;
    memcpy(&address->address, &v6, sizeof(v6));
    address->length = sizeof(v6);
    return true;
}

int listen_address_parse(struct listen_address *ret_address, const char *text, struct err *err)
{
    const char *colon = strrchr(text, ':');
    size_t length = colon ? (size_t)(colon - text) : 0;
    bool is_bracketed = length > 2 && text[0] == '[' && text[length - 1] == ']';
    struct listen_address address = {0};
    char host[INET6_ADDRSTRLEN];
    uint64_t port;

    if (!colon || !str_format(host, sizeof(host), "%.*s", (int)(length - 2 * is_bracketed),
                              text + is_bracketed))
        return err_say(err, EINVAL,
                       "'%s' is not an address such as '127.0.0.1:8080' or '[::1]:8080'", text);
    if (parse_u64(&port, colon + 1, 0, UINT16_MAX, NULL) < 0)
        return err_say(err, EINVAL, "the port of '%s' is no number from 0 to 65535", text);
    if (str_equals(host, "localhost"))
        (void)str_format(host, sizeof(host), "127.0.0.1");
    if (!*host)
        (void)str_format(host, sizeof(host), "0.0.0.0");
    if (is_bracketed ? !fill_v6(&address, host, htons((uint16_t)port))
                     : !fill_v4(&address, host, htons((uint16_t)port)))
        return err_say(err, EINVAL,
                       "'%s' has no numeric address before its port: names are not looked up",
                       text);
    *ret_address = address;
    return 0;
}

bool listen_address_is_loopback(const struct listen_address *address)
{
    struct sockaddr_in6 v6;
    struct sockaddr_in v4;

    if (address->address.ss_family == AF_INET) {
        memcpy(&v4, &address->address, sizeof(v4));
        return ntohl(v4.sin_addr.s_addr) >> 24 == 127;
    }
    memcpy(&v6, &address->address, sizeof(v6));
    return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
}
