#pragma once
/*
 * http_listener - one address that the HTTP server listens on: a socket, libmicrohttpd with one
 * epoll thread for it, and the bounds on what connects.
 */
#include "hypervisor/http_guard.h"
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>
#include <stdint.h>

struct http_listener;
struct http_server;

/* An address as people write it. */
struct http_listener_address {
    bool is_unix;
    char text[108]; /* the path, or the address without port and brackets */
    uint16_t port;
};

/* What listen_address_parse() takes, or `/run/vgpu/http`. -EINVAL: none of these. */
int http_listener_parse(struct http_listener_address *ret_address, const char *text,
                        struct err *err) MUST_CHECK;

int http_listener_new(struct http_listener **ret_listener, struct http_server *server,
                      const char *address, struct err *err) MUST_CHECK;

/* After http_clock_stop(), as the library aborts while something is suspended. NULL is fine. */
void http_listener_free(struct http_listener *listener);

uint16_t http_listener_port(const struct http_listener *listener);
