#include "hypervisor/legacy_api.h"

#include "hypervisor/pid_namespace.h"
#include "hypervisor/rfc3339.h"
#include "utils/parse.h"
#include "utils/str.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define KNOWN_MAX       2048 /* processes of a pod that its others are found by */
#define TRAP_ID_SIZE    129
#define CONTAINER_SIZE  254
#define WORDS_SIZE      400
#define TRAP_EVIL_CHARS "\"\\"

/* --- GET /api/v1/pod ------------------------------------------------------------------------- */

static json_t *gpu_uuids(const struct legacy_view *view, const struct snapshot_tenant *tenant)
{
    json_t *uuids = json_array();

    for (uint32_t i = 0; i < tenant->share_count; i++)
        /* Without memory the array is NULL, and so will be the whole. */
        (void)json_array_append_new(uuids,
                                    json_string(view->snapshot->gpus[tenant->shares[i].gpu].uuid));
    return uuids;
}

/* One figure for all GPUs of a pod: the least, so that nobody counts on more than there is. */
static json_t *memory_limit(const struct snapshot_tenant *tenant)
{
    uint64_t limit_bytes = REGION_NO_LIMIT;

    for (uint32_t i = 0; i < tenant->share_count; i++)
        if (tenant->shares[i].memory_limit_bytes < limit_bytes)
            limit_bytes = tenant->shares[i].memory_limit_bytes;
    return limit_bytes == REGION_NO_LIMIT ? json_null() : json_integer((json_int_t)limit_bytes);
}

static const char *qos_level(const struct snapshot_tenant *tenant)
{
    uint32_t priority = REGION_LOW;

    for (uint32_t i = 0; i < tenant->share_count; i++)
        if (tenant->shares[i].priority > priority)
            priority = tenant->shares[i].priority;
    if (priority == REGION_LOW && tenant->share_count)
        return "Low";
    return priority == REGION_HIGH ? "High" : "Medium";
}

/* 200 with success false: what limiters take for "not yet", without giving up. */
static int fail_softly(const char *words, json_t **ret_json)
{
    *ret_json = json_pack("{s:b, s:n, s:s}", "success", 0, "data", "message", words);
    return 200;
}

static int check_container(const char *name, json_t **ret_json)
{
    if (!name || pod_name_is_part(name, CONTAINER_SIZE))
        return 0;
    return legacy_caller_problem(400, "container_name is no name", ret_json);
}

int legacy_api_pod(const struct legacy_view *view, const char *container_name, json_t **ret_json)
{
    const struct pod_name *pod = &view->caller->pod;
    const struct snapshot_tenant *tenant;
    int status = legacy_caller_check_pod(view, ret_json);

    if (!status)
        status = check_container(container_name, ret_json);
    if (status)
        return status;
    tenant = legacy_caller_tenant(view);
    if (!tenant)
        return fail_softly("the pod has no tenant on this node", ret_json);
    /* No figure of teraflops, and no freezing: neither exists here (compute_shard neither). */
    *ret_json = json_pack("{s:b, s:{s:s, s:s, s:o, s:n, s:o, s:s, s:b, s:s}, s:s}", "success", 1,
                          "data", "pod_name", pod->name, "namespace", pod->namespace, "gpu_uuids",
                          gpu_uuids(view, tenant), "tflops_limit", "vram_limit",
                          memory_limit(tenant), "qos_level", qos_level(tenant), "compute_shard", 0,
                          "isolation", "soft", "message", "ok");
    return 200;
}

/* --- POST /api/v1/process -------------------------------------------------------------------- */

/* Those that are known to be the pod's. */
static size_t list_known(const struct legacy_view *view, const struct snapshot_tenant *tenant,
                         int32_t *known)
{
    const struct snapshot *snapshot = view->snapshot;
    size_t count = 0;

    if (view->caller->peer_pid > 0)
        known[count++] = view->caller->peer_pid;
    for (uint32_t i = 0; i < tenant->process_count && count < KNOWN_MAX; i++)
        known[count++] = tenant->processes[i].pid;
    for (uint32_t i = 0; i < snapshot->foreign_count && count < KNOWN_MAX; i++)
        if (str_equals(snapshot->foreign[i].tenant, tenant->name))
            known[count++] = snapshot->foreign[i].pid;
    return count;
}

