#pragma once
/*
 * listen_address - `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080` or `:8080` (all addresses), as
 * an address to bind to. No name is looked up: a daemon's start must not hang on a name server.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>
#include <sys/socket.h>

struct listen_address {
    struct sockaddr_storage address;
    socklen_t length;
};

/* -EINVAL with words. Port 0 is the kernel's choice. */
int listen_address_parse(struct listen_address *ret_address, const char *text,
                         struct err *err) MUST_CHECK;

/* Only this machine can reach it. */
bool listen_address_is_loopback(const struct listen_address *address);
