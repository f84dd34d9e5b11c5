#include "hypervisor/snapshot.h"

#include "utils/atomics.h"

#include <stdlib.h>
#include <string.h>

struct snapshot *snapshot_new(uint32_t tenant_count)
{
    struct snapshot *snapshot = calloc(1, sizeof(*snapshot));

    if (!snapshot)
        return NULL;
    snapshot->tenants = tenant_count ? calloc(tenant_count, sizeof(*snapshot->tenants)) : NULL;
    if (tenant_count && !snapshot->tenants) {
        free(snapshot);
        return NULL;
    }
    snapshot->tenant_count = tenant_count;
    store_relaxed(&snapshot->references, 1);
    return snapshot;
}

struct snapshot *snapshot_hold(struct snapshot *snapshot)
{
    (void)add_relaxed(&snapshot->references, 1);
    return snapshot;
}

void snapshot_release(struct snapshot *snapshot)
{
    /* Ordered: what other holders read of it is behind them before it is freed. */
    if (!snapshot || sub_ordered(&snapshot->references, 1) != 1)
        return;
    for (uint32_t i = 0; i < snapshot->tenant_count; i++)
        free(snapshot->tenants[i].processes);
    free(snapshot->tenants);
    free(snapshot);
}

uint64_t snapshot_adopted_bytes(const struct snapshot *snapshot,
                                const struct snapshot_tenant *tenant, uint32_t gpu)
{
    uint64_t sum_bytes = 0;

    for (uint32_t i = 0; i < snapshot->foreign_count; i++) {
        const struct snapshot_foreign *foreign = &snapshot->foreign[i];

        if (foreign->gpu == gpu && foreign->memory_bytes != SNAPSHOT_UNKNOWN &&
            strcmp(foreign->tenant, tenant->name) == 0)
            sum_bytes += foreign->memory_bytes;
    }
    return sum_bytes;
}

static int compare_names(const void *name, const void *tenant)
{
    return strcmp(name, ((const struct snapshot_tenant *)tenant)->name);
}

const struct snapshot_tenant *snapshot_find(const struct snapshot *snapshot, const char *name)
{
    if (!snapshot->tenant_count)
        return NULL;
    return bsearch(name, snapshot->tenants, snapshot->tenant_count, sizeof(*snapshot->tenants),
                   compare_names);
}

const char *snapshot_state_word(enum snapshot_state state)
{
    static const char *const words[] = {
        [SNAPSHOT_STARTING] = "starting",   [SNAPSHOT_RUNNING] = "running",
        [SNAPSHOT_SUSPENDED] = "suspended", [SNAPSHOT_QUEUED] = "queued",
        [SNAPSHOT_ORPHANED] = "orphaned",
    };

    return (unsigned int)state < SNAPSHOT_STATE_END ? words[state] : "unknown";
}

const char *snapshot_priority_word(uint32_t priority)
{
    return region_priority_word(priority);
}
