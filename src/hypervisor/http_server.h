#pragma once
/*
 * http_server - HTTP/1.1 on TCP addresses and unix sockets, over libmicrohttpd: threads of its own
 * that never wait for the daemon's loop, nor the loop for them.
 *
 *     http_server_new(&server, &options, &err)
 *     http_server_add_routes(server, routes, count, &err)      as often as needed
 *     http_server_listen(server, "127.0.0.1:8080", &err)       from now on it answers
 *     http_server_stop(server)                                 no handler runs any more
 *     http_server_free(server)
 *
 * What is checked before a handler runs, and why: docs/design/http.md.
 */
#include "hypervisor/http_routes.h"
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_LISTENERS_MAX 4

struct http_caller;
struct http_clock;
struct http_server;
struct token_file;

#define HTTP_HOST_NAMES_SIZE 512 /* with the NUL */

struct http_server_options {
    uint32_t connections_max;        /* of a listener; 0: 512 */
    uint32_t connections_per_ip_max; /* of TCP; 0: 256 */
    uint32_t idle_seconds;           /* a silent connection is closed; 0: 15 */
    uint32_t request_seconds;        /* a request has to be here whole by then; 0: 30 */
    /* How the server is called, too (Host), blanks between them; NULL: in no other way. */
    const char *host_names;
};

int http_server_new(struct http_server **ret_server, const struct http_server_options *options,
                    struct err *err) MUST_CHECK;

/* Before the first http_server_listen(). The routes' strings and contexts stay the caller's. */
int http_server_add_routes(struct http_server *server, const struct http_route *routes,
                           size_t count, struct err *err) MUST_CHECK;

/*
 * The tokens that are good from now on, which are taken over; NULL: none. Streams that were asked
 * for with a token before end, as they do when their token expires: who still has a good one comes
 * again. At any time, on any thread.
 */
void http_server_set_tokens(struct http_server *server, struct token_file *tokens);

/*
 * Listens on an address as listen_address_parse() takes it (port 0: any) or the path of a unix socket, which
 * begins with a slash. Such a socket is open to all local users, as what can be read there is; who
 * changes something is known by the kernel's word. An old socket at the path is replaced.
 * -EINVAL: no such address, -EADDRINUSE: somebody listens there.
 */
int http_server_listen(struct http_server *server, const char *address, struct err *err) MUST_CHECK;

/* The port of the i-th listener; 0: it is a unix socket, or there is none. */
uint16_t http_server_port(const struct http_server *server, size_t i);

/* Streams are woken, and what is waited for is asked whether it is ready. Any thread. */
void http_server_kick(struct http_server *server);

/*
 * What has been answered since its beginning. Not among them: what the library refuses by itself,
 * because it is no HTTP at all, and what was broken off before there was an answer.
 */
struct http_server_counts {
    uint64_t requests;         /* answered */
    uint64_t requests_refused; /* of them, with a status of 400 to 499 */
    uint64_t requests_failed;  /* of them, with a status of 500 and more */
    uint64_t readers;          /* of streams, now */
    uint64_t readers_dropped;  /* sent away: they fell behind, or took nothing for the idle time */
};

/* Any thread. Each number is right; together they are of about the same instant. */
void http_server_get_counts(const struct http_server *server,
                            struct http_server_counts *ret_counts);

/* Ends all connections, streams as well. Waits for the handlers that run, and for nothing else. */
void http_server_stop(struct http_server *server);

/* Stops it first, where that was not done. NULL is fine. */
void http_server_free(struct http_server *server);

/* ---- For the server's own modules. ---- */

struct http_server_limits {
    uint32_t connections_max, connections_per_ip_max, idle_seconds;
    uint64_t request_ns;
    const char *host_names;
};

const struct http_routes *http_server_routes(const struct http_server *server);
struct http_clock *http_server_clock(const struct http_server *server);
const struct http_server_limits *http_server_limits(const struct http_server *server);

void http_server_count_answer(struct http_server *server, unsigned int status);
/* Raised each time that tokens are set. */
uint64_t http_server_token_generation(struct http_server *server);

/* A stream begins (+1) or has ended (-1). */
void http_server_count_reader(struct http_server *server, int change);
void http_server_count_dropped(struct http_server *server);

/* As token_file_find(); -ENOENT where there are no tokens at all. */
int http_server_find_token(struct http_server *server, const char *bearer,
                           struct http_caller *caller) MUST_CHECK;
