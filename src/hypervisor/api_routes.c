#include "hypervisor/api_routes.h"

#include "hypervisor/api_changes.h"
#include "hypervisor/api_views.h"
#include "hypervisor/backend.h"
#include "hypervisor/event_log.h"
#include "hypervisor/event_stream.h"
#include "hypervisor/http_routes.h"
#include "hypervisor/http_server.h"
#include "utils/clock.h"

#include <errno.h>
#include <stdlib.h>

#define CHANGES HTTP_ROUTE_CHANGES
#define JSON    HTTP_ROUTE_CHANGES | HTTP_ROUTE_TAKES_JSON
#define OPEN    HTTP_ROUTE_IS_OPEN
#define TENANT  "/api/v1/tenants/{name}"

/* clang-format off */
static const struct http_route table[] = {
    /* method, path,                handler,              context, flags, query parameters */
    {HTTP_GET, "/healthz",          api_views_healthz,    NULL, OPEN, NULL},
    {HTTP_GET, "/readyz",           api_views_readyz,     NULL, OPEN, NULL},
    {HTTP_GET, "/api/v1/node",      api_views_node,       NULL, 0, NULL},
    {HTTP_GET, "/api/v1/gpus",      api_views_gpus,       NULL, 0, NULL},
    {HTTP_GET, "/api/v1/tenants",   api_views_tenants,    NULL, 0, NULL},
    {HTTP_GET, TENANT,              api_views_tenant,     NULL, 0, NULL},
    {HTTP_GET, TENANT "/explain",   api_changes_explain,  NULL, 0, NULL},
    {HTTP_GET, "/api/v1/events",    api_views_events,     NULL, 0, "after follow samples_hz"},
    {HTTP_GET, "/api/v1/log-level", api_views_log_level,  NULL, 0, NULL},
    {HTTP_PUT, "/api/v1/log-level", api_changes_log_level, NULL, JSON, NULL},
    {HTTP_POST, "/api/v1/tenants",  api_changes_create,   NULL, JSON, NULL},
    {HTTP_PATCH, TENANT,            api_changes_change,   NULL, JSON, NULL},
    {HTTP_DELETE, TENANT,           api_changes_delete,   NULL, CHANGES, "force"},
    {HTTP_POST, TENANT "/freeze",   api_changes_freeze,   NULL, CHANGES, NULL},
    {HTTP_POST, TENANT "/thaw",     api_changes_freeze,   NULL, CHANGES, NULL},
};
/* clang-format on */

static void on_event(void *context)
{
    http_server_kick(context);
}

static int add_routes(struct api *api, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct http_route route = table[i];
        int rc;

        route.context = api;
        rc = http_server_add_routes(api->server, &route, 1, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int api_new(struct api **ret_api, const struct backend *backend, struct http_server *server,
            struct err *err)
{
    struct api *api = calloc(1, sizeof(*api));
    int rc;

    if (!api)
        return err_set(err, ENOMEM, "allocate the API");
    api->backend = backend;
    api->server = server;
    /* Now, while there is one thread: jansson's seed is made at its first object. */
    json_object_seed(0);
    api_cache_init(&api->cache, clock_unix_ms());
    api_asked_init(&api->asked);
    rc = event_hub_new(&api->hub, backend, err);
    if (rc == 0)
        rc = add_routes(api, err);
    if (rc < 0) {
        event_hub_free(api->hub);
        api_asked_fini(&api->asked);
        api_cache_fini(&api->cache);
        free(api);
        return rc;
    }
    event_log_listen(backend->events, on_event, server);
    *ret_api = api;
    return 0;
}

void api_free(struct api *api)
{
    if (!api)
        return;
    event_log_listen(api->backend->events, NULL, NULL);
    event_hub_free(api->hub);
    api_asked_fini(&api->asked);
    api_cache_fini(&api->cache);
    free(api);
}
