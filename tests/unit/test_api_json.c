#include "hypervisor/api_json.h"

#include "hypervisor/event_log.h"
#include "hypervisor/json_value.h"
#include "hypervisor/request.h"
#include "hypervisor/snapshot.h"
#include "supervisor/verdict.h"
#include "tests/harness.h"
#include "utils/str.h"

#include <stdlib.h>
#include <string.h>

/* One GPU and one tenant, of which nothing is known. */
static struct snapshot *unknown(void)
{
    struct snapshot *snapshot = snapshot_new(1);
    struct snapshot_gpu *gpu = &snapshot->gpus[0];
    struct snapshot_share *share = &snapshot->tenants[0].shares[0];

    snapshot->gpu_count = 1;
    memset(gpu, 0xff, sizeof(*gpu));
    memset(share, 0xff, sizeof(*share));
    (void)str_format(gpu->uuid, sizeof(gpu->uuid), "GPU-1");
    gpu->model[0] = '\0';
    gpu->nvml_index = 3;
    gpu->is_lost = false;
    gpu->verdict = VERDICT_INERT;
    (void)str_format(snapshot->tenants[0].name, sizeof(snapshot->tenants[0].name), "a");
    snapshot->tenants[0].uid = SNAPSHOT_NO_UID;
    snapshot->tenants[0].share_count = 1;
    share->gpu = 0;
    share->weight = 7;
    share->priority = REGION_HIGH;
    share->cap_milli_percent = 100000;
    return snapshot;
}

/* Checks a value by its text, without spaces. */
static void check_value(const json_t *object, const char *name, const char *wanted)
{
    char *text = json_dumps(json_object_get(object, name),
                            JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(12));

    CHECK(text != NULL);
    CHECK_STR_EQ(text, wanted);
    free(text);
}

TEST(what_was_not_measured_is_null)
{
    static const char *const nulls[] = {"model",
                                        "memory_bytes",
                                        "memory_used_bytes",
                                        "memory_reserved_bytes",
                                        "busy_percent",
                                        "power_watts",
                                        "memory_busy_percent",
                                        "temperature_celsius",
                                        "sm_clock_mhz",
                                        "video_clock_mhz",
                                        "memory_clock_mhz",
                                        "graphics_clock_mhz",
                                        "compute_reserved_percent",
                                        "pcie_receive_bytes_per_second",
                                        "pcie_transmit_bytes_per_second"};
    static const char *const share_nulls[] = {
        "memory_limit_bytes", "memory_used_bytes", "memory_nvml_bytes", "compute_limit_percent",
        "entitled_percent",   "slice_us",          "duty_percent",      "compute_used_percent",
        "switch_calls",       "late_looks",        "control_failures",  "control_us"};
    struct snapshot *snapshot = unknown();
    json_t *gpus = api_json_gpus(snapshot), *tenants = api_json_tenants(snapshot);
    json_t *gpu = json_array_get(json_object_get(gpus, "gpus"), 0);
    json_t *tenant = json_array_get(json_object_get(tenants, "tenants"), 0);
    json_t *share = json_array_get(json_object_get(tenant, "gpus"), 0);

    for (size_t i = 0; i < ARRAY_LENGTH(nulls); i++)
        check_value(gpu, nulls[i], "null");
    for (size_t i = 0; i < ARRAY_LENGTH(share_nulls); i++)
        check_value(share, share_nulls[i], "null");
    check_value(tenant, "uid", "null");
    check_value(tenant, "supervisor_pid", "null");
    check_value(gpu, "index", "3");
    check_value(gpu, "scheduler", "\"inert\"");
    check_value(share, "uuid", "\"GPU-1\"");
    check_value(share, "weight", "7");
    check_value(share, "priority", "\"high\"");
    json_decref(gpus);
    json_decref(tenants);
    snapshot_release(snapshot);
}

