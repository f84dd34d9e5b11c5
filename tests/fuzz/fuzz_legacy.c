/*
 * The libFuzzer target of the old system's routes: any bytes as a body, as a client, as the parts
 * of a query; by a pod and by an operator, on a node with one tenant.
 */
#include "hypervisor/legacy_api.h"
#include "hypervisor/legacy_limiter.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_SIZE 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool name_pod(void *context, const struct snapshot_tenant *tenant, struct pod_name *ret_pod)
{
    return pod_name_set(ret_pod, "space", "pod");
}

static const struct pod_rule rule = {.name = name_pod};

/* Whatever the answer is: it has a status of HTTP's, and JSON that can be written. */
static void check(int status, json_t *json, bool may_be_empty)
{
    char *text = json ? json_dumps(json, 0) : NULL;

    if (status < 200 || status > 599 || (json && !text) || (!json && !may_be_empty))
        abort();
    free(text);
    json_decref(json);
}

static struct snapshot *make_snapshot(void)
{
    struct snapshot *snapshot = snapshot_new(1);

    if (!snapshot)
        abort();
    snapshot->gpu_count = 1;
    snapshot->tenants[0].share_count = 1;
    snapshot->foreign_count = 1;
    snapshot->foreign[0].pid = (int32_t)getpid();
    memcpy(snapshot->foreign[0].tenant, "t", 2);
    memcpy(snapshot->tenants[0].name, "t", 2);
    return snapshot;
}

static void ask_all(const struct legacy_view *view, const struct legacy_body *body,
                    const char *text)
{
    const struct legacy_process_query query = {text, text, "/nowhere"},
                                      number = {"main", text, "/nowhere"};
    const struct legacy_order order = {text, *body}, own = {"worker_1", *body};
    struct legacy_command command;
    json_t *json = NULL;
    struct legacy_stream_key key;
    int status;

    status = legacy_api_pod(view, text, &json);
    check(status, json, false);
    status = legacy_api_process(view, &query, &json);
    check(status, json, false);
    status = legacy_api_process(view, &number, &json);
    check(status, json, false);
    status = legacy_api_trap(view, body, &json);
    check(status, json, false);
    status = legacy_limiter_events(view, text, &key, &json);
    check(status, json, true);
    status = legacy_limiter_result(view, body, &json);
    check(status, json, true);
    json = NULL;
    status = legacy_limiter_command(view, &order, &command, &json);
    check(status ? status : 200, json, !status);
    json = NULL;
    status = legacy_limiter_command(view, &own, &command, &json);
    check(status ? status : 200, json, !status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct snapshot *snapshot;
    static struct legacy_tasks *tasks;
    struct legacy_caller pod = {.is_known = true, .is_pod = true};
    struct legacy_caller operator= {.is_known = true, .is_operator = true};
    struct legacy_body body = {(const char *)data, size};
    struct legacy_view view = {.caller = &pod, .rule = &rule};
    char text[TEXT_SIZE];
    size_t length = size < TEXT_SIZE ? size : TEXT_SIZE - 1;

    if (!snapshot)
        snapshot = make_snapshot();
    if (!tasks && legacy_tasks_new(&tasks, NULL) < 0)
        abort();
    if (!pod_name_set(&pod.pod, "space", "pod"))
        abort();
    memcpy(text, data, length);
    text[length] = '\0';
    view.snapshot = snapshot;
    view.tasks = tasks;
    ask_all(&view, &body, text);
    view.caller = &operator;
    ask_all(&view, &body, text);
    return 0;
}
