#include "erl/slices.h"

#define SLICE_LEAST_US       100u
#define SLICE_MOST_US        100000u
#define SLICE_LATENCY_US     100u  /* of a busy neighbour while a high tenant is active */
#define SLICE_LATENCY_LOW_US 50u   /* of a busy low neighbour then: p99 477 instead of 504 us */
#define SLICE_CROWD_US       1000u /* with two or more busy neighbours: 200 us would leave 47 % */
#define SLICE_HIGH_US        4000u
#define SLICE_LOW_US         100u  /* of a low tenant beside a busy other one */
#define CYCLE_PART_US        8000u /* of each busy tenant in the cycle: loses 2.4 % to switches */
#define CYCLE_MOST_US        100000u
#define FREE_US              2000u /* of free tenants beside a capped one, for each weight */
#define FREE_SINGLE_US       1000u /* of one alone: how long the capped one waits to begin */
#define FREE_CROWD_US        500u  /* the same beside several */
#define SWITCH_LOSS_US       500u
#define NS_PER_MS            UINT64_C(1000000)
#define WHOLE                100000u

/* Sums over the active tenants. */
struct sums {
    uint64_t weight, free_weight, cap, capped_weight;
    uint32_t active_count, capped_count, all_capped_count, least_weight;
    bool has_high, has_above_low;
    uint32_t longest_capped_slice_us, largest_cap;
};

static bool is_capped(const struct slices_tenant *tenant)
{
    return tenant->cap_milli_percent < WHOLE;
}

static struct sums sum_up(const struct slices_tenant *tenants, size_t count)
{
    struct sums sums = {.least_weight = UINT32_MAX};

    for (size_t i = 0; i < count; i++) {
        const struct slices_tenant *tenant = &tenants[i];

        sums.all_capped_count += is_capped(tenant);
        if (is_capped(tenant)) {
            sums.cap += tenant->cap_milli_percent;
            sums.capped_weight += tenant->weight;
        }
        if (!tenant->is_active)
            continue;
        sums.active_count++;
        sums.weight += tenant->weight;
        sums.capped_count += is_capped(tenant);
        if (!is_capped(tenant))
            sums.free_weight += tenant->weight;
        if (tenant->weight < sums.least_weight)
            sums.least_weight = tenant->weight;
        sums.has_high |= tenant->priority == SLICES_HIGH;
        sums.has_above_low |= tenant->priority != SLICES_LOW;
    }
    return sums;
}

/*
 * 20 ms for one capped tenant, 50 for up to five, 100 for up to ten; beyond, so long that two calls a
 * window and tenant stay within the rate. All divide or are multiples of 100 ms.
 */
static uint64_t choose_window_ns(uint32_t capped_count)
{
    uint32_t calls = 2 * capped_count, per_window = SLICES_CALLS_PER_SECOND / 10;

    if (capped_count <= 1)
        return 20 * NS_PER_MS;
    if (capped_count <= 5)
        return 50 * NS_PER_MS;
    return 100 * NS_PER_MS * ((calls + per_window - 1) / per_window);
}

/*
 * The cap, unless the caps exceed the whole: then a part of the whole by weight, and no more than
 * the cap. What a small cap leaves of its part goes to the others in further rounds.
 */
static void share_caps(struct slices_plan *plans, const struct slices_tenant *tenants, size_t count,
                       const struct sums *sums)
{
    uint64_t left = WHOLE, weight = sums->capped_weight;
    bool is_settled[SLICES_TENANTS_MAX] = {false};
    bool has_changed = true;

    for (size_t i = 0; i < count; i++)
        plans[i].cap_milli_percent = tenants[i].cap_milli_percent;
    if (sums->cap <= WHOLE)
        return;
    while (has_changed) {
        uint64_t round_left = left, round_weight = weight;

        has_changed = false;
        for (size_t i = 0; i < count; i++) {
            if (!is_capped(&tenants[i]) || is_settled[i])
                continue;
            plans[i].cap_milli_percent = (uint32_t)(round_left * tenants[i].weight / round_weight);
            if (plans[i].cap_milli_percent < tenants[i].cap_milli_percent)
                continue;
            plans[i].cap_milli_percent = tenants[i].cap_milli_percent;
            is_settled[i] = true;
            has_changed = true;
            left -= tenants[i].cap_milli_percent;
            weight -= tenants[i].weight;
        }
    }
}

/*
 * Windows begin W x (the sum of the caps before it) after each other, so that runs do not overlap.
 */
static void set_windows(struct slices_plan *plans, const struct slices_tenant *tenants,
                        size_t count, const struct sums *sums)
{
    uint64_t window_ns = choose_window_ns(sums->all_capped_count);

    for (size_t i = 0; i < count; i++) {
        uint64_t before = 0;

        if (!is_capped(&tenants[i]))
            continue;
        for (size_t j = 0; j < count; j++)
            if (is_capped(&tenants[j]) && tenants[j].key < tenants[i].key)
                before += plans[j].cap_milli_percent;
        plans[i].window_ns = window_ns;
        plans[i].phase_ns = window_ns * (before % WHOLE) / WHOLE;
    }
}

static uint64_t clamp_us(uint64_t slice_us, uint64_t least_us)
{
    if (slice_us < least_us)
        return least_us;
    return slice_us > SLICE_MOST_US ? SLICE_MOST_US : slice_us;
}

