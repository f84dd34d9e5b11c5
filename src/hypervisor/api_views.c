#include "hypervisor/api_views.h"

#include "hypervisor/api_json.h"
#include "hypervisor/api_routes.h"
#include "hypervisor/backend.h"
#include "hypervisor/event_stream.h"
#include "hypervisor/http_answer.h"
#include "hypervisor/http_request.h"
#include "hypervisor/journal.h"
#include "hypervisor/json_value.h"
#include "hypervisor/problem.h"
#include "hypervisor/snapshot.h"
#include "utils/clock.h"
#include "utils/parse.h"
#include "utils/str.h"

#include <errno.h>
#include <string.h>

/* A snapshot that is older than this means that the loop does not turn. */
#define STALE_NS (3 * NS_PER_SEC)

static struct snapshot *get_snapshot(const struct api *api)
{
    return api->backend->get_snapshot(api->backend->context);
}

static void free_snapshot(struct snapshot **snapshot)
{
    snapshot_release(*snapshot);
}

/* A new answer with plain words. */
static struct http_answer *new_text(unsigned int status, const char *text)
{
    return http_answer_new(&(struct http_answer_content){.status = status,
                                                         .type = "text/plain; charset=utf-8",
                                                         .bytes = text,
                                                         .size = strlen(text)});
}

static struct http_answer *new_fault_problem(const struct snapshot *snapshot, bool is_stale)
{
    const struct problem problem = {
        .status = 503,
        .type = "not-well",
        .detail = is_stale ? "the daemon's loop has stopped" : "see the faults",
    };
    json_t *object = problem_json(&problem), *faults = api_json_faults(snapshot);
    struct http_answer *answer = NULL;
    char *text;

    if (is_stale && faults)
        /* Without memory for it the detail still says so. */
        (void)json_array_append_new(faults,
                                    json_pack("{s:s, s:s}", "component", "loop", "text",
                                              "no snapshot was made for more than three seconds"));
    /* These two accept NULL. */
    if (json_object_set_new(object, "faults", faults) == 0) {
        text = json_value_write(object);
        answer = text ? http_answer_new(&(struct http_answer_content){.status = 503,
                                                                      .type = PROBLEM_CONTENT_TYPE,
                                                                      .bytes = text,
                                                                      .size = strlen(text)})
                      : NULL;
        free(text);
    }
    json_decref(object);
    return answer;
}

static bool is_stale(const struct snapshot *snapshot)
{
    uint64_t now_ns = clock_now_ns();

    return now_ns > snapshot->taken_ns && now_ns - snapshot->taken_ns > STALE_NS;
}

void api_views_healthz(struct http_request *request, void *context)
{
    CLEANUP(free_snapshot) struct snapshot *snapshot = get_snapshot(context);
    bool has_stopped = is_stale(snapshot);

    if (has_stopped || snapshot->fault_count)
        http_reply(request, new_fault_problem(snapshot, has_stopped));
    else
        http_reply(request, new_text(200, "ok\n"));
}

void api_views_readyz(struct http_request *request, void *context)
{
    CLEANUP(free_snapshot) struct snapshot *snapshot = get_snapshot(context);

    if (is_stale(snapshot))
        http_reply(request, new_fault_problem(snapshot, true));
    else if (!snapshot->is_ready)
        http_reply_problem(request, 503, "not-ready",
                           "the GPUs and the tenants of the daemon before are not taken over yet");
    else
        http_reply(request, new_text(200, "ok\n"));
}

static void show(struct http_request *request, struct api *api, enum api_resource resource)
{
    CLEANUP(free_snapshot) struct snapshot *snapshot = get_snapshot(api);

    http_reply(request, api_cache_get(&api->cache, resource, snapshot));
}

void api_views_node(struct http_request *request, void *context)
{
    show(request, context, http_request_caller(request)->may_change ? API_NODE_CHANGER : API_NODE);
}

void api_views_gpus(struct http_request *request, void *context)
{
    show(request, context, API_GPUS);
}

void api_views_tenants(struct http_request *request, void *context)
{
    show(request, context, API_TENANTS);
}

void api_views_tenant(struct http_request *request, void *context)
{
    CLEANUP(free_snapshot) struct snapshot *snapshot = get_snapshot(context);
    const char *name = http_request_parameter(request, 0);
    const struct snapshot_tenant *tenant;
    json_t *json;
    struct err err;

    tenant = snapshot_find(snapshot, name);
    /* A standalone one is listed as NAME@UID, which is no name to make a tenant by. */
    if (!tenant && !strchr(name, '@') && parse_name(name, &err) < 0) {
        http_reply_problem(request, 400, "bad-value", "%s", err.text);
        return;
    }
    if (!tenant) {
        http_reply_problem(request, 404, "no-such-tenant", "there is no tenant '%s'", name);
        return;
    }
    json = api_json_tenant(snapshot, tenant);
    http_reply(request, http_answer_new_json(200, json_value_write(json)));
    json_decref(json);
}

void api_views_events(struct http_request *request, void *context)
{
    const struct api *api = context;
    const struct event_stream_words words = {
        .after = http_request_query(request, "after"),
        .last_event_id = http_request_field(request, "Last-Event-ID"),
        .samples_hz = http_request_query(request, "samples_hz"),
        .follow = http_request_query(request, "follow"),
    };
    const struct http_caller *caller = http_request_caller(request);
    struct event_stream_start start;
    struct http_stream *stream;
    struct err err;

    if (event_stream_parse(&start, &words, &err) < 0) {
        http_reply_problem(request, 400, "bad-value", "%s", err.text);
        return;
    }
    start.is_operator = caller->identity.is_operator;
    (void)str_format(start.peer, sizeof(start.peer), "%s", caller->peer); /* the same size */
    if (event_stream_new(&stream, api->hub, &start, &err) < 0)
        http_reply_busy(request, "too-many-readers", err.text);
    else
        http_reply_stream(request, "text/event-stream", stream);
}

void api_views_log_level(struct http_request *request, void *context)
{
    struct log_levels levels;
    char text[LOG_LEVELS_TEXT_MAX];
    struct str str;
    json_t *json;

    journal_get_levels(&levels);
    str_init(&str, text, sizeof(text));
    log_levels_print(&levels, &str);
    json = json_pack("{s:o}", "level", json_value_text(text));
    http_reply(request, http_answer_new_json(200, json_value_write(json)));
    json_decref(json);
}
