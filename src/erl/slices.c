#include "erl/slices.h"

#define SLICE_LEAST_US       100u
#define SLICE_MOST_US        100000u
#define SLICE_LATENCY_US     100u  /* of a busy neighbour while a high tenant is active */
#define SLICE_LATENCY_LOW_US 50u   /* of a busy low neighbour then: p99 477 instead of 504 us */
#define SLICE_CROWD_US       1000u /* the mean with two or more: 200 us would leave 47 % */
#define SLICE_HIGH_US        4000u
#define SLICE_LOW_US         100u  /* of a low tenant beside a busy other one */
#define CYCLE_PART_US        8000u /* of each busy tenant in the cycle: loses 2.4 % to switches */
#define CYCLE_MOST_US        100000u
#define FREE_US              4000u /* of free tenants beside a capped one, for each weight */
#define FREE_SINGLE_US       1000u /* of one alone: how long the capped one waits to begin */
#define FREE_CROWD_US        500u  /* the same beside several */
#define SWITCH_LOSS_US       250u  /* a switch, and what the slice is longer than asked for */
#define NS_PER_MS            UINT64_C(1000000)
#define NS_PER_SEC           UINT64_C(1000000000)
#define WHOLE                100000u

/*
 * Sums over the active tenants. `sharing` are those whose slices are by weight: not the low ones
 * beside others, nor the high ones.
 */
struct sums {
    uint64_t cap, capped_weight; /* of all capped ones, active or not */
    uint64_t free_weight, sharing_weight, sharing_free_weight;
    uint32_t active_count, capped_count, all_capped_count, sharing_count, group_count;
    bool has_high, has_above_low;
    uint64_t free_room_us; /* for the slices of all free ones together, beside capped ones */
};

static bool is_capped(const struct slices_tenant *tenant)
{
    return tenant->cap_milli_percent < WHOLE;
}

static bool is_sharing(const struct slices_tenant *tenant, const struct sums *sums)
{
    return tenant->priority == SLICES_NORMAL ||
           (tenant->priority == SLICES_LOW && !sums->has_above_low);
}

static void sum_up_active(struct sums *sums, const struct slices_tenant *tenant)
{
    sums->active_count++;
    sums->capped_count += is_capped(tenant);
    sums->group_count += tenant->busy_group_count ? tenant->busy_group_count : 1;
    if (!is_capped(tenant))
        sums->free_weight += tenant->weight;
    sums->has_high |= tenant->priority == SLICES_HIGH;
    sums->has_above_low |= tenant->priority != SLICES_LOW;
}

static struct sums sum_up(const struct slices_tenant *tenants, size_t count)
{
    struct sums sums = {0};

    for (size_t i = 0; i < count; i++) {
        sums.all_capped_count += is_capped(&tenants[i]);
        if (is_capped(&tenants[i])) {
            sums.cap += tenants[i].cap_milli_percent;
            sums.capped_weight += tenants[i].weight;
        }
        if (tenants[i].is_active)
            sum_up_active(&sums, &tenants[i]);
    }
    for (size_t i = 0; i < count; i++) {
        if (!tenants[i].is_active || !is_sharing(&tenants[i], &sums))
            continue;
        sums.sharing_count++;
        sums.sharing_weight += tenants[i].weight;
        if (!is_capped(&tenants[i]))
            sums.sharing_free_weight += tenants[i].weight;
    }
    return sums;
}

/*
 * 20 ms for one capped tenant, 50 for up to five, 100 for up to ten; beyond, so long that two calls
 * a window and tenant stay within the rate. All divide or are multiples of 100 ms.
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
        plans[i].call_ns = sums->all_capped_count * NS_PER_SEC / SLICES_CALLS_PER_SECOND;
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

/*
 * What all free tenants together may have between two runs of a capped one, so that each capped
 * tenant's slice is worth its cap; every busy group costs a switch.
 */
static uint64_t find_free_room_us(const struct slices_plan *plans,
                                  const struct slices_tenant *tenants, size_t count,
                                  const struct sums *sums)
{
    uint64_t room_us = UINT32_MAX, loss_us = (uint64_t)SWITCH_LOSS_US * sums->group_count;
    uint64_t caps = 0;

    for (size_t i = 0; i < count; i++)
        if (is_capped(&tenants[i]) && tenants[i].is_active)
            caps += plans[i].cap_milli_percent;
    for (size_t i = 0; i < count && caps < WHOLE; i++) {
        uint64_t cap = plans[i].cap_milli_percent, beside_us;

        if (!is_capped(&tenants[i]) || !tenants[i].is_active || !cap)
            continue;
        beside_us = capped_slice_us(&plans[i]) * (WHOLE - caps) / cap;
        if (beside_us < room_us)
            room_us = beside_us;
    }
    return caps < WHOLE && room_us > loss_us ? room_us - loss_us : 0;
}

