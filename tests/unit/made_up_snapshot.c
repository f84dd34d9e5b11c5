#include "tests/unit/made_up_snapshot.h"

#include "supervisor/verdict.h"
#include "utils/str.h"

#include <stdlib.h>

#define GIB (UINT64_C(1) << 30)

static void name(char *place, size_t size, const char *text)
{
    if (!str_format(place, size, "%s", text))
        abort();
}

static void fill_gpus(struct snapshot *snapshot)
{
    snapshot->gpu_count = 2;
    snapshot->gpus[0] = (struct snapshot_gpu){
        .uuid = "GPU-5C0FFEE0-0000-0000-0000-000000000000",
        .model = "NVIDIA H100 80GB HBM3",
        .memory_bytes = 80 * GIB,
        .memory_used_bytes = 20 * GIB,
        .memory_reserved_bytes = 16 * GIB,
        .compute_reserved_milli_percent = 30500,
        .busy_percent = 97,
        .memory_busy_percent = 0,
        .temperature_celsius = 61,
        .power_milliwatts = 412050,
        .graphics_clock_mhz = 1980,
        .sm_clock_mhz = 1980,
        .memory_clock_mhz = 2619,
        .video_clock_mhz = 1545,
        .pcie_receive_kib_per_s = 3,
        .pcie_transmit_kib_per_s = SNAPSHOT_UNKNOWN,
        .verdict = VERDICT_OBEYS,
    };
    snapshot->gpus[1] = (struct snapshot_gpu){
        .uuid = "GPU-1",
        .model = "a \"model\" with \\ and\nmore",
        .nvml_index = 1,
        .is_lost = true,
        .memory_bytes = 80 * GIB,
        .memory_used_bytes = SNAPSHOT_UNKNOWN,
        .memory_reserved_bytes = 0,
        .compute_reserved_milli_percent = 0,
        .busy_percent = SNAPSHOT_UNKNOWN,
        .memory_busy_percent = SNAPSHOT_UNKNOWN,
        .temperature_celsius = SNAPSHOT_UNKNOWN,
        .power_milliwatts = SNAPSHOT_UNKNOWN,
        .graphics_clock_mhz = SNAPSHOT_UNKNOWN,
        .sm_clock_mhz = SNAPSHOT_UNKNOWN,
        .memory_clock_mhz = SNAPSHOT_UNKNOWN,
        .video_clock_mhz = SNAPSHOT_UNKNOWN,
        .pcie_receive_kib_per_s = SNAPSHOT_UNKNOWN,
        .pcie_transmit_kib_per_s = SNAPSHOT_UNKNOWN,
        .verdict = VERDICT_NONE,
    };
}

static void fill_limited(struct snapshot_tenant *tenant)
{
    tenant->state = SNAPSHOT_RUNNING;
    tenant->uid = 1000;
    tenant->supervisor_pid = 4242;
    tenant->rm_calls = 1234;
    tenant->rm_unparsed = 1;
    tenant->refusals = 7;
    tenant->supervisor_restarts = 2;
    tenant->process_count = 1;
    tenant->processes = calloc(1, sizeof(*tenant->processes));
    if (!tenant->processes)
        abort();
    tenant->processes[0] =
        (struct snapshot_process){.pid = 4243, .comm = "python3", .memory_bytes = {12 * GIB}};
    tenant->share_count = 1;
    tenant->shares[0] = (struct snapshot_share){
        .memory_limit_bytes = 16 * GIB,
        .memory_used_bytes = 12 * GIB,
        .memory_nvml_bytes = 12 * GIB,
        .cap_milli_percent = 30500,
        .weight = 100,
        .priority = REGION_HIGH,
        .used_milli_percent = 30125,
        .entitled_milli_percent = 30500,
        .duty_milli_percent = 41000,
        .slice_us = 250,
        .busy_group_count = 1,
        .switch_calls = 900,
        .late_looks = 3,
        .control_failures = 0,
        .control_ns = 1234567,
    };
}

