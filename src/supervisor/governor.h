#pragma once
/*
 * governor - keeps one tenant to its share of one GPU, step by step: reads the switch records,
 * plans from the facts of all tenants, sets slices, runs the budget law and switches channels. One
 * thread steps it; it makes the driver's calls itself, so a step takes as long as those do.
 *
 * Invariants: 1. a lease is published before the first channel is taken off and withdrawn after the
 * last is back. 2. Nothing is taken off unless a guard watches the lease. 3. Whoever frees a
 * governor has released it.
 */
#include "erl/budget.h"
#include "erl/idle.h"
#include "erl/slices.h"
#include "erl/stretch.h"
#include "ipc/region.h"
#include "supervisor/census.h"
#include "supervisor/controller.h"
#include "supervisor/roster.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GOVERNOR_PEERS_MAX (SLICES_TENANTS_MAX - 1)

/* What the thread passes into each step. */
struct governor_input {
    struct controller_quota quota;
    struct roster *roster; /* nobody else changes it during the step */
    const struct region_control *const *peers;
    size_t peer_count;
    uint32_t busy_percent; /* NVML's newest sample; UINT32_MAX: none */
    uint64_t busy_stamp;   /* differs for each sample */
};

/* Sums of the running second, and the last full one's results. */
struct governor_second {
    uint64_t begin_ns, off_ns, off_since_ns, switch_count;
    int64_t net_ns;
    bool was_shared; /* another tenant or our own switching made the records mean something */
};

struct governor {
    struct region_control *control; /* of it, this tenant's slot is written */
    uint32_t slot;
    const struct gpus_card *card;
    struct sampler *sampler; /* NULL: none yet, or refused */
    uint64_t sampler_retry_ns, lost_count;
    struct census census;
    struct slices_plan plan;
    struct budget budget;
    struct stretch stretch;
    uint64_t off_ns;   /* how long its channels were off up to the last count, in all */
    bool is_capped;    /* the budget law is running */
    bool is_suspended; /* it is to stay off */
    bool is_off;       /* we have taken channels off */
    bool is_stuck;     /* putting them back failed: the lease is left to run out */
    bool has_active_peer;
    struct idle idle; /* NVML's slow correction for a tenant that idles by itself while alone */
    struct governor_second second;
    uint64_t plan_ns, facts_ns; /* when each is due */
    uint64_t planned_ns;        /* when the last plan was made; 0: there is none */
    uint64_t step_ns;           /* when the next step is; 0: before the first */
    uint64_t call_ns;           /* how long a switch takes: moving average */
    uint64_t pace_ns;           /* up to here the calls that were made have had their time */
    uint64_t disabled_ns;       /* begin of the newest disable */
    int64_t blind_net_ns;       /* the census when records began, some were lost or forgotten */
    uint64_t gone_count;        /* the census's, then */
    uint64_t show_ns;           /* when a tenant without records may be made to write some */
    uint32_t inert_count;       /* disables in a row without effect */
    struct controller_state state;
};

void governor_init(struct governor *governor, struct region_control *control, uint32_t slot,
                   const struct gpus_card *card);
void governor_fini(struct governor *governor);

/* Does what is due; returns the instant of the next step. */
uint64_t governor_step(struct governor *governor, const struct governor_input *input);

/* Puts every channel back, whatever the state. */
void governor_release(struct governor *governor, struct roster *roster);

/* Counts the time that its channels, which are off, have been off since the last count. */
void governor_count_off(struct governor *governor, uint64_t now_ns);

/* It had work within the last half second, and is not held off: others make room for it. */
bool governor_is_active(const struct governor *governor, uint64_t now_ns);