int legacy_api_process(const struct legacy_view *view, const struct legacy_process_query *query,
                       json_t **ret_json)
{
    const struct pod_name *pod = &view->caller->pod;
    const struct snapshot_tenant *tenant;
    struct pid_namespace_query search = {.proc_path = query->proc_path};
    int32_t known[KNOWN_MAX], host_pid;
    struct err err = {0};
    uint64_t pid;
    int status = legacy_caller_check_pod(view, ret_json);

    if (!status)
        status = check_container(query->container_name, ret_json);
    if (status)
        return status;
    if (!query->container_name || !query->container_pid ||
        parse_u64(&pid, query->container_pid, 1, INT32_MAX, NULL) < 0)
        return legacy_caller_problem(400, "container_name and container_pid are needed", ret_json);
    tenant = legacy_caller_tenant(view);
    if (!tenant)
        return fail_softly("the pod has no tenant on this node", ret_json);
    search.container_pid = (int32_t)pid;
    search.known = known;
    search.known_count = list_known(view, tenant, known);
    if (pid_namespace_find(&search, &host_pid, &err) < 0)
        return fail_softly(err.text, ret_json);
    *ret_json =
        json_pack("{s:b, s:{s:i, s:i, s:s, s:s, s:s}, s:s}", "success", 1, "data", "host_pid",
                  host_pid, "container_pid", (int)pid, "container_name", query->container_name,
                  "pod_name", pod->name, "namespace", pod->namespace, "message", "ok");
    return 200;
}

/* --- POST /api/v1/trap ----------------------------------------------------------------------- */

/* What is not known speaks against nothing. */
static bool has_room(const struct snapshot_share *share, const struct snapshot_gpu *gpu,
                     uint64_t bytes)
{
    bool is_limited = share->memory_limit_bytes != REGION_NO_LIMIT &&
                      share->memory_used_bytes != SNAPSHOT_UNKNOWN;
    bool is_known =
        gpu->memory_bytes != SNAPSHOT_UNKNOWN && gpu->memory_used_bytes != SNAPSHOT_UNKNOWN;

    if (is_limited && (share->memory_used_bytes > share->memory_limit_bytes ||
                       bytes > share->memory_limit_bytes - share->memory_used_bytes))
        return false;
    return !is_known || (gpu->memory_used_bytes <= gpu->memory_bytes &&
                         bytes <= gpu->memory_bytes - gpu->memory_used_bytes);
}

static json_t *decide(const struct legacy_view *view, uint64_t bytes)
{
    const struct snapshot_tenant *tenant = legacy_caller_tenant(view);
    char words[WORDS_SIZE];

    if (!tenant)
        return json_pack("{s:s}", "Fatal", "the pod has no tenant on this node");
    for (uint32_t i = 0; i < tenant->share_count; i++)
        if (has_room(&tenant->shares[i], &view->snapshot->gpus[tenant->shares[i].gpu], bytes))
            return json_string("Resume");
    (void)str_format(words, sizeof(words), "no GPU of the pod has room for %llu bytes", /* fits */
                     (unsigned long long)bytes);
    return json_pack("{s:s}", "Fatal", words);
}

/* A text that is given back as it came has to be short and plain. */
static bool is_plain(const char *text, size_t size)
{
    if (!text[0] || strnlen(text, size) == size)
        return false;
    for (; *text; text++)
        if (*text < ' ' || *text > '~' || strchr(TRAP_EVIL_CHARS, *text))
            return false;
    return true;
}

struct trap {
    const char *id; /* the body's */
    json_int_t process_id, timeout_s, requested_bytes;
};

static bool parse_trap(json_t *json, struct trap *ret_trap)
{
    struct trap trap;

    if (json_unpack(json, "{s:s, s:I, s:{s:{s:I}}, s:I}", "trap_id", &trap.id, "process_id",
                    &trap.process_id, "frame", "OutOfMemory", "requested_bytes",
                    &trap.requested_bytes, "timeout_seconds", &trap.timeout_s) < 0)
        return false;
    if (!is_plain(trap.id, TRAP_ID_SIZE) || trap.process_id < 1 || trap.process_id > UINT32_MAX ||
        trap.requested_bytes < 0 || trap.timeout_s < 0)
        return false;
    *ret_trap = trap;
    return true;
}

int legacy_api_trap(const struct legacy_view *view, const struct legacy_body *body,
                    json_t **ret_json)
{
    char now[RFC3339_SIZE];
    struct trap trap;
    json_t *json;
    int status = legacy_caller_check_pod(view, ret_json);

    if (status)
        return status;
    json = legacy_caller_parse_body(body);
    if (!json || !parse_trap(json, &trap)) {
        json_decref(json);
        return legacy_caller_problem(400, "that is no trap", ret_json);
    }
    rfc3339_format(now, view->now_unix_ms);
    *ret_json = json_pack("{s:s, s:o, s:s}", "trap_id", trap.id, "action",
                          decide(view, (uint64_t)trap.requested_bytes), "timestamp", now);
    json_decref(json);
    return 200;
}
