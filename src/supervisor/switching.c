#include "supervisor/switching.h"

#include "abi/rm.h"
#include "supervisor/actuator.h"
#include "supervisor/governor.h"
#include "supervisor/gpus.h"
#include "utils/atomics.h"
#include "utils/clock.h"
#include "utils/log.h"

#include <errno.h>

#define LEASE_MARGIN_NS (10 * NS_PER_MS)
#define LEASE_MOST_NS   (80 * NS_PER_MS) /* so that with the grace it is well below 200 ms */
#define STORE_NS        NS_PER_MS        /* within this a lease that is stored is seen by all */
#define SETTLE_NS       (2 * NS_PER_MS)  /* after this long a disable has had its effect */
#define INERT_MOST      5u
#define SLOW_NS         (2 * NS_PER_MS) /* a call that is worth a line in the log */
#define PACE_AHEAD      4u              /* calls may be made ahead of their time */

static void set_lease(struct governor *governor, uint64_t lease_ns)
{
    /* Pairs with the guards' acquire: a lease is seen no later than what is done under it. */
    store_release(&governor->control->gpus[governor->slot].lease_ns, lease_ns);
}

static uint64_t get_lease(const struct governor *governor)
{
    return load_relaxed(&governor->control->gpus[governor->slot].lease_ns);
}

static void extend_lease(struct governor *governor, uint64_t now_ns)
{
    uint64_t until_ns = governor->budget.window_end_ns;

    if (governor->is_suspended || until_ns > now_ns + LEASE_MOST_NS)
        until_ns = now_ns + LEASE_MOST_NS;
    set_lease(governor, until_ns + LEASE_MARGIN_NS + 2 * governor->call_ns);
}

/*
 * Whether a guard may have put channels back under this lease. They read their clock before the
 * lease: asked after another lease was stored, this tells of all that ever will by the old one.
 */
static bool may_have_run_out(uint64_t lease_ns)
{
    return lease_ns && clock_now_ns() + STORE_NS > lease_ns + REGION_LEASE_GRACE_NS;
}

/* A tenant that is suspended without a cap is none of those that a plan shares the calls among. */
static uint64_t call_worth_ns(const struct governor *governor)
{
    uint64_t least_ns = NS_PER_SEC / SLICES_CALLS_PER_SECOND;

    return governor->plan.call_ns > least_ns ? governor->plan.call_ns : least_ns;
}

/*
 * Each call is worth its part of the rate that a GPU is given (SLICES_CALLS_PER_SECOND): who makes
 * more of them, for a cap that is set all the time or for channels that come all the time, has to
 * wait with the next disable. A window's two calls are less than a window's worth but for a full
 * house, so that what was made ahead is made up for.
 */
static void pace(struct governor *governor, uint64_t now_ns, size_t calls)
{
    if (governor->pace_ns < now_ns)
        governor->pace_ns = now_ns;
    governor->pace_ns += call_worth_ns(governor) * calls;
}

bool switching_may_disable(const struct governor *governor, const struct roster *roster,
                           uint64_t now_ns)
{
    return governor->pace_ns <= now_ns + PACE_AHEAD * call_worth_ns(governor) &&
           actuator_may_disable(roster);
}

static void note_call(struct governor *governor, uint64_t begin_ns, int rc)
{
    uint64_t took_ns = clock_now_ns() - begin_ns;

    if (rc < 0)
        governor->state.control_failures++;
    else
        governor->state.switch_calls += (uint64_t)rc;
    if (took_ns > SLOW_NS)
        log_debug("GPU %u: a switch took %llu us", governor->card->nvml_index,
                  (unsigned long long)(took_ns / NS_PER_US));
    if (rc > 0)
        governor->call_ns = (7 * governor->call_ns + 3 * took_ns / (uint64_t)rc) / 10;
    if (rc > 0)
        governor->state.call_ns = governor->call_ns;
}

static void give_up(struct governor *governor, const char *why)
{
    if (governor->state.engine == REGION_ENGINE_MEMORY_ONLY)
        return;
    governor->state.engine = REGION_ENGINE_MEMORY_ONLY;
    log_info("GPU %u: %s, so that compute limits have no effect there; the memory limit holds",
             governor->card->nvml_index, why); /* people are told by the front, once */
}

/* From then on the newest disable has had its effect. */
static uint64_t settled_ns(const struct governor *governor)
{
    return governor->disabled_ns + SETTLE_NS + 2 * governor->call_ns;
}

