#include "supervisor/governor.h"

#include "abi/rm.h"
#include "supervisor/actuator.h"
#include "supervisor/gpus.h"
#include "supervisor/neighbours.h"
#include "supervisor/sampler.h"
#include "utils/atomics.h"
#include "utils/clock.h"
#include "utils/log.h"

#include <errno.h>

#define PLAN_EVERY_NS    (20 * NS_PER_MS)
#define FACTS_EVERY_NS   (100 * NS_PER_MS)
#define ALONE_EVERY_NS   (200 * NS_PER_MS)
#define SAMPLER_RETRY_NS NS_PER_SEC
#define LEASE_MARGIN_NS  (10 * NS_PER_MS)
#define LEASE_GRACE_NS   (50 * NS_PER_MS) /* after a lease the guards enable by themselves */
#define LEASE_MOST_NS    (80 * NS_PER_MS) /* so that with the grace it is well below 200 ms */
#define LEASE_RENEW_NS   (40 * NS_PER_MS)
#define CALL_TYPICAL_NS  (500 * NS_PER_US)
#define SETTLE_NS        (2 * NS_PER_MS) /* after this long a disable has had its effect */
#define INERT_MOST       5u
#define SLOW_NS          (2 * NS_PER_MS) /* a call or a delay that is worth a line in the log */
#define DUTY_WHOLE       100000u
#define PACE_AHEAD       4u /* calls may be made ahead of their time */

void governor_init(struct governor *governor, struct region_control *control, uint32_t slot,
                   const struct gpus_card *card)
{
    *governor = (struct governor){.control = control,
                                  .slot = slot,
                                  .card = card,
                                  .call_ns = CALL_TYPICAL_NS,
                                  .state = {.engine = REGION_ENGINE_RM,
                                            .used_milli_percent = UINT64_MAX,
                                            .duty_milli_percent = UINT64_MAX,
                                            .slice_us = UINT64_MAX,
                                            .entitled_milli_percent = UINT64_MAX,
                                            .call_ns = UINT64_MAX}};
    idle_init(&governor->idle);
    census_init(&governor->census);
}

void governor_fini(struct governor *governor)
{
    sampler_close(governor->sampler);
    governor->sampler = NULL;
}

/* --- measuring --- */

static void open_sampler(struct governor *governor, uint64_t now_ns)
{
    struct err err;

    if (governor->sampler || now_ns < governor->sampler_retry_ns)
        return;
    governor->sampler_retry_ns = now_ns + SAMPLER_RETRY_NS;
    if (sampler_open(&governor->sampler, governor->card, &err) < 0)
        log_debug("GPU %u: switch records: %s", governor->card->nvml_index, err.text);
}

static struct budget_measure measure(const struct governor *governor)
{
    return (struct budget_measure){.net_ns = (uint64_t)governor->census.net_ns,
                                   .is_on_engine = governor->census.is_on_engine};
}

/*
 * What was known is over, and the sums begin anew: the GPU is lost, say, or the driver was
 * reloaded.
 */
static void lose_sampler(struct governor *governor)
{
    struct budget_measure now;

    sampler_close(governor->sampler);
    governor->sampler = NULL;
    governor->lost_count = 0;
    governor->gone_count = 0;
    governor->blind_net_ns = 0;
    census_init(&governor->census);
    now = measure(governor);
    budget_resume(&governor->budget, &now);
    governor->second = (struct governor_second){.off_since_ns = governor->second.off_since_ns};
    governor->state.used_milli_percent = UINT64_MAX;
    governor->state.duty_milli_percent = UINT64_MAX;
}

/*
 * A tenant without a cap and without others of this user beside it has nothing that is decided by
 * records. It is spared what they cost: a second client of the driver's beside its own, while it
 * makes its context and later.
 */
static bool needs_records(const struct governor_input *input)
{
    return input->peer_count || input->quota.cap_milli_percent < SLICES_NO_CAP;
}

/* Returns the instant that the census stands for. */
static uint64_t take_census(struct governor *governor, const struct governor_input *input)
{
    const struct roster *roster = input->roster;
    /* Who is off writes no records: one that is to stay off and does tells of its driver. */
    bool flush = governor->is_capped || governor->is_suspended;
    uint64_t now_ns = clock_now_ns();

    if (needs_records(input)) {
        open_sampler(governor, now_ns);
    } else {
        if (governor->sampler)
            lose_sampler(governor);
        if (!governor->is_off)
            governor->state.duty_milli_percent = DUTY_WHOLE; /* it is never taken off */
    }
    if (!governor->sampler) {
        census_assume(&governor->census, roster, now_ns);
        return now_ns;
    }
    if (sampler_read(governor->sampler, flush) < 0) {
        lose_sampler(governor);
        return now_ns;
    }
    now_ns = clock_now_ns();
    census_update(&governor->census, governor->sampler, roster, now_ns);
    if (governor->census.gone_count != governor->gone_count) {
        governor->gone_count = governor->census.gone_count;
        governor->blind_net_ns = governor->census.net_ns;
    }
    if (sampler_lost_count(governor->sampler) != governor->lost_count) {
        struct budget_measure now = measure(governor);

        governor->lost_count = sampler_lost_count(governor->sampler);
        governor->blind_net_ns = governor->census.net_ns;
        budget_resume(&governor->budget, &now);
    }
    return now_ns;
}

