#include "hypervisor/api_json.h"

#include "hypervisor/event_log.h"
#include "hypervisor/json_value.h"
#include "hypervisor/request.h"
#include "hypervisor/snapshot.h"
#include "supervisor/verdict.h"
#include "utils/clock.h"

#define BYTES_PER_KIB 1024

/* An object's pairs as json_pack() wants them; a value without memory makes all of it NULL. */
#define COUNT(value)       json_value_count(value)
#define THOUSANDTHS(value) json_value_thousandths(value)

static const char *scheduler_word(uint32_t verdict)
{
    if (verdict == VERDICT_OBEYS)
        return "obeys";
    return verdict == VERDICT_INERT ? "inert" : "not-tested";
}

static json_t *scaled(uint64_t value, uint64_t factor)
{
    return json_value_count(value == SNAPSHOT_UNKNOWN ? value : value * factor);
}

/* Adds a new element, which may be NULL, to an array, which may be NULL. */
static void append(json_t **array, json_t *element)
{
    if (*array && element && json_array_append_new(*array, element) == 0)
        return;
    json_decref(*array);
    *array = NULL;
}

static json_t *gpu_json(const struct snapshot_gpu *gpu)
{
    json_t *object = json_pack(
        "{s:o, s:i, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o}", "uuid", json_value_text(gpu->uuid),
        "index", (int)gpu->nvml_index, "model", json_value_text_or_null(gpu->model), "is_lost",
        gpu->is_lost, "memory_bytes", COUNT(gpu->memory_bytes), "memory_used_bytes",
        COUNT(gpu->memory_used_bytes), "memory_reserved_bytes", COUNT(gpu->memory_reserved_bytes),
        "compute_reserved_percent", THOUSANDTHS(gpu->compute_reserved_milli_percent),
        "busy_percent", COUNT(gpu->busy_percent), "memory_busy_percent",
        COUNT(gpu->memory_busy_percent));
    json_t *more = json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s}", "temperature_celsius",
        COUNT(gpu->temperature_celsius), "power_watts", THOUSANDTHS(gpu->power_milliwatts),
        "graphics_clock_mhz", COUNT(gpu->graphics_clock_mhz), "sm_clock_mhz",
        COUNT(gpu->sm_clock_mhz), "memory_clock_mhz", COUNT(gpu->memory_clock_mhz),
        "video_clock_mhz", COUNT(gpu->video_clock_mhz), "pcie_receive_bytes_per_second",
        scaled(gpu->pcie_receive_kib_per_s, BYTES_PER_KIB), "pcie_transmit_bytes_per_second",
        scaled(gpu->pcie_transmit_kib_per_s, BYTES_PER_KIB), "scheduler",
        scheduler_word(gpu->verdict));
    bool is_whole = object && more && json_object_update(object, more) == 0;

    json_decref(more);
    if (is_whole)
        return object;
    json_decref(object);
    return NULL;
}

static json_t *gpu_list(const struct snapshot *snapshot)
{
    json_t *array = json_array();

    for (uint32_t i = 0; i < snapshot->gpu_count; i++)
        append(&array, gpu_json(&snapshot->gpus[i]));
    return array;
}

json_t *api_json_gpus(const struct snapshot *snapshot)
{
    return json_pack("{s:o}", "gpus", gpu_list(snapshot));
}

static json_t *share_json(const struct snapshot *snapshot, const struct snapshot_share *share)
{
    const struct snapshot_gpu *gpu = &snapshot->gpus[share->gpu];
    bool has_cap = share->cap_milli_percent < 100000;
    uint64_t cap = has_cap ? share->cap_milli_percent : SNAPSHOT_UNKNOWN;
    uint64_t control_us =
        share->control_ns == SNAPSHOT_UNKNOWN ? SNAPSHOT_UNKNOWN : share->control_ns / NS_PER_US;

    return json_pack(
        "{s:o, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "uuid",
        json_value_text(gpu->uuid), "index", (int)gpu->nvml_index, "memory_limit_bytes",
        COUNT(share->memory_limit_bytes), "memory_used_bytes", COUNT(share->memory_used_bytes),
        "memory_nvml_bytes", COUNT(share->memory_nvml_bytes), "compute_limit_percent",
        THOUSANDTHS(cap), "compute_used_percent", THOUSANDTHS(share->used_milli_percent),
        "entitled_percent", THOUSANDTHS(share->entitled_milli_percent), "weight",
        (int)share->weight, "priority", snapshot_priority_word(share->priority), "slice_us",
        COUNT(share->slice_us), "duty_percent", THOUSANDTHS(share->duty_milli_percent),
        "switch_calls", COUNT(share->switch_calls), "late_looks", COUNT(share->late_looks),
        "control_failures", COUNT(share->control_failures), "control_us", COUNT(control_us));
}

static json_t *process_json(const struct snapshot *snapshot, const struct snapshot_process *process)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < snapshot->gpu_count; i++) {
        if (process->memory_bytes[i] == SNAPSHOT_UNKNOWN)
            sum = SNAPSHOT_UNKNOWN;
        else if (sum != SNAPSHOT_UNKNOWN)
            sum += process->memory_bytes[i];
    }
    return json_pack("{s:i, s:o, s:o}", "pid", (int)process->pid, "comm",
                     json_value_text(process->comm), "memory_bytes", COUNT(sum));
}

