#include "supervisor/governor.h"

#include "abi/rm.h"
#include "supervisor/actuator.h"
#include "supervisor/gpus.h"
#include "supervisor/neighbours.h"
#include "supervisor/sampler.h"
#include "supervisor/switching.h"
#include "utils/clock.h"
#include "utils/log.h"

#include <errno.h>

#define PLAN_EVERY_NS    (20 * NS_PER_MS)
#define FACTS_EVERY_NS   (100 * NS_PER_MS)
#define ALONE_EVERY_NS   (200 * NS_PER_MS)
#define SAMPLER_RETRY_NS NS_PER_SEC
#define LEASE_RENEW_NS   (40 * NS_PER_MS)
#define CALL_TYPICAL_NS  (500 * NS_PER_US)
#define SLOW_NS          (2 * NS_PER_MS) /* a call or a delay that is worth a line in the log */
#define DUTY_WHOLE       100000u

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
    now = census_measure(&governor->census);
    budget_resume(&governor->budget, &now);
    governor->second = (struct governor_second){.off_since_ns = governor->second.off_since_ns};
    governor->state.used_milli_percent = UINT64_MAX;
    governor->state.duty_milli_percent = UINT64_MAX;
}

/*
 * A tenant without a cap and without others of this user beside it has nothing that is decided by
 * records, but whether it is off when it is to be. It is spared what they cost: a second client of
 * the driver's beside its own, while it makes its context and later.
 */
static bool needs_records(const struct governor_input *input)
{
    return input->peer_count || input->quota.cap_milli_percent < SLICES_NO_CAP ||
           input->quota.is_suspended;
}

/* Where there are no records: of who is held off it is known all the same that it has no work. */
static void assume(struct governor *governor, const struct governor_input *input, uint64_t now_ns)
{
    census_assume(&governor->census, input->roster, now_ns);
    governor->state.duty_milli_percent = needs_records(input) ? UINT64_MAX : DUTY_WHOLE;
    if (!governor->is_off)
        return;
    governor->state.duty_milli_percent = 0;
    governor->census.busy_group_count = 0;
}

/* Returns the instant that the census stands for. */
static uint64_t take_census(struct governor *governor, const struct governor_input *input)
{
    const struct roster *roster = input->roster;
    /* Who is off writes no records: one that is to stay off and does tells of its driver. */
    bool flush = governor->is_capped || governor->is_suspended;
    uint64_t now_ns = clock_now_ns();

    if (needs_records(input))
        open_sampler(governor, now_ns);
    else if (governor->sampler)
        lose_sampler(governor);
    if (!governor->sampler) {
        assume(governor, input, now_ns);
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
        struct budget_measure now = census_measure(&governor->census);

        governor->lost_count = sampler_lost_count(governor->sampler);
        governor->blind_net_ns = governor->census.net_ns;
        budget_resume(&governor->budget, &now);
    }
    return now_ns;
}

void governor_release(struct governor *governor, struct roster *roster)
{
    switching_enable(governor, roster);
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
        switching_disable(governor, roster);
    else if (action == BUDGET_ENABLE)
        switching_enable(governor, roster);
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
    struct budget_measure now = census_measure(&governor->census);
    const struct budget_parameters *old = &governor->budget.parameters;

    if (!is_wanted || governor->is_suspended) {
        governor->is_capped = false;
        if (governor->is_off && !governor->is_suspended)
            switching_enable(governor, input->roster);
    } else if (!governor->is_capped) {
        start_budget(governor, &parameters);
    } else if (old->cap_milli_percent != parameters.cap_milli_percent ||
               old->window_ns != parameters.window_ns) {
        act(governor, input->roster,
            budget_change(&governor->budget, now_ns, &now, &parameters,
                          switching_may_disable(governor, input->roster, now_ns)));
    } else {
        governor->budget.parameters = parameters;
    }
}

static uint64_t choose_slice_us(struct governor *governor, uint64_t now_ns)
{
    const struct slices_plan *plan = &governor->plan;
    uint64_t off_ns = governor->off_ns;
    struct stretch_measure now;

    if (!plan->slice_most_us || !governor->sampler || !governor->is_capped) {
        stretch_init(&governor->stretch);
        return plan->slice_us;
    }
    if (governor->is_off)
        off_ns += now_ns - governor->second.off_since_ns;
    now = (struct stretch_measure){.now_ns = now_ns,
                                   .net_ns = governor->census.net_ns,
                                   .interval_count = governor->census.interval_count,
                                   .off_ns = off_ns};
    return stretch_note(&governor->stretch, &now, plan->cap_milli_percent, plan->slice_us,
                        plan->slice_most_us);
}

