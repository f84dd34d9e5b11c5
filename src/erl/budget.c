#include "erl/budget.h"

/* All in nanoseconds; measured on an H100 (docs/design/control-law.md). */
#define LEAD_NS       INT64_C(170000) /* from a disable's begin to the end record, less the save */
#define MARGIN_NS     INT64_C(60000)  /* a look this near to the end of the budget disables */
#define LEAST_RUN_NS  INT64_C(300000) /* below, a run is not worth its two switches */
#define IDLE_LOOK_NS  INT64_C(400000) /* a tenant off the engine is looked at no sooner */
#define IDLE_EXTRA_NS INT64_C(150000) /* what it needs to come back on the engine */
#define LAST_LOOK_NS  INT64_C(200000) /* nearer to the window's end a look is not worth it */
#define LOOKS         4u
#define RATE_FULL     1000u
#define RATE_LEAST    50u

static uint64_t next_window_ns(const struct budget_parameters *parameters, uint64_t now_ns)
{
    uint64_t window_ns = parameters->window_ns;
    uint64_t since_ns = (now_ns + window_ns - parameters->phase_ns % window_ns) % window_ns;

    return now_ns + window_ns - since_ns;
}

/* What a stretch of time is worth under the cap. */
static int64_t worth_ns(const struct budget_parameters *parameters, uint64_t span_ns)
{
    return (int64_t)((double)span_ns * parameters->cap_milli_percent / 100000.0 *
                     parameters->idle_factor_milli / 1000.0);
}

void budget_init(struct budget *budget, const struct budget_parameters *parameters)
{
    *budget = (struct budget){.parameters = *parameters, .is_on = true, .rate_milli = RATE_FULL};
}

void budget_resume(struct budget *budget, const struct budget_measure *measure)
{
    budget->settled_net_ns = measure->net_ns;
}

/* Charges what was used since the last time. Closing an interval takes its save off again, so the
 * difference may be a little negative. */
static void settle(struct budget *budget, const struct budget_measure *measure)
{
    int64_t used_ns = (int64_t)(measure->net_ns - budget->settled_net_ns);

    budget->balance_ns -= used_ns;
    if (used_ns > 0)
        budget->on_used_ns += (uint64_t)used_ns;
    budget->settled_net_ns = measure->net_ns;
}

static void clamp_balance(struct budget *budget)
{
    int64_t window_ns = worth_ns(&budget->parameters, budget->parameters.window_ns);
    /* A small cap saves for a run over many windows. */
    int64_t most_ns = window_ns + (window_ns > LEAST_RUN_NS ? window_ns : LEAST_RUN_NS);

    if (budget->balance_ns > most_ns)
        budget->balance_ns = most_ns;
    if (budget->balance_ns < -(int64_t)BUDGET_DEBT_NS)
        budget->balance_ns = -(int64_t)BUDGET_DEBT_NS;
}

/* The part of its on-time that the tenant used, smoothed over runs. */
static void learn_rate(struct budget *budget, uint64_t now_ns)
{
    uint64_t on_ns = now_ns - budget->enabled_ns, rate;

    if (!budget->is_on || !budget->enabled_ns || !on_ns)
        return;
    rate = budget->on_used_ns * RATE_FULL / on_ns;
    if (rate > RATE_FULL)
        rate = RATE_FULL;
    budget->rate_milli = (uint32_t)((7 * budget->rate_milli + 3 * rate) / 10);
    if (budget->rate_milli < RATE_LEAST)
        budget->rate_milli = RATE_LEAST;
    budget->enabled_ns = now_ns;
    budget->on_used_ns = 0;
}

static enum budget_action turn_on(struct budget *budget, uint64_t now_ns)
{
    if (budget->is_on)
        return BUDGET_KEEP;
    budget->is_on = true;
    budget->enabled_ns = now_ns;
    budget->on_used_ns = 0;
    return BUDGET_ENABLE;
}

/* Off until the next window; where that may not be, the overrun is carried. */
static enum budget_action turn_off(struct budget *budget, uint64_t now_ns, bool may_disable)
{
    budget->wake_ns = budget->window_end_ns;
    if (!budget->is_on || !may_disable)
        return BUDGET_KEEP;
    learn_rate(budget, now_ns);
    budget->is_on = false;
    return BUDGET_DISABLE;
}

