#include "hypervisor/legacy_caller.h"

#include "utils/parse.h"
#include "utils/str.h"

#include <string.h>

#define CLIENT_PREFIX  "worker_"
#define BODY_BYTES_MAX (64u * 1024)

static const char *title_of(int status)
{
    static const struct {
        int status;
        const char *title;
    } titles[] = {
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {409, "Conflict"},
        {429, "Too Many Requests"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(titles); i++)
        if (titles[i].status == status)
            return titles[i].title;
    return "Error";
}

int legacy_caller_problem(int status, const char *detail, json_t **ret_json)
{
    *ret_json = json_pack("{s:s, s:s, s:i, s:s}", "type", "about:blank", "title", title_of(status),
                          "status", status, "detail", detail);
    return status;
}

int legacy_caller_check_pod(const struct legacy_view *view, json_t **ret_json)
{
    if (!view->caller->is_known)
        return legacy_caller_problem(401, "a token is needed here", ret_json);
    if (!view->caller->is_pod)
        return legacy_caller_problem(403, "this token is no pod's", ret_json);
    return 0;
}

const struct snapshot_tenant *legacy_caller_tenant(const struct legacy_view *view)
{
    return pod_name_find(view->rule, view->snapshot, &view->caller->pod);
}

static bool has_process(const struct legacy_view *view, const struct snapshot_tenant *tenant,
                        int32_t pid)
{
    for (uint32_t i = 0; i < tenant->process_count; i++)
        if (tenant->processes[i].pid == pid)
            return true;
    /* One with a foreign limiter is none of our ledger's, and is counted to the pod's tenant. */
    for (uint32_t i = 0; i < view->snapshot->foreign_count; i++)
        if (view->snapshot->foreign[i].pid == pid &&
            str_equals(view->snapshot->foreign[i].tenant, tenant->name))
            return true;
    return false;
}

const struct snapshot_tenant *legacy_caller_tenant_of(const struct legacy_view *view, int32_t pid)
{
    for (uint32_t i = 0; i < view->snapshot->tenant_count; i++) {
        const struct snapshot_tenant *tenant = &view->snapshot->tenants[i];

        /* What such a supervisor says is its user's word: it could name anybody's processes. */
        if (!tenant->is_standalone && has_process(view, tenant, pid))
            return tenant;
    }
    return NULL;
}

bool legacy_caller_owns(const struct legacy_view *view, int32_t pid)
{
    const struct snapshot_tenant *tenant = legacy_caller_tenant(view);

    return tenant && has_process(view, tenant, pid);
}

bool legacy_caller_parse_client(const char *client_id, int32_t *ret_pid)
{
    const char *number;
    uint64_t pid;

    if (!str_starts_with(client_id, CLIENT_PREFIX))
        return false;
    number = client_id + strlen(CLIENT_PREFIX);
    /* One name for a process: none with a zero before it. */
    if (number[0] == '0' || parse_u64(&pid, number, 1, INT32_MAX, NULL) < 0)
        return false;
    *ret_pid = (int32_t)pid;
    return true;
}

json_t *legacy_caller_parse_body(const struct legacy_body *body)
{
    json_t *json = body->length <= BODY_BYTES_MAX
                       ? json_loadb(body->text, body->length, JSON_REJECT_DUPLICATES, NULL)
                       : NULL;

    if (json_is_object(json))
        return json;
    json_decref(json);
    return NULL;
}
