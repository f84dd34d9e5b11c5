#include "hypervisor/http_server.h"

#include "hypervisor/http_clock.h"
#include "hypervisor/http_listener.h"
#include "hypervisor/http_request.h"
#include "hypervisor/token_file.h"
#include "utils/atomics.h"
#include "utils/clock.h"
#include "utils/str.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

struct http_server {
    struct http_server_limits limits;
    char host_names[HTTP_HOST_NAMES_SIZE];
    struct http_routes routes;
    struct http_clock *clock;
    struct http_listener *listeners[HTTP_LISTENERS_MAX];
    size_t listener_count;
    struct {
        _Atomic uint64_t requests, requests_refused, requests_failed, readers, readers_dropped;
    } counts;             /* relaxed: numbers, which guard no other data */
    pthread_mutex_t lock; /* guards the tokens and how often they were set */
    struct token_file *tokens;
    uint64_t token_generation;
};

static void set_limits(struct http_server *server, const struct http_server_options *options)
{
    server->limits = (struct http_server_limits){
        .connections_max = options->connections_max ? options->connections_max : 512,
        .connections_per_ip_max =
            options->connections_per_ip_max ? options->connections_per_ip_max : 256,
        .idle_seconds = options->idle_seconds ? options->idle_seconds : 15,
        .request_ns = NS_PER_SEC * (options->request_seconds ? options->request_seconds : 30),
        .host_names = server->host_names,
    };
}

int http_server_new(struct http_server **ret_server, const struct http_server_options *options,
                    struct err *err)
{
    struct http_server *server = calloc(1, sizeof(*server));
    const char *names = options->host_names ? options->host_names : "";
    int rc;

    if (!server)
        return err_set(err, ENOMEM, "allocate the HTTP server");
    if (!str_format(server->host_names, sizeof(server->host_names), "%s", names)) {
        free(server);
        return err_say(err, EINVAL, "the host names are too long");
    }
    set_limits(server, options);
    rc = http_clock_new(&server->clock, err);
    if (rc < 0) {
        free(server);
        return rc;
    }
    (void)pthread_mutex_init(&server->lock, NULL); /* cannot fail without attributes */
    *ret_server = server;
    return 0;
}

int http_server_add_routes(struct http_server *server, const struct http_route *routes,
                           size_t count, struct err *err)
{
    if (server->listener_count)
        return err_say(err, EBUSY, "routes are added before anybody listens");
    for (size_t i = 0; i < count; i++) {
        int rc = http_routes_add(&server->routes, &routes[i], err);

        if (rc < 0)
            return rc;
    }
    return 0;
}

void http_server_set_tokens(struct http_server *server, struct token_file *tokens)
{
    struct token_file *before;

    (void)pthread_mutex_lock(&server->lock); /* these two fail for misuse only */
    before = server->tokens;
    server->tokens = tokens;
    server->token_generation++;
    (void)pthread_mutex_unlock(&server->lock);
    token_file_free(before);
    http_clock_kick(server->clock); /* bearers' streams see that they are over */
}

uint64_t http_server_token_generation(struct http_server *server)
{
    uint64_t generation;

    (void)pthread_mutex_lock(&server->lock); /* these two fail for misuse only */
    generation = server->token_generation;
    (void)pthread_mutex_unlock(&server->lock);
    return generation;
}

int http_server_find_token(struct http_server *server, const char *bearer,
                           struct http_caller *caller)
{
    int rc = -ENOENT;

    (void)pthread_mutex_lock(&server->lock); /* these two fail for misuse only */
    if (server->tokens)
        rc = token_file_find(server->tokens, bearer, &caller->grant);
    caller->token_generation = server->token_generation;
    (void)pthread_mutex_unlock(&server->lock);
    return rc;
}

int http_server_listen(struct http_server *server, const char *address, struct err *err)
{
    int rc;

    if (server->listener_count == HTTP_LISTENERS_MAX)
        return err_say(err, ENOSPC, "more than %d addresses to listen on", HTTP_LISTENERS_MAX);
    rc = http_listener_new(&server->listeners[server->listener_count], server, address, err);
    if (rc == 0)
        server->listener_count++;
    return rc;
}

uint16_t http_server_port(const struct http_server *server, size_t i)
{
    return i < server->listener_count ? http_listener_port(server->listeners[i]) : 0;
}

void http_server_kick(struct http_server *server)
{
    http_clock_kick(server->clock);
}

void http_server_get_counts(const struct http_server *server, struct http_server_counts *ret_counts)
{
    *ret_counts = (struct http_server_counts){
        .requests = load_relaxed(&server->counts.requests),
        .requests_refused = load_relaxed(&server->counts.requests_refused),
        .requests_failed = load_relaxed(&server->counts.requests_failed),
        .readers = load_relaxed(&server->counts.readers),
        .readers_dropped = load_relaxed(&server->counts.readers_dropped),
    };
}

void http_server_count_answer(struct http_server *server, unsigned int status)
{
    (void)add_relaxed(&server->counts.requests, 1);
    if (status >= 500)
        (void)add_relaxed(&server->counts.requests_failed, 1);
    else if (status >= 400)
        (void)add_relaxed(&server->counts.requests_refused, 1);
}

void http_server_count_reader(struct http_server *server, int change)
{
    (void)add_relaxed(&server->counts.readers, (uint64_t)change);
}

void http_server_count_dropped(struct http_server *server)
{
    (void)add_relaxed(&server->counts.readers_dropped, 1);
}

void http_server_stop(struct http_server *server)
{
    http_clock_stop(server->clock);
    for (size_t i = 0; i < server->listener_count; i++)
        http_listener_free(server->listeners[i]);
    server->listener_count = 0;
}

void http_server_free(struct http_server *server)
{
    if (!server)
        return;
    http_server_stop(server);
    http_clock_release(server->clock);
    token_file_free(server->tokens);
    (void)pthread_mutex_destroy(&server->lock);
    free(server);
}

const struct http_routes *http_server_routes(const struct http_server *server)
{
    return &server->routes;
}

struct http_clock *http_server_clock(const struct http_server *server)
{
    return server->clock;
}

const struct http_server_limits *http_server_limits(const struct http_server *server)
{
    return &server->limits;
}