TEST(what_was_measured_has_its_unit)
{
    struct snapshot *snapshot = unknown();
    struct snapshot_share *share = &snapshot->tenants[0].shares[0];
    json_t *gpu, *object, *tenant;

    snapshot->gpus[0].power_milliwatts = 345678;
    snapshot->gpus[0].pcie_receive_kib_per_s = 2;
    snapshot->gpus[0].compute_reserved_milli_percent = 1600000;
    snapshot->gpus[0].busy_percent = 0;
    share->cap_milli_percent = 33333;
    share->used_milli_percent = 1;
    share->duty_milli_percent = 100000;
    share->control_ns = 12345;
    gpu = api_json_gpus(snapshot);
    object = json_array_get(json_object_get(gpu, "gpus"), 0);
    check_value(object, "power_watts", "345.678");
    check_value(object, "pcie_receive_bytes_per_second", "2048");
    check_value(object, "compute_reserved_percent", "1600.0");
    check_value(object, "busy_percent", "0");
    tenant = api_json_tenant(snapshot, &snapshot->tenants[0]);
    object = json_array_get(json_object_get(tenant, "gpus"), 0);
    check_value(object, "compute_limit_percent", "33.333");
    check_value(object, "compute_used_percent", "0.001");
    check_value(object, "duty_percent", "100.0");
    check_value(object, "control_us", "12");
    json_decref(gpu);
    json_decref(tenant);
    snapshot_release(snapshot);
}

TEST(a_process_has_its_memory_on_all_gpus_or_null)
{
    struct snapshot *snapshot = unknown();
    struct snapshot_process *process = calloc(1, sizeof(*process));
    json_t *tenant;

    CHECK(process != NULL);
    snapshot->gpu_count = 2;
    process->memory_bytes[0] = 1;
    process->memory_bytes[1] = 2;
    snapshot->tenants[0].processes = process;
    snapshot->tenants[0].process_count = 1;
    memcpy(process->comm, "a\xff", 3);
    tenant = api_json_tenant(snapshot, &snapshot->tenants[0]);
    check_value(tenant, "processes", "[{\"pid\":0,\"comm\":\"a?\",\"memory_bytes\":3}]");
    json_decref(tenant);
    process->memory_bytes[0] = SNAPSHOT_UNKNOWN;
    tenant = api_json_tenant(snapshot, &snapshot->tenants[0]);
    check_value(tenant, "processes", "[{\"pid\":0,\"comm\":\"a?\",\"memory_bytes\":null}]");
    json_decref(tenant);
    snapshot_release(snapshot);
}

TEST(a_node_names_faults_and_strangers)
{
    struct snapshot *snapshot = unknown();
    json_t *node;

    snapshot->fault_count = 1;
    (void)str_format(snapshot->faults[0].component, 16, "disk");
    (void)str_format(snapshot->faults[0].text, 112, "it is full");
    snapshot->foreign_count = 1;
    snapshot->foreign[0] = (struct snapshot_foreign){
        .pid = 5, .comm = "x", .uid = 6, .memory_bytes = SNAPSHOT_UNKNOWN, .is_stopped = true};
    node = api_json_node(snapshot, true);
    check_value(node, "driver", "null");
    check_value(node, "is_ready", "false");
    check_value(node, "may_change", "true");
    check_value(node, "faults", "[{\"component\":\"disk\",\"text\":\"it is full\"}]");
    check_value(node, "foreign",
                "[{\"pid\":5,\"comm\":\"x\",\"uid\":6,\"gpu\":3,\"memory_bytes\":null,"
                "\"tenant\":null,\"is_stopped\":true}]");
    json_decref(node);
    snapshot_release(snapshot);
}

TEST(an_event_says_null_where_there_is_no_tenant)
{
    json_t *json = api_json_event(
        &(struct event){.number = 4, .unix_ms = 5, .kind = EVENT_GPU_LOST, .text = "gone"});
    char *text = json_value_write(json);

    CHECK_STR_EQ(text, "{\"number\":4,\"unix_ms\":5,\"kind\":\"gpu-lost\",\"tenant\":null,"
                       "\"pid\":null,\"text\":\"gone\"}");
    free(text);
    json_decref(json);
}

TEST(what_was_made_says_its_gpus)
{
    struct snapshot *snapshot = unknown();
    struct request *request = calloc(1, sizeof(*request));
    json_t *json;
    char *text;

    CHECK(request != NULL);
    (void)str_format(request->answer_name, sizeof(request->answer_name), "t");
    request->answer_gpu_mask = 1u << 3 | 1u << 9;
    json = api_json_created(snapshot, request);
    text = json_value_write(json);
    CHECK_STR_EQ(text, "{\"name\":\"t\",\"gpus\":[\"GPU-1\"]}");
    free(text);
    json_decref(json);
    free(request);
    snapshot_release(snapshot);
}