static bool has_run_since_disable(const struct governor *governor)
{
    return governor->census.is_on_engine || governor->census.last_end_ns > settled_ns(governor);
}

void switching_enable(struct governor *governor, struct roster *roster)
{
    uint64_t begin_ns = clock_now_ns();
    uint32_t status;
    int rc = actuator_switch(roster, false, &status);

    note_call(governor, begin_ns, rc);
    governor->is_stuck = rc < 0;
    if (rc < 0) {
        /* The guards' turn, should it not work the next time either. */
        log_debug("GPU %u: enable: %d status 0x%x", governor->card->nvml_index, rc, status);
        return;
    }
    if (governor->is_off)
        governor_count_off(governor, clock_now_ns());
    if (governor->disabled_ns && begin_ns > settled_ns(governor) &&
        !has_run_since_disable(governor))
        governor->inert_count = 0;
    governor->is_off = false;
    set_lease(governor, 0); /* invariant 1 */
}

void switching_disable(struct governor *governor, struct roster *roster)
{
    uint64_t begin_ns = clock_now_ns();
    uint32_t status = RM_OK;
    int rc;

    extend_lease(governor, begin_ns);
    if (!governor->is_off)
        governor->second.off_since_ns = begin_ns;
    governor->is_off = true;
    governor->disabled_ns = begin_ns;
    governor->second.switch_count++;
    pace(governor, begin_ns, 2 * actuator_calls(roster));
    rc = actuator_switch(roster, true, &status);
    note_call(governor, begin_ns, rc);
    if (rc < 0) {
        if (rc == -EREMOTEIO &&
            (status == RM_INSUFFICIENT_PERMISSIONS || status == RM_NOT_SUPPORTED))
            give_up(governor, "the driver refuses to take channels off the GPU");
        switching_enable(governor, roster);
    }
}

void switching_add_newcomers(struct governor *governor, struct roster *roster)
{
    uint64_t begin_ns = clock_now_ns();
    uint32_t status;
    int rc;

    if (!switching_may_disable(governor, roster, begin_ns))
        return;
    rc = actuator_switch(roster, true, &status);
    note_call(governor, begin_ns, rc);
    if (rc > 0)
        pace(governor, begin_ns, (size_t)rc);
    /* What ran until now was not off: in a short stay there is nothing to judge any more. */
    if (rc)
        governor->disabled_ns = governor->is_suspended ? begin_ns : 0;
}

/* The guards have put the channels back, or are about to: so do we, to know how it stands. */
static void follow_guards(struct governor *governor, struct roster *roster)
{
    struct budget_measure now = census_measure(&governor->census);

    switching_enable(governor, roster);
    budget_resume(&governor->budget, &now);
}

void switching_make_up(struct governor *governor, struct roster *roster)
{
    if (governor->is_off && may_have_run_out(get_lease(governor)))
        follow_guards(governor, roster);
}

void switching_renew(struct governor *governor, struct roster *roster)
{
    uint64_t old_ns = get_lease(governor);

    if (governor->is_stuck)
        return;
    extend_lease(governor, clock_now_ns());
    if (may_have_run_out(old_ns))
        follow_guards(governor, roster);
}

void switching_show(struct governor *governor, struct roster *roster, uint64_t now_ns)
{
    const struct census *census = &governor->census;

    if (census->is_on_engine || census->net_ns != governor->blind_net_ns || governor->is_off ||
        now_ns < governor->show_ns || !switching_may_disable(governor, roster, now_ns))
        return;
    governor->show_ns = now_ns + NS_PER_SEC;
    switching_disable(governor, roster);
    switching_enable(governor, roster);
}

bool switching_judge(struct governor *governor, const struct roster *roster, uint64_t now_ns)
{
    if (!governor->is_off || !governor->disabled_ns || !governor->sampler ||
        now_ns < settled_ns(governor))
        return false;
    if (!actuator_is_all_off(roster)) {
        governor->disabled_ns = 0;
        return false;
    }
    if (!has_run_since_disable(governor)) {
        if (now_ns > settled_ns(governor) + NS_PER_SEC)
            governor->inert_count = 0; /* else one in a long stay now and then would add up */
        return false;
    }
    governor->inert_count++;
    governor->disabled_ns = now_ns;
    if (governor->inert_count >= INERT_MOST)
        give_up(governor, "taking channels off the GPU is accepted but has no effect");
    return true;
}
