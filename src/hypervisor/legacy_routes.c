#include "hypervisor/legacy_routes.h"

#include "hypervisor/api_call.h"
#include "hypervisor/backend.h"
#include "hypervisor/http_answer.h"
#include "hypervisor/http_request.h"
#include "hypervisor/http_routes.h"
#include "hypervisor/http_server.h"
#include "hypervisor/legacy_answer.h"
#include "hypervisor/legacy_api.h"
#include "hypervisor/legacy_limiter.h"
#include "hypervisor/legacy_search.h"
#include "hypervisor/legacy_stream.h"
#include "utils/clock.h"
#include "utils/str.h"

#include <errno.h>
#include <stdlib.h>

struct legacy_routes {
    const struct backend *backend;
    struct http_server *server;
    const struct pod_rule *rule;
    struct legacy_tasks *tasks;
    struct legacy_search *search;
};

/* What a route looks at, for as long as its handler runs. */
struct look {
    struct legacy_caller caller;
    struct snapshot *snapshot; /* held */
    struct legacy_view view;
};

/* A command that the loop carries out, until it is answered. */
struct order {
    struct legacy_command command;
    struct legacy_tasks *tasks;
};

/* --- who calls ------------------------------------------------------------------------------- */

static struct legacy_caller find_caller(const struct http_request *request)
{
    const struct http_caller *http = http_request_caller(request);
    const struct token_grant *grant = &http->grant;
    struct legacy_caller caller = {.peer_pid = http->peer_pid};

    if (!http->has_grant)
        return caller;
    caller.is_known = true;
    caller.is_operator = grant->role == TOKEN_OPERATOR;
    caller.is_pod = grant->role == TOKEN_POD &&
                    pod_name_set(&caller.pod, grant->pod_namespace, grant->pod_name);
    return caller;
}

static void begin(struct look *look, struct legacy_routes *routes,
                  const struct http_request *request)
{
    look->caller = find_caller(request);
    look->snapshot = routes->backend->get_snapshot(routes->backend->context);
    look->view = (struct legacy_view){.caller = &look->caller,
                                      .snapshot = look->snapshot,
                                      .rule = routes->rule,
                                      .tasks = routes->tasks,
                                      .now_unix_ms = clock_unix_ms()};
}

static void end(struct look *look)
{
    snapshot_release(look->snapshot);
}

static struct legacy_body body_of(const struct http_request *request)
{
    struct legacy_body body;

    body.text = http_request_body(request, &body.length);
    return body;
}

/* --- the handlers ---------------------------------------------------------------------------- */

static void answer_pod(struct http_request *request, void *context)
{
    struct look look;
    json_t *json;
    int status;

    begin(&look, context, request);
    status = legacy_api_pod(&look.view, http_request_query(request, "container_name"), &json);
    http_reply(request, legacy_answer_new(status, json));
    end(&look);
}

static void answer_process(struct http_request *request, void *context)
{
    struct legacy_routes *routes = context;
    const struct legacy_process_query query = {
        .container_name = http_request_query(request, "container_name"),
        .container_pid = http_request_query(request, "container_pid"),
    };
    struct look look;
    json_t *json;
    int status;

    begin(&look, routes, request);
    /* Who may not ask does not get as far as the thread's queue. */
    status = legacy_caller_check_pod(&look.view, &json);
    if (status)
        http_reply(request, legacy_answer_new(status, json));
    else
        legacy_search_post(routes->search, request, &look.view, look.snapshot, &query);
    end(&look);
}

static void answer_trap(struct http_request *request, void *context)
{
    const struct legacy_body body = body_of(request);
    struct look look;
    json_t *json;
    int status;

    begin(&look, context, request);
    status = legacy_api_trap(&look.view, &body, &json);
    http_reply(request, legacy_answer_new(status, json));
    end(&look);
}

static void start_stream(struct legacy_routes *routes, struct http_request *request,
                         const struct legacy_stream_key *key)
{
    struct http_stream *stream;
    struct err err;

    if (legacy_stream_new(&stream, routes->tasks, key, &err) < 0)
        http_reply_busy(request, NULL, err.text);
    else
        http_reply_stream(request, "text/event-stream", stream);
}

static void answer_events(struct http_request *request, void *context)
{
    struct legacy_stream_key key;
    struct look look;
    json_t *json;
    int status;

    begin(&look, context, request);
    status = legacy_limiter_events(&look.view, http_request_parameter(request, 0), &key, &json);
    if (status == 200)
        start_stream(context, request, &key);
    else
        http_reply(request, legacy_answer_new(status, json));
    end(&look);
}