static void fill_unlimited(struct snapshot_tenant *tenant)
{
    tenant->state = SNAPSHOT_RUNNING;
    tenant->uid = SNAPSHOT_NO_UID;
    tenant->engine = REGION_ENGINE_MEMORY_ONLY;
    tenant->guard_enables = 1;
    tenant->rm_calls = SNAPSHOT_UNKNOWN;
    tenant->share_count = 1;
    tenant->shares[0] = (struct snapshot_share){
        .memory_limit_bytes = REGION_NO_LIMIT,
        .memory_used_bytes = 8 * GIB,
        .memory_nvml_bytes = SNAPSHOT_UNKNOWN,
        .cap_milli_percent = 100000,
        .weight = 50,
        .priority = REGION_NORMAL,
        .used_milli_percent = SNAPSHOT_UNKNOWN,
        .entitled_milli_percent = SNAPSHOT_UNKNOWN,
        .duty_milli_percent = SNAPSHOT_UNKNOWN,
        .slice_us = SNAPSHOT_UNKNOWN,
        .busy_group_count = SNAPSHOT_UNKNOWN,
        .switch_calls = SNAPSHOT_UNKNOWN,
        .late_looks = SNAPSHOT_UNKNOWN,
        .control_failures = SNAPSHOT_UNKNOWN,
        .control_ns = SNAPSHOT_UNKNOWN,
    };
}

static void fill_foreign(struct snapshot *snapshot)
{
    snapshot->foreign_count = 2;
    snapshot->foreign[0] =
        (struct snapshot_foreign){.pid = 77, .comm = "stranger", .uid = 1, .memory_bytes = 512};
    snapshot->foreign[1] = (struct snapshot_foreign){
        .pid = 78, .comm = "gr\xc3\xb6\xc3\x9f", .gpu = 1, .memory_bytes = SNAPSHOT_UNKNOWN};
}

struct snapshot *made_up_snapshot(void)
{
    struct snapshot *snapshot = snapshot_new(3);

    if (!snapshot)
        abort();
    snapshot->sequence = 1;
    snapshot->taken_unix_ms = MADE_UP_UNIX_MS;
    snapshot->is_ready = true;
    name(snapshot->node_name, sizeof(snapshot->node_name), "node-a");
    name(snapshot->driver_version, sizeof(snapshot->driver_version), "580.159.04");
    fill_gpus(snapshot);
    fill_foreign(snapshot);
    name(snapshot->tenants[0].name, sizeof(snapshot->tenants[0].name), "limited");
    fill_limited(&snapshot->tenants[0]);
    name(snapshot->tenants[1].name, sizeof(snapshot->tenants[1].name), "queued");
    snapshot->tenants[1].state = SNAPSHOT_QUEUED;
    name(snapshot->tenants[2].name, sizeof(snapshot->tenants[2].name), "team-b_trainer");
    fill_unlimited(&snapshot->tenants[2]);
    snapshot->fault_count = 2;
    name(snapshot->faults[0].component, sizeof(snapshot->faults[0].component), "gpu");
    name(snapshot->faults[0].text, sizeof(snapshot->faults[0].text), "GPU 1 is lost");
    name(snapshot->faults[1].component, sizeof(snapshot->faults[1].component), "fan\xff\xc0\x80");
    name(snapshot->faults[1].text, sizeof(snapshot->faults[1].text), "one nobody thought of");
    return snapshot;
}

struct metrics_own made_up_own(void)
{
    return (struct metrics_own){
        .version = "1.2.3",
        .start_unix_ms = MADE_UP_UNIX_MS - 10000,
        .loop_lag_ns = 150000,
        .samples = 10,
        .http_requests = 5,
        .http_requests_refused = 1,
        .event_readers = 1,
        .event_readers_dropped = SNAPSHOT_UNKNOWN,
    };
}
