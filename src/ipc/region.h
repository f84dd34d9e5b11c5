#pragma once
/*
 * region - what a tenant's processes and its supervisor share: two memfds that travel over the
 * control socket, sealed against shrinking and growing.
 *
 *   control page   written by the supervisor alone (sealed against future writable mappings):
 *                  limits, leases, and the facts that other supervisors plan from
 *   ledger         written by all processes of the tenant (ipc/ledger.h)
 *
 * This is an interface between versions: any change of layout is a new REGION_VERSION. Readers
 * check magic, version and length before anything else (region_check_control()), and bound every
 * index.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>
#include <stdint.h>

#define REGION_MAGIC          0x75706776u /* "vgpu" */
#define REGION_VERSION        1u
#define REGION_GPUS_MAX       16
#define REGION_LEASE_GRACE_NS UINT64_C(50000000) /* what guards wait beyond a lease */
#define REGION_NO_LIMIT       UINT64_MAX

enum region_on_loss { REGION_OPEN, REGION_CLOSED };
enum region_priority { REGION_LOW, REGION_NORMAL, REGION_HIGH };
enum region_engine { REGION_ENGINE_RM, REGION_ENGINE_MEMORY_ONLY };

/*
 * What other supervisors plan from. Written by the supervisor under `sequence` (odd while it
 * writes); read with region_read_facts(), which retries. All of it is of one tenant on one GPU.
 */
struct region_facts {
    uint32_t cap_milli_percent;  /* 100000: no cap */
    uint32_t weight;             /* 1..1000 */
    uint32_t priority;           /* enum region_priority */
    uint32_t group_count;        /* compute channel groups on this GPU */
    uint32_t busy_group_count;   /* of them, those that had work lately */
    uint32_t is_active;          /* had work within the last half second */
    uint32_t slice_us;           /* in force for each group; 0: the driver's default */
    uint32_t duty_milli_percent; /* part of the last second with channels enabled; ~0: not known */
    uint32_t used_milli_percent; /* GPU time of the last second; ~0: not known */
    uint32_t reserved;
    uint64_t updated_ns; /* CLOCK_MONOTONIC */
};

struct region_gpu {
    char uuid[48];            /* "GPU-...", NUL-terminated; constant */
    uint32_t device_instance; /* the RM's, as class 0x0080's first parameter names it; constant */
    uint32_t nvml_index;      /* constant */
    uint32_t minor;           /* of /dev/nvidiaN; constant */
    uint32_t is_allowed;      /* 0: the tenant may not use this GPU; constant */
    uint64_t card_bytes;      /* memory of the card; constant */
    _Atomic uint64_t memory_limit_bytes; /* REGION_NO_LIMIT: none; relaxed */
    /*
     * 0 while the tenant's channels are on. Else the CLOCK_MONOTONIC instant by which the
     * supervisor promises to have them on again; a guard enables them itself
     * REGION_LEASE_GRACE_NS later (docs/design/supervisor.md). Stored (release) before the first
     * disable call, cleared after the last enable call.
     */
    _Atomic uint64_t lease_ns;
    _Atomic uint32_t sequence;
    uint32_t reserved;
    union {
        struct region_facts facts;       /* for what nobody shares yet */
        _Atomic uint64_t facts_words[6]; /* relaxed, between two looks at the sequence */
    };
};

struct region_control {
    uint32_t magic, version, length, gpu_count; /* constant */
    char name[64];                              /* the tenant's; constant */
    _Atomic uint32_t on_loss;                   /* enum region_on_loss */
    _Atomic uint32_t engine;                    /* enum region_engine */
    _Atomic uint32_t generation; /* raised by each supervisor that takes the tenant over */
    uint32_t reserved;
    _Atomic uint64_t supervisor_pid; /* for people; never signalled */
    struct region_gpu gpus[REGION_GPUS_MAX];
};

_Static_assert(sizeof(struct region_facts) == 6 * sizeof(uint64_t), "region layout");
_Static_assert(sizeof(struct region_gpu) == 144, "region layout");
_Static_assert(sizeof(struct region_control) == 104 + 16 * 144, "region layout");

/* Of enum region_priority: "low", "normal", "high"; "unknown" for what is none of it. */
const char *region_priority_word(uint32_t priority);

/* -EPROTO with words where magic, version, length or the number of GPUs is not ours. */
int region_check_control(const struct region_control *control, struct err *err) MUST_CHECK;

/* Returns false where the writer never came to rest within 1000 tries (it died halfway). */
bool region_read_facts(const struct region_gpu *gpu, struct region_facts *ret_facts) MUST_CHECK;

/* The supervisor's side; one writer. */
void region_write_facts(struct region_gpu *gpu, const struct region_facts *facts);

/* The slot of the GPU with this device instance, or -1. */
int region_find_device(const struct region_control *control, uint32_t device_instance);
