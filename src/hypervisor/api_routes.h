#pragma once
/*
 * api_routes - version 1 of the API, and the two questions of whoever keeps the daemon alive:
 * which paths there are. docs/openapi.yaml describes them all.
 */
#include "hypervisor/api_asked.h"
#include "hypervisor/api_cache.h"
#include "utils/attr.h"
#include "utils/err.h"

struct backend;
struct event_hub;
struct http_server;

/* What the handlers share; read by api_views and api_changes. */
struct api {
    const struct backend *backend;
    struct http_server *server;
    struct api_cache cache;
    struct api_asked asked;
    struct event_hub *hub;
};

/*
 * Adds the routes to a server that does not listen yet. The backend stays the caller's, and has to
 * live until api_free(). The event log's listener becomes ours, and wakes the streams.
 */
int api_new(struct api **ret_api, const struct backend *backend, struct http_server *server,
            struct err *err) MUST_CHECK;

/*
 * After http_server_stop() and before http_server_free(), on the thread that adds events. NULL is
 * fine. Requests that the loop is not done with yet may be done later.
 */
void api_free(struct api *api);