static void make_plan(struct governor *governor, const struct governor_input *input,
                      uint64_t now_ns)
{
    uint32_t status = RM_OK;
    uint64_t slice_us;
    int rc;

    governor->has_active_peer = neighbours_plan(&governor->plan, governor, input, now_ns);
    governor->planned_ns = now_ns;
    governor->state.entitled_milli_percent = governor->plan.entitled_milli_percent;
    governor->plan_ns = now_ns + (input->peer_count ? PLAN_EVERY_NS : ALONE_EVERY_NS);
    apply_plan(governor, input, now_ns);
    if (!input->roster->count)
        return;
    slice_us = choose_slice_us(governor, now_ns);
    rc = actuator_set_slices(input->roster, slice_us, &status);
    if (rc < 0)
        governor->state.control_failures++;
    else
        governor->state.slice_us = slice_us;
}

/* --- telling --- */

void governor_count_off(struct governor *governor, uint64_t now_ns)
{
    struct governor_second *second = &governor->second;
    uint64_t off_ns = now_ns - second->off_since_ns;

    second->off_ns += off_ns;
    second->off_since_ns = now_ns;
    governor->off_ns += off_ns;
}

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
    if (governor->is_off)
        governor_count_off(governor, now_ns);
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

bool governor_is_active(const struct governor *governor, uint64_t now_ns)
{
    bool is_held = governor->is_suspended && governor->is_off;

    return governor->census.active_until_ns > now_ns && !is_held;
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
        .is_active = governor_is_active(governor, now_ns),
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
    struct budget_measure now = census_measure(&governor->census);

    switching_make_up(governor, input->roster);
    (void)switching_judge(governor, input->roster, now_ns);
    switching_show(governor, input->roster, now_ns);
    governor->budget.parameters.idle_factor_milli = idle_factor(governor, input, now_ns);
    if (governor->is_off != !governor->budget.is_on)
        governor->budget.is_on = !governor->is_off; /* a call failed */
    if (now_ns >= governor->budget.wake_ns)
        act(governor, input->roster,
            budget_step(&governor->budget, now_ns, &now,
                        switching_may_disable(governor, input->roster, now_ns)));
    else if (governor->is_off)
        switching_add_newcomers(governor, input->roster);
    if (!governor->is_off || governor->is_stuck)
        return governor->budget.wake_ns;
    switching_renew(governor, input->roster);
    return earlier(governor->budget.wake_ns, now_ns + LEASE_RENEW_NS);
}

static void take_off(struct governor *governor, struct roster *roster)
{
    if (governor->state.engine != REGION_ENGINE_RM)
        return; /* as was just found */
    if (governor->is_off)
        switching_add_newcomers(governor, roster);
    else if (switching_may_disable(governor, roster, clock_now_ns()))
        switching_disable(governor, roster);
}

/*
 * Off until it is resumed. As under a cap the lease is renewed by somebody who lives, and what is
 * not off yet, for the rate of calls or for a guard that is not armed, is tried again; so is what
 * is seen to run, as a guard's call may come later than ours by the driver's locks.
 */
static uint64_t step_suspended(struct governor *governor, const struct governor_input *input,
                               uint64_t now_ns)
{
    switching_make_up(governor, input->roster);
    if (switching_judge(governor, input->roster, now_ns))
        switching_enable(governor, input->roster);
    take_off(governor, input->roster);
    if (!governor->is_off)
        return now_ns + LEASE_RENEW_NS;
    switching_renew(governor, input->roster);
    if (!governor->is_off) /* it was too late */
        take_off(governor, input->roster);
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
        switching_enable(governor, input->roster); /* nobody sees what it uses */
    now_ns = clock_now_ns();
    finish_second(governor, now_ns);
    if (now_ns >= governor->facts_ns)
        publish(governor, input, now_ns);
    governor->step_ns = earlier(next_ns, earlier(governor->plan_ns, governor->facts_ns));
    return governor->step_ns;
}
