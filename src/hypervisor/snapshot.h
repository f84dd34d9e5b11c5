#pragma once
/*
 * snapshot - what the daemon knows at one instant, for those who show it: the HTTP API, metrics,
 * the foreign region, the control socket. The loop makes it (node.h) and changes it never again;
 * any thread may hold one, by reference count.
 *
 * What was not measured is SNAPSHOT_UNKNOWN, never 0: null in JSON, absent in metrics, `-` in text.
 */
#include "ipc/message.h"
#include "ipc/region.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SNAPSHOT_UNKNOWN        UINT64_MAX
#define SNAPSHOT_NO_UID         ((uid_t)-1)
#define SNAPSHOT_FAULTS_MAX     16
#define SNAPSHOT_FOREIGN_MAX    256
#define SNAPSHOT_NODE_NAME_SIZE 256 /* names of hosts have 253 at most */

/* One card. Rates and gauges are NVML's newest. */
struct snapshot_gpu {
    char uuid[48]; /* "GPU-..." */
    char model[64];
    uint32_t nvml_index;
    bool is_lost;
    uint64_t memory_bytes;                   /* of the card */
    uint64_t memory_used_bytes;              /* by all processes, as NVML says */
    uint64_t memory_reserved_bytes;          /* sum of the tenants' memory limits: the guarantees */
    uint64_t compute_reserved_milli_percent; /* sum of the tenants' caps below 100 % */
    uint64_t busy_percent, memory_busy_percent;
    uint64_t temperature_celsius, power_milliwatts;
    uint64_t graphics_clock_mhz, sm_clock_mhz, memory_clock_mhz, video_clock_mhz;
    uint64_t pcie_receive_kib_per_s, pcie_transmit_kib_per_s;
    uint32_t verdict; /* enum verdict (supervisor/verdict.h): whether its scheduler obeys */
};

/* A tenant's part of a card that it may use. */
struct snapshot_share {
    uint32_t gpu;                /* index into snapshot.gpus */
    uint64_t memory_limit_bytes; /* REGION_NO_LIMIT: none */
    uint64_t memory_used_bytes;  /* the ledger's */
    uint64_t memory_nvml_bytes;  /* NVML's sum over its processes */
    uint32_t cap_milli_percent;  /* 100000: no cap */
    uint32_t weight;
    uint32_t priority;           /* enum region_priority */
    uint64_t used_milli_percent; /* of the last second */
    uint64_t entitled_milli_percent;
    uint64_t duty_milli_percent, slice_us;
    uint64_t busy_group_count; /* channel groups that had work lately: it wants GPU time */
    uint64_t switch_calls;     /* disables and enables since its supervisor began */
    uint64_t late_looks;       /* steps that came later than they should */
    uint64_t control_failures; /* controls that the driver refused */
    uint64_t control_ns;       /* what a disable or enable takes: moving average */
};

struct snapshot_process {
    int32_t pid;
    char comm[16];
    uint64_t memory_bytes[REGION_GPUS_MAX]; /* by snapshot.gpus */
};

enum snapshot_state {
    SNAPSHOT_STARTING, /* its supervisor has not answered yet */
    SNAPSHOT_RUNNING,
    SNAPSHOT_SUSPENDED, /* its channels are off until it is resumed */
    SNAPSHOT_QUEUED,    /* waits for room */
    SNAPSHOT_ORPHANED,  /* processes without a supervisor, about to be given one */
    SNAPSHOT_STATE_END
};

struct snapshot_tenant {
    char name[64]; /* a standalone one's is name@uid, its own name cut where that is too long */
    uid_t uid;     /* who asked for it; SNAPSHOT_NO_UID: not known */
    int32_t supervisor_pid;
    enum snapshot_state state;
    bool is_standalone; /* another's `vgpu run`: shown, not changed */
    bool is_kept;       /* stays without processes until it is deleted */
    uint32_t engine;    /* enum region_engine */
    uint32_t on_loss;   /* enum region_on_loss */
    uint64_t rm_calls, rm_unparsed, refusals, guard_enables, supervisor_restarts;
    struct snapshot_share shares[REGION_GPUS_MAX];
    uint32_t share_count;
    struct snapshot_process *processes;
    uint32_t process_count;
};

/* A process that uses a GPU and belongs to no tenant. */
struct snapshot_foreign {
    int32_t pid;
    char comm[16];
    uid_t uid;
    uint32_t gpu; /* index into snapshot.gpus */
    uint64_t memory_bytes;
    char tenant[64]; /* where the policy is to count it to one (its cgroup's); empty: none */
    bool is_stopped; /* the policy has ended it, or is about to */
};

/* Why /healthz is not well; `text` is for people and is constant for as long as the fault lasts. */
struct snapshot_fault {
    char component[16]; /* gpu, sampler, disk, api, metrics, shared-files */
    char text[112];
};

struct snapshot {
    _Atomic uint32_t references; /* relaxed up, acquire-release down */
    uint64_t sequence;           /* raised with each one */
    uint64_t taken_ns;           /* CLOCK_MONOTONIC */
    uint64_t taken_unix_ms;      /* for what people read */
    char node_name[SNAPSHOT_NODE_NAME_SIZE];
    char driver_version[32]; /* empty: not known */
    struct snapshot_gpu gpus[REGION_GPUS_MAX];
    uint32_t gpu_count;
    struct snapshot_tenant *tenants; /* sorted by name */
    uint32_t tenant_count;
    struct snapshot_foreign foreign[SNAPSHOT_FOREIGN_MAX];
    uint32_t foreign_count;
    struct snapshot_fault faults[SNAPSHOT_FAULTS_MAX];
    uint32_t fault_count;
    bool is_ready; /* GPUs were found and the tenants of a former daemon taken over */
};

/* With room for so many tenants, all zero; NULL: no memory. The caller has the one reference. */
struct snapshot *snapshot_new(uint32_t tenant_count);
struct snapshot *snapshot_hold(struct snapshot *snapshot);
/* NULL is fine. */
void snapshot_release(struct snapshot *snapshot);

const struct snapshot_tenant *snapshot_find(const struct snapshot *snapshot, const char *name);

/* What processes that are counted to the tenant use on a card beside its own, where it is known. */
uint64_t snapshot_adopted_bytes(const struct snapshot *snapshot,
                                const struct snapshot_tenant *tenant, uint32_t gpu);

/* "running", "suspended", ...; "high", ...: the words of JSON and metrics. */
const char *snapshot_state_word(enum snapshot_state state);
const char *snapshot_priority_word(uint32_t priority);