/* --- switching --- */

static void set_lease(struct governor *governor, uint64_t lease_ns)
{
    /* Pairs with the guards' acquire: a lease is seen no later than what is done under it. */
    store_release(&governor->control->gpus[governor->slot].lease_ns, lease_ns);
}

/* Off until the window's end, or for longer: then the lease is renewed on the way. */
static void extend_lease(struct governor *governor, uint64_t now_ns)
{
    uint64_t until_ns = governor->budget.window_end_ns;

    if (governor->is_suspended || until_ns > now_ns + LEASE_MOST_NS)
        until_ns = now_ns + LEASE_MOST_NS;
    set_lease(governor, until_ns + LEASE_MARGIN_NS + 2 * governor->call_ns);
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

static bool may_disable(const struct governor *governor, const struct roster *roster,
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

static void enable(struct governor *governor, struct roster *roster)
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
        governor->second.off_ns += clock_now_ns() - governor->second.off_since_ns;
    if (governor->disabled_ns && begin_ns > settled_ns(governor) &&
        !has_run_since_disable(governor))
        governor->inert_count = 0;
    governor->is_off = false;
    set_lease(governor, 0); /* invariant 1 */
}

static void disable(struct governor *governor, struct roster *roster)
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
        enable(governor, roster);
    }
}

/* Channels that appeared while the tenant is off. */
static void disable_newcomers(struct governor *governor, struct roster *roster)
{
    uint64_t begin_ns = clock_now_ns();
    uint32_t status;
    int rc;

    if (!may_disable(governor, roster, begin_ns))
        return;
    rc = actuator_switch(roster, true, &status);
    note_call(governor, begin_ns, rc);
    if (rc > 0)
        pace(governor, begin_ns, (size_t)rc);
    if (rc)
        governor->disabled_ns = 0; /* what ran until now was not off: there is nothing to judge */
}

/*
 * We were stopped, or very late: the guards have put the channels back meanwhile, whatever we
 * believe, and what was used without us is not the tenant's debt.
 */
static void make_up(struct governor *governor, struct roster *roster, uint64_t now_ns)
{
    uint64_t lease_ns = load_relaxed(&governor->control->gpus[governor->slot].lease_ns);
    struct budget_measure now = measure(governor);

    if (!governor->is_off || !lease_ns || now_ns <= lease_ns + LEASE_GRACE_NS)
        return;
    enable(governor, roster);
    budget_resume(&governor->budget, &now);
}

/*
 * A context that was on the engine before the records began, and is alone there, writes none until
 * it leaves: so it was with one whose supervisor was replaced. Off and on again shows it.
 */
static void show(struct governor *governor, struct roster *roster, uint64_t now_ns)
{
    const struct census *census = &governor->census;

    if (census->is_on_engine || census->net_ns != governor->blind_net_ns || governor->is_off ||
        now_ns < governor->show_ns || !may_disable(governor, roster, now_ns))
        return;
    governor->show_ns = now_ns + NS_PER_SEC;
    disable(governor, roster);
    enable(governor, roster);
}

/*
 * A tenant that has the engine though all its channels are off: such a driver accepts and does
 * nothing. Beside a busy neighbour it has it now and then: it is looked at while it is off.
 */
static void judge_disable(struct governor *governor, const struct roster *roster, uint64_t now_ns)
{
    if (!governor->is_off || !governor->disabled_ns || !governor->sampler ||
        now_ns < settled_ns(governor))
        return;
    if (!actuator_is_all_off(roster)) {
        governor->disabled_ns = 0;
        return;
    }
    if (!has_run_since_disable(governor))
        return;
    governor->inert_count++;
    governor->disabled_ns = now_ns;
    if (governor->inert_count >= INERT_MOST)
        give_up(governor, "taking channels off the GPU is accepted but has no effect");
}

void governor_release(struct governor *governor, struct roster *roster)
{
    enable(governor, roster);
}

/* --- planning --- */