/* A tenant's part by weight of what those that share have together. */
static uint64_t part_us(const struct slices_tenant *tenant, uint64_t whole_us, uint64_t weight)
{
    if (!tenant->is_active)
        weight += tenant->weight; /* as if it had come already */
    return whole_us * tenant->weight / weight;
}

/*
 * A free tenant that is alone beside a capped one switches with nobody while that is off, so that a
 * short slice costs nothing: it makes the begin of the capped one's run exact. At 2 ms a window of
 * 100 ms that ends within a run was off by 0.9 points (H200).
 */
static uint64_t wanted_free_us(const struct slices_tenant *tenant, const struct sums *sums)
{
    if (sums->active_count - sums->capped_count <= 1)
        return sums->capped_count > 1 ? FREE_CROWD_US : FREE_SINGLE_US;
    return (uint64_t)FREE_US * tenant->weight;
}

static uint64_t free_slice_us(const struct slices_tenant *tenant, const struct sums *sums)
{
    uint64_t wanted_us = wanted_free_us(tenant, sums);
    uint64_t room_us = part_us(tenant, sums->free_room_us, sums->sharing_free_weight);

    return clamp_us(wanted_us < room_us ? wanted_us : room_us, SLICE_LEAST_US);
}

/* Without caps: a part of a cycle as long as latency allows, in proportion to weight. */
static uint64_t weighted_slice_us(const struct slices_tenant *tenant, const struct sums *sums)
{
    uint64_t cycle_us = (uint64_t)CYCLE_PART_US * sums->sharing_count;

    if (cycle_us > CYCLE_MOST_US)
        cycle_us = CYCLE_MOST_US;
    if (!tenant->is_active)
        return CYCLE_PART_US;
    return clamp_us(part_us(tenant, cycle_us, sums->sharing_weight), SLICE_LEAST_US);
}

static uint64_t latency_slice_us(const struct slices_tenant *tenant, const struct sums *sums)
{
    if (tenant->priority == SLICES_HIGH)
        return SLICE_HIGH_US;
    if (tenant->priority == SLICES_LOW)
        return SLICE_LATENCY_LOW_US;
    if (sums->active_count <= 2)
        return SLICE_LATENCY_US;
    if (!tenant->is_active)
        return SLICE_CROWD_US;
    return clamp_us(
        part_us(tenant, (uint64_t)SLICE_CROWD_US * sums->sharing_count, sums->sharing_weight),
        SLICE_LEAST_US);
}

static uint64_t choose_slice_us(const struct slices_plan *plan, const struct slices_tenant *tenant,
                                const struct sums *sums)
{
    uint64_t slice_us;

    if (sums->has_high)
        slice_us = latency_slice_us(tenant, sums);
    else if (tenant->priority == SLICES_LOW && sums->has_above_low)
        slice_us = SLICE_LOW_US;
    else if (is_capped(tenant))
        slice_us = capped_slice_us(plan);
    else if (sums->capped_count)
        slice_us = free_slice_us(tenant, sums);
    else
        slice_us = weighted_slice_us(tenant, sums);
    if (tenant->busy_group_count > 1)
        slice_us /= tenant->busy_group_count;
    return slice_us < SLICE_LATENCY_LOW_US ? SLICE_LATENCY_LOW_US : slice_us;
}

/* A cap is a guarantee beside a high tenant as well, but for a low one, which has what is left. */
static uint64_t choose_slice_most_us(const struct slices_plan *plan,
                                     const struct slices_tenant *tenant, const struct sums *sums)
{
    uint64_t groups = tenant->busy_group_count ? tenant->busy_group_count : 1, most_us;

    if (!sums->has_high || !is_capped(tenant) || tenant->priority == SLICES_LOW)
        return 0;
    most_us = capped_slice_us(plan) / groups;
    return most_us > plan->slice_us ? most_us : plan->slice_us;
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
    sums.free_room_us = find_free_room_us(plans, tenants, count, &sums);
    for (size_t i = 0; i < count; i++) {
        plans[i].slice_us = choose_slice_us(&plans[i], &tenants[i], &sums);
        plans[i].slice_most_us = choose_slice_most_us(&plans[i], &tenants[i], &sums);
    }
    set_entitlements(plans, tenants, count, &sums);
}