static json_t *share_list(const struct snapshot *snapshot, const struct snapshot_tenant *tenant)
{
    json_t *array = json_array();

    for (uint32_t i = 0; i < tenant->share_count; i++)
        append(&array, share_json(snapshot, &tenant->shares[i]));
    return array;
}

static json_t *process_list(const struct snapshot *snapshot, const struct snapshot_tenant *tenant)
{
    json_t *array = json_array();

    for (uint32_t i = 0; i < tenant->process_count; i++)
        append(&array, process_json(snapshot, &tenant->processes[i]));
    return array;
}

static json_t *uid_json(uid_t uid)
{
    return uid == SNAPSHOT_NO_UID ? json_null() : json_integer((json_int_t)uid);
}

json_t *api_json_tenant(const struct snapshot *snapshot, const struct snapshot_tenant *tenant)
{
    json_t *supervisor =
        tenant->supervisor_pid > 0 ? json_integer(tenant->supervisor_pid) : json_null();

    return json_pack("{s:o, s:o, s:o, s:s, s:b, s:b, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
                     "name", json_value_text(tenant->name), "uid", uid_json(tenant->uid),
                     "supervisor_pid", supervisor, "state", snapshot_state_word(tenant->state),
                     "is_standalone", tenant->is_standalone, "is_kept", tenant->is_kept, "engine",
                     tenant->engine == REGION_ENGINE_RM ? "rm" : "memory-only", "on_loss",
                     tenant->on_loss == REGION_OPEN ? "open" : "closed", "rm_calls",
                     COUNT(tenant->rm_calls), "rm_unparsed", COUNT(tenant->rm_unparsed), "refusals",
                     COUNT(tenant->refusals), "guard_enables", COUNT(tenant->guard_enables),
                     "supervisor_restarts", COUNT(tenant->supervisor_restarts), "processes",
                     process_list(snapshot, tenant), "gpus", share_list(snapshot, tenant));
}

static json_t *tenant_list(const struct snapshot *snapshot)
{
    json_t *array = json_array();

    for (uint32_t i = 0; i < snapshot->tenant_count; i++)
        append(&array, api_json_tenant(snapshot, &snapshot->tenants[i]));
    return array;
}

json_t *api_json_tenants(const struct snapshot *snapshot)
{
    return json_pack("{s:o}", "tenants", tenant_list(snapshot));
}

json_t *api_json_faults(const struct snapshot *snapshot)
{
    json_t *array = json_array();

    for (uint32_t i = 0; i < snapshot->fault_count; i++)
        append(&array,
               json_pack("{s:o, s:o}", "component", json_value_text(snapshot->faults[i].component),
                         "text", json_value_text(snapshot->faults[i].text)));
    return array;
}

static json_t *foreign_list(const struct snapshot *snapshot)
{
    json_t *array = json_array();

    for (uint32_t i = 0; i < snapshot->foreign_count; i++) {
        const struct snapshot_foreign *foreign = &snapshot->foreign[i];

        append(&array,
               json_pack("{s:i, s:o, s:o, s:i, s:o, s:o, s:b}", "pid", (int)foreign->pid, "comm",
                         json_value_text(foreign->comm), "uid", uid_json(foreign->uid), "gpu",
                         (int)snapshot->gpus[foreign->gpu].nvml_index, "memory_bytes",
                         COUNT(foreign->memory_bytes), "tenant",
                         json_value_text_or_null(foreign->tenant), "is_stopped",
                         foreign->is_stopped));
    }
    return array;
}

json_t *api_json_node(const struct snapshot *snapshot, bool may_change)
{
    return json_pack("{s:o, s:s, s:o, s:b, s:o, s:o, s:b}", "node",
                     json_value_text(snapshot->node_name), "version", VGPU_VERSION, "driver",
                     json_value_text_or_null(snapshot->driver_version), "is_ready",
                     snapshot->is_ready, "faults", api_json_faults(snapshot), "foreign",
                     foreign_list(snapshot), "may_change", may_change);
}

json_t *api_json_sample(const struct snapshot *snapshot)
{
    return json_pack("{s:o, s:o, s:o}", "unix_ms", COUNT(snapshot->taken_unix_ms), "gpus",
                     gpu_list(snapshot), "tenants", tenant_list(snapshot));
}

json_t *api_json_event(const struct event *event)
{
    return json_pack("{s:o, s:o, s:s, s:o, s:o, s:o}", "number", COUNT(event->number), "unix_ms",
                     COUNT(event->unix_ms), "kind", event_kind_word(event->kind), "tenant",
                     json_value_text_or_null(event->tenant), "pid",
                     event->pid ? json_integer(event->pid) : json_null(), "text",
                     json_value_text(event->text));
}

json_t *api_json_created(const struct snapshot *snapshot, const struct request *request)
{
    json_t *array = json_array();

    for (uint32_t i = 0; i < snapshot->gpu_count; i++)
        if (snapshot->gpus[i].nvml_index < 32 &&
            request->answer_gpu_mask & 1u << snapshot->gpus[i].nvml_index)
            append(&array, json_value_text(snapshot->gpus[i].uuid));
    return json_pack("{s:o, s:o}", "name", json_value_text(request->answer_name), "gpus", array);
}