/* The idle correction, which means something only while nobody else has work. */
static uint32_t idle_factor(struct governor *governor, const struct governor_input *input,
                            uint64_t now_ns)
{
    struct idle_measure measured = {
        .now_ns = now_ns,
        .net_ns = governor->census.net_ns,
        .busy_stamp = input->busy_stamp,
        .busy_percent = input->busy_percent,
        .cap_milli_percent = governor->plan.cap_milli_percent,
    };

    if (governor->has_active_peer || input->busy_percent == UINT32_MAX || !governor->sampler) {
        idle_init(&governor->idle);
        return IDLE_NONE;
    }
    return idle_note(&governor->idle, &measured);
}

/* As planned, but so long that slow calls, or many of them, stay a small part of it. */
static uint64_t stretch_window(const struct governor *governor, const struct roster *roster,
                               uint64_t window_ns)
{
    uint64_t calls = actuator_calls(roster), least_ns;

    if (calls > 1)
        window_ns *= calls;
    least_ns = 10 * governor->call_ns * (calls ? calls : 1);
    if (least_ns > window_ns)
        window_ns = (least_ns + 100 * NS_PER_MS - 1) / (100 * NS_PER_MS) * (100 * NS_PER_MS);
    return window_ns;
}

static void start_budget(struct governor *governor, const struct budget_parameters *parameters)
{
    budget_init(&governor->budget, parameters);
    governor->budget.is_on = !governor->is_off;
    governor->is_capped = true;
}

static void act(struct governor *governor, struct roster *roster, enum budget_action action)
{
    if (action == BUDGET_DISABLE)
        disable(governor, roster);
    else if (action == BUDGET_ENABLE)
        enable(governor, roster);
}

static void apply_plan(struct governor *governor, const struct governor_input *input,
                       uint64_t now_ns)
{
    struct budget_parameters parameters = {
        .cap_milli_percent = governor->plan.cap_milli_percent,
        .window_ns = stretch_window(governor, input->roster, governor->plan.window_ns),
        .phase_ns = governor->plan.phase_ns,
        .idle_factor_milli = idle_factor(governor, input, now_ns),
    };
    bool is_wanted = parameters.cap_milli_percent < BUDGET_CAP_NONE &&
                     governor->state.engine == REGION_ENGINE_RM;
    struct budget_measure now = measure(governor);
    const struct budget_parameters *old = &governor->budget.parameters;

    if (!is_wanted || governor->is_suspended) {
        governor->is_capped = false;
        if (governor->is_off && !governor->is_suspended)
            enable(governor, input->roster);
    } else if (!governor->is_capped) {
        start_budget(governor, &parameters);
    } else if (old->cap_milli_percent != parameters.cap_milli_percent ||
               old->window_ns != parameters.window_ns) {
        act(governor, input->roster,
            budget_change(&governor->budget, now_ns, &now, &parameters,
                          may_disable(governor, input->roster, now_ns)));
    } else {
        governor->budget.parameters = parameters;
    }
}

static void make_plan(struct governor *governor, const struct governor_input *input,
                      uint64_t now_ns)
{
    uint32_t status = RM_OK;
    int rc;

    governor->has_active_peer = neighbours_plan(&governor->plan, governor, input, now_ns);
    governor->planned_ns = now_ns;
    governor->state.entitled_milli_percent = governor->plan.entitled_milli_percent;
    governor->plan_ns = now_ns + (input->peer_count ? PLAN_EVERY_NS : ALONE_EVERY_NS);
    apply_plan(governor, input, now_ns);
    if (!input->roster->count)
        return;
    rc = actuator_set_slices(input->roster, governor->plan.slice_us, &status);
    if (rc < 0)
        governor->state.control_failures++;
    else
        governor->state.slice_us = governor->plan.slice_us;
}

/* --- telling --- */

static void finish_second(struct governor *governor, uint64_t now_ns)
{
    struct governor_second *second = &governor->second;
    uint64_t span_ns = now_ns - second->begin_ns;
    int64_t used_ns = governor->census.net_ns - second->net_ns;

    if (!governor->sampler)
        return; /* a second counts from where its records begin */
    second->was_shared |= second->switch_count || governor->census.neighbour_until_ns > now_ns;
    if (second->begin_ns && span_ns < NS_PER_SEC)
        return;
    if (governor->is_off) {
        second->off_ns += now_ns - second->off_since_ns;
        second->off_since_ns = now_ns;
    }
    if (used_ns < 0)
        used_ns = 0;
    if (second->begin_ns) {
        /* Alone it writes no records, whether it works or not: nothing of them is not zero use. */
        bool is_known = second->was_shared || !governor->census.group_count;

        governor->state.used_milli_percent =
            is_known ? (uint64_t)used_ns * 100000 / span_ns : UINT64_MAX;
        governor->state.duty_milli_percent =
            second->off_ns < span_ns ? 100000 - second->off_ns * 100000 / span_ns : 0;
    }
    *second = (struct governor_second){.begin_ns = now_ns,
                                       .net_ns = governor->census.net_ns,
                                       .off_since_ns = second->off_since_ns};
}

