#include "supervisor/neighbours.h"

#include "ipc/message.h"
#include "supervisor/governor.h"
#include "utils/clock.h"
#include "utils/str.h"

/* Facts older than this are of a supervisor that is stopped: its tenant runs free (DESIGN 6). */
#define FACTS_MAX_AGE_NS NS_PER_SEC

/*
 * FNV-1a of the name: every planner orders the tenants alike. A peer's name may have no end, or
 * have it no more at the next look.
 */
static uint64_t make_key(const struct region_control *control)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < sizeof(control->name) && control->name[i]; i++)
        hash = (hash ^ (unsigned char)control->name[i]) * UINT64_C(1099511628211);
    return hash;
}

static uint32_t bound(uint32_t value, uint32_t least, uint32_t most)
{
    return value < least ? least : value > most ? most : value;
}

static const struct region_gpu *find_gpu(const struct region_control *control, const char *uuid)
{
    uint32_t count = bound(control->gpu_count, 0, REGION_GPUS_MAX);

    for (uint32_t i = 0; i < count; i++)
        if (str_equals(control->gpus[i].uuid, uuid))
            return &control->gpus[i];
    return NULL;
}

/* What a peer says of itself is bounded: it is another process's word. */
static bool read_peer(struct slices_tenant *tenant, const struct region_control *peer,
                      const char *uuid, uint64_t now_ns)
{
    const struct region_gpu *gpu = find_gpu(peer, uuid);
    struct region_facts facts;

    if (!gpu || !gpu->is_allowed || !region_read_facts(gpu, &facts) || !facts.group_count)
        return false;
    *tenant = (struct slices_tenant){
        .key = make_key(peer),
        .cap_milli_percent = bound(facts.cap_milli_percent, 1, SLICES_NO_CAP),
        .weight = bound(facts.weight, 1, 1000),
        .priority = (enum slices_priority)bound(facts.priority, SLICES_LOW, SLICES_HIGH),
        .busy_group_count = bound(facts.busy_group_count, 0, ROSTER_ENTRIES_MAX),
        .is_active = facts.is_active != 0,
    };
    if (now_ns > facts.updated_ns + FACTS_MAX_AGE_NS)
        tenant->cap_milli_percent = SLICES_NO_CAP;
    return true;
}

bool neighbours_plan(struct slices_plan *ret_plan, const struct governor *governor,
                     const struct governor_input *input, uint64_t now_ns)
{
    const char *uuid = governor->control->gpus[governor->slot].uuid;
    struct slices_tenant tenants[SLICES_TENANTS_MAX] = {{
        .key = make_key(governor->control),
        .cap_milli_percent = bound(input->quota.cap_milli_percent, 1, SLICES_NO_CAP),
        .weight = bound(input->quota.weight, 1, 1000),
        .priority = (enum slices_priority)input->quota.priority,
        .busy_group_count = governor->census.busy_group_count,
        .is_active = governor_is_active(governor, now_ns),
    }};
    struct slices_plan plans[SLICES_TENANTS_MAX];
    bool has_active_peer = false;
    size_t count = 1;

    for (size_t i = 0; i < input->peer_count && count < SLICES_TENANTS_MAX; i++) {
        if (!read_peer(&tenants[count], input->peers[i], uuid, now_ns))
            continue;
        has_active_peer |= tenants[count].is_active;
        count++;
    }
    slices_plan(plans, tenants, count);
    *ret_plan = plans[0];
    return has_active_peer;
}

void neighbours_describe(struct message_explained *explained,
                         const struct region_control *const *peers, size_t count)
{
    uint64_t now_ns = clock_now_ns();

    explained->tenant_count = 1;
    for (size_t i = 0; i < count; i++) {
        struct message_neighbour *neighbour = &explained->neighbours[explained->neighbour_count];
        const struct region_gpu *gpu = find_gpu(peers[i], explained->uuid);
        struct slices_tenant tenant;
        struct region_facts facts;

        if (!read_peer(&tenant, peers[i], explained->uuid, now_ns))
            continue;
        explained->tenant_count++;
        if (explained->neighbour_count == MESSAGE_NEIGHBOURS_MAX)
            continue;
        *neighbour = (struct message_neighbour){
            .cap_milli_percent = tenant.cap_milli_percent,
            .weight = tenant.weight,
            .priority = tenant.priority,
            .busy_group_count = tenant.busy_group_count,
            .is_active = tenant.is_active,
            .used_milli_percent =
                region_read_facts(gpu, &facts) ? facts.used_milli_percent : UINT32_MAX,
        };
        (void)str_format(neighbour->name, sizeof(neighbour->name), "%.*s",
                         (int)sizeof(peers[i]->name) - 1, peers[i]->name); /* same size */
        explained->neighbour_count++;
    }
}
