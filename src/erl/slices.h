#pragma once
/*
 * slices - what every tenant of one GPU is entitled to, and the time slices, windows and phases
 * that give it: a pure function of the tenants' facts. Each supervisor plans for itself from the
 * same facts and so comes to the same plan; nobody leads.
 *
 * Promises: shares in proportion to weight, whatever number of groups a tenant has; a capped tenant
 * gets its cap first as long as the caps sum to at most 100 %, beyond that in proportion to weight;
 * no more than SLICES_CALLS_PER_SECOND switch calls a second on the GPU, whatever the number of
 * tenants.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLICES_TENANTS_MAX      64
#define SLICES_CALLS_PER_SECOND 200u
#define SLICES_NO_CAP           100000u /* milli-percent */

enum slices_priority { SLICES_LOW, SLICES_NORMAL, SLICES_HIGH };

struct slices_tenant {
    uint64_t key;               /* orders the tenants: the same for every planner, no two alike */
    uint32_t cap_milli_percent; /* 1..100000 */
    uint32_t weight;            /* 1..1000 */
    enum slices_priority priority;
    uint32_t busy_group_count; /* its groups with work; 0 counts as one */
    bool is_active;            /* has had work lately: the others must make room for it */
};

struct slices_plan {
    uint32_t entitled_milli_percent; /* of the GPU's time */
    uint32_t cap_milli_percent;      /* in force: the cap, or less where caps exceed the whole */
    uint64_t slice_us;               /* for each of its groups */
    uint64_t slice_most_us;          /* it may stretch it to that (stretch.h); 0: it may not */
    uint64_t window_ns, phase_ns;    /* of its budget; 0 where it has no cap */
    uint64_t call_ns;                /* what a disable or enable takes of the GPU's rate of them */
};

/*
 * plans[i] is for tenants[i]; at most SLICES_TENANTS_MAX are looked at, the rest get the default
 * plan of a tenant alone.
 */
void slices_plan(struct slices_plan *plans, const struct slices_tenant *tenants, size_t count);