static void publish(struct governor *governor, const struct governor_input *input, uint64_t now_ns)
{
    const struct controller_state *state = &governor->state;
    struct region_facts facts = {
        .cap_milli_percent = input->quota.cap_milli_percent,
        .weight = input->quota.weight,
        .priority = (uint32_t)input->quota.priority,
        .group_count = governor->census.group_count,
        .busy_group_count = governor->census.busy_group_count,
        .is_active = governor->census.active_until_ns > now_ns,
        .slice_us = state->slice_us == UINT64_MAX ? 0 : (uint32_t)state->slice_us,
        .duty_milli_percent = (uint32_t)state->duty_milli_percent,
        .used_milli_percent = (uint32_t)state->used_milli_percent,
        .updated_ns = now_ns,
    };

    governor->facts_ns = now_ns + FACTS_EVERY_NS;
    governor->state.busy_group_count = governor->census.busy_group_count;
    region_write_facts(&governor->control->gpus[governor->slot], &facts);
}

/* --- the step --- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t step_budget(struct governor *governor, const struct governor_input *input,
                            uint64_t now_ns)
{
    struct budget_measure now = measure(governor);

    make_up(governor, input->roster, now_ns);
    judge_disable(governor, input->roster, now_ns);
    show(governor, input->roster, now_ns);
    governor->budget.parameters.idle_factor_milli = idle_factor(governor, input, now_ns);
    if (governor->is_off != !governor->budget.is_on)
        governor->budget.is_on = !governor->is_off; /* a call failed */
    if (now_ns >= governor->budget.wake_ns)
        act(governor, input->roster,
            budget_step(&governor->budget, now_ns, &now,
                        may_disable(governor, input->roster, now_ns)));
    else if (governor->is_off)
        disable_newcomers(governor, input->roster);
    if (!governor->is_off || governor->is_stuck)
        return governor->budget.wake_ns;
    extend_lease(governor, now_ns);
    return earlier(governor->budget.wake_ns, now_ns + LEASE_RENEW_NS);
}

/*
 * Off until it is resumed. As under a cap the lease is renewed by somebody who lives, and what is
 * not off yet, for the rate of calls or for a guard that is not armed, is tried again.
 */
static uint64_t step_suspended(struct governor *governor, const struct governor_input *input,
                               uint64_t now_ns)
{
    make_up(governor, input->roster, now_ns);
    judge_disable(governor, input->roster, now_ns);
    if (governor->is_off)
        disable_newcomers(governor, input->roster);
    else if (may_disable(governor, input->roster, now_ns))
        disable(governor, input->roster);
    if (governor->is_off)
        extend_lease(governor, now_ns);
    return now_ns + LEASE_RENEW_NS;
}

/*
 * For whoever looks into a spread: the driver's locks are held by others at times, for
 * milliseconds.
 */
static void note_delay(struct governor *governor, uint64_t begin_ns, uint64_t read_ns)
{
    uint64_t late_ns =
        governor->step_ns && begin_ns > governor->step_ns ? begin_ns - governor->step_ns : 0;

    governor->state.late_looks += late_ns > SLOW_NS;
    if (late_ns + read_ns - begin_ns > SLOW_NS)
        log_debug("GPU %u: a step began %llu us late, its reading took %llu us",
                  governor->card->nvml_index, (unsigned long long)(late_ns / NS_PER_US),
                  (unsigned long long)((read_ns - begin_ns) / NS_PER_US));
}

uint64_t governor_step(struct governor *governor, const struct governor_input *input)
{
    uint64_t begin_ns = clock_now_ns(), now_ns, next_ns;

    governor->is_suspended =
        input->quota.is_suspended && governor->state.engine == REGION_ENGINE_RM;
    now_ns = take_census(governor, input);
    note_delay(governor, begin_ns, now_ns);
    if (now_ns >= governor->plan_ns)
        make_plan(governor, input, now_ns);
    if (governor->is_suspended)
        next_ns = step_suspended(governor, input, now_ns);
    else if (governor->is_capped && governor->sampler)
        next_ns = step_budget(governor, input, now_ns);
    else
        next_ns = UINT64_MAX;
    if (governor->is_off && !governor->sampler && !governor->is_suspended)
        enable(governor, input->roster); /* nobody sees what it uses */
    now_ns = clock_now_ns();
    finish_second(governor, now_ns);
    if (now_ns >= governor->facts_ns)
        publish(governor, input, now_ns);
    governor->step_ns = earlier(next_ns, earlier(governor->plan_ns, governor->facts_ns));
    return governor->step_ns;
}