/* The earliest instant at which the budget can be used up; without looks left, the likely one. */
static void plan(struct budget *budget, uint64_t now_ns, bool is_on_engine)
{
    int64_t wait_ns;

    if (!budget->looks_left)
        wait_ns = (budget->balance_ns - LEAD_NS) * (int64_t)RATE_FULL / (int64_t)budget->rate_milli;
    else if (is_on_engine)
        wait_ns = budget->balance_ns - LEAD_NS;
    else if (budget->balance_ns + IDLE_EXTRA_NS > IDLE_LOOK_NS)
        wait_ns = budget->balance_ns + IDLE_EXTRA_NS;
    else
        wait_ns = IDLE_LOOK_NS;
    if (wait_ns < 0)
        wait_ns = 0;
    if ((int64_t)now_ns + wait_ns > (int64_t)budget->window_end_ns - LAST_LOOK_NS)
        budget->wake_ns = budget->window_end_ns; /* invariant 3: no toggling below the cap */
    else
        budget->wake_ns = now_ns + (uint64_t)wait_ns;
}

static enum budget_action begin_window(struct budget *budget, uint64_t now_ns,
                                       const struct budget_measure *measure, bool may_disable)
{
    uint64_t paid_until_ns = budget->window_end_ns;
    enum budget_action action;

    learn_rate(budget, now_ns);
    budget->window_end_ns = next_window_ns(&budget->parameters, now_ns);
    /* All the time since the last window's end is paid: several windows', if this call is late. */
    budget->balance_ns += worth_ns(&budget->parameters, budget->window_end_ns - paid_until_ns);
    clamp_balance(budget);
    budget->looks_left = LOOKS;
    if (budget->balance_ns < LEAST_RUN_NS)
        return turn_off(budget, now_ns, may_disable);
    action = turn_on(budget, now_ns);
    plan(budget, now_ns, measure->is_on_engine);
    return action;
}

static enum budget_action look(struct budget *budget, uint64_t now_ns,
                               const struct budget_measure *measure, bool may_disable)
{
    if (!budget->looks_left || budget->balance_ns <= LEAD_NS + MARGIN_NS)
        return turn_off(budget, now_ns, may_disable);
    budget->looks_left--;
    plan(budget, now_ns, measure->is_on_engine);
    return BUDGET_KEEP;
}

enum budget_action budget_step(struct budget *budget, uint64_t now_ns,
                               const struct budget_measure *measure, bool may_disable)
{
    if (!budget->is_started) {
        budget->is_started = true;
        budget->settled_net_ns = measure->net_ns;
        budget->enabled_ns = now_ns;
        budget->window_end_ns = now_ns;
    }
    settle(budget, measure);
    if (now_ns >= budget->window_end_ns)
        return begin_window(budget, now_ns, measure, may_disable);
    if (!budget->is_on) {
        budget->wake_ns = budget->window_end_ns;
        return BUDGET_KEEP;
    }
    return look(budget, now_ns, measure, may_disable);
}

enum budget_action budget_change(struct budget *budget, uint64_t now_ns,
                                 const struct budget_measure *measure,
                                 const struct budget_parameters *parameters, bool may_disable)
{
    struct budget_parameters old = budget->parameters;
    enum budget_action action = BUDGET_KEEP;
    uint64_t left_ns;

    budget->parameters = *parameters;
    if (!budget->is_started)
        return budget_step(budget, now_ns, measure, may_disable);
    settle(budget, measure);
    left_ns = budget->window_end_ns > now_ns ? budget->window_end_ns - now_ns : 0;
    budget->balance_ns += worth_ns(parameters, left_ns) - worth_ns(&old, left_ns);
    clamp_balance(budget);
    budget->looks_left = LOOKS;
    if (!budget->is_on && budget->balance_ns > INT64_C(1000000))
        action = turn_on(budget, now_ns);
    if (budget->is_on)
        plan(budget, now_ns, measure->is_on_engine);
    return action;
}
