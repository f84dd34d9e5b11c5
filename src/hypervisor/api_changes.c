#include "hypervisor/api_changes.h"

#include "hypervisor/api_call.h"
#include "hypervisor/api_json.h"
#include "hypervisor/api_routes.h"
#include "hypervisor/api_tenants.h"
#include "hypervisor/backend.h"
#include "hypervisor/http_answer.h"
#include "hypervisor/http_request.h"
#include "hypervisor/journal.h"
#include "hypervisor/json_value.h"
#include "hypervisor/snapshot.h"
#include "supervisor/explanation_json.h"
#include "utils/log.h"
#include "utils/parse.h"
#include "utils/str.h"

#include <errno.h>

#define TENANT_PATH "/api/v1/tenants/"

static void reply_bad_value(struct http_request *http, const struct err *err)
{
    http_reply_problem(http, 400, "bad-value", "%s", err->text);
}

static bool is_standalone(const struct api *api, const char *name)
{
    struct snapshot *snapshot = api->backend->get_snapshot(api->backend->context);
    const struct snapshot_tenant *tenant = snapshot_find(snapshot, name);
    bool is_standalone = tenant && tenant->is_standalone;

    snapshot_release(snapshot);
    return is_standalone;
}

/* A call about the tenant of the path; NULL: it is answered. */
static struct api_call *new_call(struct http_request *http, const struct api *api)
{
    const char *name = http_request_parameter(http, 0);
    struct api_call *call;
    struct request *request;
    struct err err;

    if (is_standalone(api, name)) {
        http_reply_problem(http, 501, "not-supported",
                           "'%s' is of a vgpu run of its own: the daemon shows it, and its user "
                           "changes it on the node",
                           name);
        return NULL;
    }
    if (*name && parse_name(name, &err) < 0) {
        reply_bad_value(http, &err);
        return NULL;
    }
    call = api_call_new(api->server, api->backend, http);
    if (!call) {
        http_reply_problem(http, 500, NULL, "there is no memory");
        return NULL;
    }
    request = api_call_request(call);
    (void)str_format(request->name, sizeof(request->name), "%s", name); /* fits: a valid name */
    return call;
}

static void answer_created(struct http_request *http, const struct request *request,
                           const struct backend *backend)
{
    struct snapshot *snapshot = backend->get_snapshot(backend->context);
    json_t *json = api_json_created(snapshot, request);
    struct http_answer *answer = http_answer_new_json(201, json_value_write(json));
    char location[128];

    (void)str_format(location, sizeof(location), TENANT_PATH "%s", request->answer_name); /* fits */
    http_answer_add(answer, "Location", location);
    http_reply(http, answer);
    json_decref(json);
    snapshot_release(snapshot);
}

void api_changes_create(struct http_request *http, void *context)
{
    const struct api *api = context;
    struct api_call *call = new_call(http, api);
    struct snapshot *snapshot;
    struct request *request;
    size_t size;
    const char *body = http_request_body(http, &size);
    struct err err;
    int rc;

    if (!call)
        return;
    request = api_call_request(call);
    snapshot = api->backend->get_snapshot(api->backend->context);
    rc = api_tenants_read_create(request, snapshot, body, size, &err);
    snapshot_release(snapshot);
    if (rc < 0) {
        reply_bad_value(http, &err);
        api_call_free(call);
        return;
    }
    api_call_post(call, http, answer_created, API_CALL_TIMEOUT_NS + request->queue_ns);
}

static void answer_nothing(struct http_request *http, const struct request *request,
                           const struct backend *backend)
{
    http_reply(http, http_answer_new_empty(204));
}

void api_changes_change(struct http_request *http, void *context)
{
    struct api_call *call = new_call(http, context);
    size_t size;
    const char *body = http_request_body(http, &size);
    struct err err;

    if (!call)
        return;
    if (api_tenants_read_change(api_call_request(call), body, size, &err) < 0) {
        reply_bad_value(http, &err);
        api_call_free(call);
        return;
    }
    api_call_post(call, http, answer_nothing, API_CALL_TIMEOUT_NS);
}

void api_changes_delete(struct http_request *http, void *context)
{
    struct api_call *call = new_call(http, context);
    struct request *request;
    struct err err;

    if (!call)
        return;
    request = api_call_request(call);
    request->kind = REQUEST_DELETE;
    if (api_tenants_read_flag(&request->is_forced, http_request_query(http, "force"), &err) < 0) {
        reply_bad_value(http, &err);
        api_call_free(call);
        return;
    }
    api_call_post(call, http, answer_nothing, API_CALL_TIMEOUT_NS);
}

static void answer_explained(struct http_request *http, const struct request *request,
                             const struct backend *backend)
{
    json_t *json =
        explanation_json_new(request->name, request->explanations, request->explanation_count);

    http_reply(http, http_answer_new_json(200, json_value_write(json)));
    json_decref(json);
}

void api_changes_explain(struct http_request *http, void *context)
{
    struct api *api = context;
    struct api_call *call = new_call(http, api);

    if (!call)
        return;
    api_call_request(call)->kind = REQUEST_EXPLAIN;
    api_asked_post(&api->asked, call, http, answer_explained);
}

void api_changes_freeze(struct http_request *http, void *context)
{
    http_reply_problem(http, 501, "not-supported",
                       "tenants are not moved to host memory by this version");
}

void api_changes_log_level(struct http_request *http, void *context)
{
    size_t size;
    const char *body = http_request_body(http, &size);
    struct log_levels levels;
    char text[LOG_LEVELS_TEXT_MAX];
    struct str str;
    struct err err;

    if (!http_request_caller(http)->identity.is_operator)
        http_reply_problem(http, 403, "not-allowed", "operators alone set the log's levels");
    else if (api_tenants_read_levels(&levels, body, size, &err) < 0)
        reply_bad_value(http, &err);
    else {
        journal_set_levels(&levels);
        str_init(&str, text, sizeof(text));
        log_levels_print(&levels, &str);
        log_info("what is logged is '%s' from now on", text);
        http_reply(http, http_answer_new_empty(204));
    }
}