/*
 * A capped tenant gets its budget in one run: 1.35 times it, so that the slice does not end first.
 */
static uint64_t capped_slice_us(const struct slices_plan *plan)
{
    return clamp_us(plan->window_ns / 1000 * plan->cap_milli_percent / WHOLE * 27 / 20, 1000);
}

/* So short that each capped tenant's slice beside it is worth its cap. */
static uint64_t free_slice_us(const struct slices_plan *plans, const struct slices_tenant *tenants,
                              size_t count, uint64_t wanted_us)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t cap = plans[i].cap_milli_percent, most_us;

        if (!is_capped(&tenants[i]) || !tenants[i].is_active || !cap)
            continue;
        most_us = capped_slice_us(&plans[i]) * (WHOLE - cap) / cap;
        most_us = most_us > SWITCH_LOSS_US ? most_us - SWITCH_LOSS_US : 0;
        if (wanted_us > most_us)
            wanted_us = most_us;
    }
    return clamp_us(wanted_us, SLICE_LEAST_US);
}

/* Without caps: a part of a cycle as long as latency allows, in proportion to weight. */
static uint64_t weighted_slice_us(const struct slices_tenant *tenant, const struct sums *sums)
{
    uint64_t cycle_us = (uint64_t)CYCLE_PART_US * sums->active_count;

    if (cycle_us > CYCLE_MOST_US)
        cycle_us = CYCLE_MOST_US;
    if (!tenant->is_active || !sums->weight)
        return CYCLE_PART_US;
    return clamp_us(cycle_us * tenant->weight / sums->weight, SLICE_LEAST_US);
}

static uint64_t latency_slice_us(const struct slices_tenant *tenant, const struct sums *sums)
{
    if (tenant->priority == SLICES_HIGH)
        return SLICE_HIGH_US;
    if (tenant->priority == SLICES_LOW)
        return SLICE_LATENCY_LOW_US;
    return sums->active_count > 2 ? SLICE_CROWD_US : SLICE_LATENCY_US;
}

/*
 * A free tenant that is alone beside a capped one switches with nobody while that is off, so that a short
 * slice costs nothing: it makes the begin of the capped one's run exact. At 2 ms a window of 100 ms that
 * ends within a run was off by 0.9 points (H200).
 */
static uint64_t wanted_free_us(const struct slices_tenant *tenant, const struct sums *sums)
{
    if (sums->capped_count > 1)
        return (uint64_t)FREE_CROWD_US * tenant->weight;
    if (sums->active_count - sums->capped_count <= 1)
        return FREE_SINGLE_US;
    return (uint64_t)FREE_US * tenant->weight;
}

static uint64_t choose_slice_us(const struct slices_plan *plans,
                                const struct slices_tenant *tenants, size_t count, size_t i,
                                const struct sums *sums)
{
    const struct slices_tenant *tenant = &tenants[i];
    uint64_t slice_us;

    if (sums->has_high)
        slice_us = latency_slice_us(tenant, sums);
    else if (tenant->priority == SLICES_LOW && sums->has_above_low)
        slice_us = SLICE_LOW_US;
    else if (is_capped(tenant))
        slice_us = capped_slice_us(&plans[i]);
    else if (sums->capped_count)
        slice_us = free_slice_us(plans, tenants, count, wanted_free_us(tenant, sums));
    else
        slice_us = weighted_slice_us(tenant, sums);
    if (tenant->busy_group_count > 1)
        slice_us /= tenant->busy_group_count;
    return slice_us < SLICE_LATENCY_LOW_US ? SLICE_LATENCY_LOW_US : slice_us;
}

static void set_entitlements(struct slices_plan *plans, const struct slices_tenant *tenants,
                             size_t count, const struct sums *sums)
{
    uint64_t taken = 0;

    for (size_t i = 0; i < count; i++)
        if (is_capped(&tenants[i]) && tenants[i].is_active)
            taken += plans[i].cap_milli_percent;
    for (size_t i = 0; i < count; i++) {
        uint64_t weight = sums->free_weight + (tenants[i].is_active ? 0 : tenants[i].weight);

        if (is_capped(&tenants[i]))
            plans[i].entitled_milli_percent = plans[i].cap_milli_percent;
        else
            plans[i].entitled_milli_percent =
                (uint32_t)((taken < WHOLE ? WHOLE - taken : 0) * tenants[i].weight / weight);
    }
}

void slices_plan(struct slices_plan *plans, const struct slices_tenant *tenants, size_t count)
{
    struct sums sums;

    for (size_t i = 0; i < count; i++)
        plans[i] = (struct slices_plan){
            .entitled_milli_percent = WHOLE, .cap_milli_percent = WHOLE, .slice_us = CYCLE_PART_US};
    if (count > SLICES_TENANTS_MAX)
        count = SLICES_TENANTS_MAX;
    sums = sum_up(tenants, count);
    share_caps(plans, tenants, count, &sums);
    set_windows(plans, tenants, count, &sums);
    for (size_t i = 0; i < count; i++)
        plans[i].slice_us = choose_slice_us(plans, tenants, count, i, &sums);
    set_entitlements(plans, tenants, count, &sums);
}
