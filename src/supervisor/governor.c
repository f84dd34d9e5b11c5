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
#define CALL_TYPICAL_NS  (500 * NS_PER_US)
#define SETTLE_NS        (2 * NS_PER_MS) /* after this long a disable has had its effect */
#define INERT_MOST       5u
#define IDLE_NONE        1000u
#define IDLE_MOST        4000u

void governor_init(struct governor *governor, struct region_control *control, uint32_t slot,
                   const struct gpus_card *card)
{
    *governor = (struct governor){.control = control,
                                  .slot = slot,
                                  .card = card,
                                  .call_ns = CALL_TYPICAL_NS,
                                  .idle = {.factor_milli = IDLE_NONE},
                                  .state = {.engine = REGION_ENGINE_RM,
                                            .used_milli_percent = UINT64_MAX,
                                            .duty_milli_percent = UINT64_MAX,
                                            .slice_us = UINT64_MAX}};
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

/* Returns the instant that the census stands for. */
static uint64_t take_census(struct governor *governor, const struct roster *roster, bool flush)
{
    uint64_t now_ns = clock_now_ns();

    open_sampler(governor, now_ns);
    if (!governor->sampler)
        return now_ns;
    if (sampler_read(governor->sampler, flush) < 0) {
        sampler_close(governor->sampler); /* the GPU is lost, or the driver was reloaded */
        governor->sampler = NULL;
        return now_ns;
    }
    now_ns = clock_now_ns();
    census_update(&governor->census, governor->sampler, roster, now_ns);
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

static void note_call(struct governor *governor, uint64_t begin_ns, int rc)
{
    uint64_t took_ns = clock_now_ns() - begin_ns;

    if (rc < 0)
        governor->state.control_failures++;
    else
        governor->state.switch_calls += (uint64_t)rc;
    if (rc > 0)
        governor->call_ns = (7 * governor->call_ns + 3 * took_ns / (uint64_t)rc) / 10;
}

static void give_up(struct governor *governor, const char *why)
{
    if (governor->state.engine == REGION_ENGINE_MEMORY_ONLY)
        return;
    governor->state.engine = REGION_ENGINE_MEMORY_ONLY;
    log_info("GPU %u: %s, so that compute limits have no effect there; the memory limit holds",
             governor->card->nvml_index, why); /* people are told by the front, once */
}

static void enable(struct governor *governor, struct roster *roster)
{
    uint64_t begin_ns = clock_now_ns();
    uint32_t status;
    int rc = actuator_switch(roster, false, &status);

    note_call(governor, begin_ns, rc);
    if (rc < 0) {
        /* The guards' turn, should it not work the next time either. */
        log_debug("GPU %u: enable: %d status 0x%x", governor->card->nvml_index, rc, status);
        return;
    }
    if (governor->is_off)
        governor->second.off_ns += clock_now_ns() - governor->second.off_since_ns;
    governor->is_off = false;
    set_lease(governor, 0); /* invariant 1 */
}

static void disable(struct governor *governor, struct roster *roster)
{
    uint64_t begin_ns = clock_now_ns();
    uint32_t status = RM_OK;
    int rc;

    set_lease(governor, governor->budget.window_end_ns + LEASE_MARGIN_NS + 2 * governor->call_ns);
    if (!governor->is_off)
        governor->second.off_since_ns = begin_ns;
    governor->is_off = true;
    governor->disabled_ns = begin_ns;
    governor->second.switch_count++;
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

    note_call(governor, begin_ns, actuator_switch(roster, true, &status));
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
        now_ns < governor->show_ns || !actuator_may_disable(roster))
        return;
    governor->show_ns = now_ns + NS_PER_SEC;
    disable(governor, roster);
    enable(governor, roster);
}

/*
 * A disable without an end record, the tenant still there: such a driver accepts and does nothing.
 */
static void judge_disable(struct governor *governor, uint64_t now_ns)
{
    if (!governor->is_off || !governor->disabled_ns || !governor->sampler ||
        now_ns < governor->disabled_ns + SETTLE_NS + 2 * governor->call_ns)
        return;
    if (governor->census.is_on_engine && governor->census.since_ns < governor->disabled_ns)
        governor->inert_count++;
    else
        governor->inert_count = 0;
    governor->disabled_ns = 0;
    if (governor->inert_count >= INERT_MOST)
        give_up(governor, "taking channels off the GPU is accepted but has no effect");
}

void governor_release(struct governor *governor, struct roster *roster)
{
    enable(governor, roster);
}

/* --- planning --- */

static uint32_t idle_factor(struct governor *governor, const struct governor_input *input)
{
    struct governor_idle *idle = &governor->idle;
    uint32_t cap_percent = governor->plan.cap_milli_percent / 1000;
    int64_t change;

    if (governor->has_active_peer || input->busy_percent == UINT32_MAX || !cap_percent) {
        *idle = (struct governor_idle){.factor_milli = IDLE_NONE, .stamp = input->busy_stamp};
        return idle->factor_milli;
    }
    if (input->busy_stamp == idle->stamp)
        return idle->factor_milli;
    idle->smoothed_percent =
        idle->stamp ? (idle->smoothed_percent + input->busy_percent + 1) / 2 : input->busy_percent;
    idle->stamp = input->busy_stamp;
    if (!governor->second.switch_count && idle->factor_milli == IDLE_NONE)
        return idle->factor_milli; /* below its cap by itself: there is nothing to correct */
    change = 250 * ((int64_t)cap_percent - (int64_t)idle->smoothed_percent) / (int64_t)cap_percent;
    change += idle->factor_milli;
    idle->factor_milli = change < IDLE_NONE   ? IDLE_NONE
                         : change > IDLE_MOST ? IDLE_MOST
                                              : (uint32_t)change;
    return idle->factor_milli;
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
        .idle_factor_milli = idle_factor(governor, input),
    };
    bool is_wanted = parameters.cap_milli_percent < BUDGET_CAP_NONE &&
                     governor->state.engine == REGION_ENGINE_RM;
    struct budget_measure now = measure(governor);
    const struct budget_parameters *old = &governor->budget.parameters;

    if (!is_wanted) {
        governor->is_capped = false;
        if (governor->is_off)
            enable(governor, input->roster);
    } else if (!governor->is_capped) {
        start_budget(governor, &parameters);
    } else if (old->cap_milli_percent != parameters.cap_milli_percent ||
               old->window_ns != parameters.window_ns) {
        act(governor, input->roster,
            budget_change(&governor->budget, now_ns, &now, &parameters,
                          actuator_may_disable(input->roster)));
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

    second->was_shared |= second->switch_count || governor->census.neighbour_until_ns > now_ns;
    if (second->begin_ns && span_ns < NS_PER_SEC)
        return;
    if (governor->is_off) {
        second->off_ns += now_ns - second->off_since_ns;
        second->off_since_ns = now_ns;
    }
    if (used_ns < 0)
        used_ns = 0;
    if (!governor->sampler)
        governor->state.used_milli_percent = UINT64_MAX; /* what it was is not what it is */
    if (second->begin_ns && governor->sampler) {
        bool is_known = second->was_shared || !used_ns;

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
    region_write_facts(&governor->control->gpus[governor->slot], &facts);
}

/* --- the step --- */

static uint64_t step_budget(struct governor *governor, const struct governor_input *input,
                            uint64_t now_ns)
{
    struct budget_measure now = measure(governor);

    make_up(governor, input->roster, now_ns);
    judge_disable(governor, now_ns);
    show(governor, input->roster, now_ns);
    if (governor->is_off != !governor->budget.is_on)
        governor->budget.is_on = !governor->is_off; /* a call failed */
    if (now_ns >= governor->budget.wake_ns)
        act(governor, input->roster,
            budget_step(&governor->budget, now_ns, &now, actuator_may_disable(input->roster)));
    else if (governor->is_off)
        disable_newcomers(governor, input->roster);
    return governor->budget.wake_ns;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t governor_step(struct governor *governor, const struct governor_input *input)
{
    uint64_t now_ns, next_ns;

    now_ns = take_census(governor, input->roster, governor->is_capped);
    if (now_ns >= governor->plan_ns)
        make_plan(governor, input, now_ns);
    if (governor->is_capped && governor->sampler)
        next_ns = step_budget(governor, input, now_ns);
    else
        next_ns = UINT64_MAX;
    now_ns = clock_now_ns();
    finish_second(governor, now_ns);
    if (now_ns >= governor->facts_ns)
        publish(governor, input, now_ns);
    return earlier(next_ns, earlier(governor->plan_ns, governor->facts_ns));
}