static void answer_result(struct http_request *request, void *context)
{
    const struct legacy_body body = body_of(request);
    struct look look;
    json_t *json;
    int status;

    begin(&look, context, request);
    status = legacy_limiter_result(&look.view, &body, &json);
    http_reply(request,
               status == 200 ? http_answer_new_empty(200) : legacy_answer_new(status, json));
    end(&look);
}

static void answer_order(struct http_request *http, const struct request *request,
                         const struct backend *backend)
{
    const struct order *order = request->context;

    http_reply(http, legacy_answer_new(
                         200, legacy_limiter_done(&order->command, order->tasks, clock_unix_ms())));
}

static void post_command(struct legacy_routes *routes, struct http_request *http,
                         const struct legacy_command *command)
{
    struct api_call *call = api_call_new(routes->server, routes->backend, http);
    struct order *order = malloc(sizeof(*order));
    struct request *request;

    if (!call || !order) {
        free(order);
        api_call_free(call);
        http_reply(http, NULL);
        return;
    }
    *order = (struct order){*command, routes->tasks};
    request = api_call_request(call);
    request->kind = command->request;
    request->context = order;
    (void)str_format(request->name, sizeof(request->name), "%s", command->tenant); /* same size */
    api_call_post(call, http, answer_order, API_CALL_TIMEOUT_NS);
}

static void answer_command(struct http_request *request, void *context)
{
    const struct legacy_order order = {http_request_parameter(request, 0), body_of(request)};
    struct legacy_command command;
    struct look look;
    json_t *json;
    int status;

    begin(&look, context, request);
    status = legacy_limiter_command(&look.view, &order, &command, &json);
    if (status)
        http_reply(request, legacy_answer_new(status, json));
    else
        post_command(context, request, &command);
    end(&look);
}

/* --- the routes ------------------------------------------------------------------------------ */

#define PODS    HTTP_ROUTE_IS_FOR_PODS
#define CHANGES HTTP_ROUTE_IS_FOR_PODS | HTTP_ROUTE_CHANGES
#define JSON    HTTP_ROUTE_IS_FOR_PODS | HTTP_ROUTE_CHANGES | HTTP_ROUTE_TAKES_JSON
#define QUERY   "container_name container_pid"
#define LIMITER "/api/v1/limiter"

/* clang-format off */
static const struct http_route table[] = {
    /* method, path,                     handler,    context, flags, query parameters */
    {HTTP_GET, "/api/v1/pod",                 answer_pod,     NULL, PODS, QUERY},
    {HTTP_POST, "/api/v1/process",            answer_process, NULL, CHANGES, QUERY},
    {HTTP_POST, "/api/v1/trap",               answer_trap,    NULL, JSON, NULL},
    {HTTP_GET, LIMITER "/events/{client_id}", answer_events,  NULL, PODS, NULL},
    {HTTP_POST, LIMITER "/result",            answer_result,  NULL, JSON, NULL},
    {HTTP_POST, LIMITER "/command/{client_id}", answer_command, NULL, JSON, NULL},
};
/* clang-format on */

static int add_routes(struct legacy_routes *routes, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct http_route route = table[i];
        int rc;

        route.context = routes;
        rc = http_server_add_routes(routes->server, &route, 1, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void on_task(void *context)
{
    http_server_kick(context);
}

int legacy_routes_new(struct legacy_routes **ret, const struct backend *backend,
                      struct http_server *server, const struct pod_rule *rule, struct err *err)
{
    struct legacy_routes *routes = calloc(1, sizeof(*routes));
    int rc;

    if (!routes)
        return err_set(err, ENOMEM, "allocate the routes for limiters");
    routes->backend = backend;
    routes->server = server;
    routes->rule = rule;
    rc = legacy_tasks_new(&routes->tasks, err);
    if (!rc)
        rc = legacy_search_new(&routes->search, server, err);
    if (!rc)
        rc = add_routes(routes, err);
    if (rc < 0) {
        legacy_routes_free(routes);
        return rc;
    }
    legacy_tasks_listen(routes->tasks, on_task, server);
    *ret = routes;
    return 0;
}

void legacy_routes_prune(struct legacy_routes *routes, const struct snapshot *snapshot)
{
    legacy_tasks_prune(routes->tasks, snapshot);
}

void legacy_routes_free(struct legacy_routes *routes)
{
    if (!routes)
        return;
    legacy_search_free(routes->search);
    legacy_tasks_free(routes->tasks);
    free(routes);
}
