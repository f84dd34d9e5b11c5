#include "supervisor/reasons.h"

#include "ipc/message.h"
#include "supervisor/governor.h"
#include "utils/clock.h"

void reasons_fill(struct message_explained *ret_explained, const struct governor *governor,
                  const struct controller_quota *quota)
{
    const struct slices_plan *plan = &governor->plan;
    const struct controller_state *state = &governor->state;

    ret_explained->engine = state->engine;
    /* Before its first channel comes no step has been taken. */
    ret_explained->is_suspended = quota->is_suspended && state->engine == REGION_ENGINE_RM;
    ret_explained->is_active = governor_is_active(governor, clock_now_ns());
    ret_explained->is_off = governor->is_off;
    ret_explained->has_records = governor->sampler != NULL;
    ret_explained->group_count = governor->census.group_count;
    ret_explained->busy_group_count = governor->census.busy_group_count;
    ret_explained->cap_milli_percent = quota->cap_milli_percent;
    ret_explained->weight = quota->weight;
    ret_explained->priority = quota->priority;
    ret_explained->cap_in_force_milli_percent = plan->cap_milli_percent;
    ret_explained->entitled_milli_percent = plan->entitled_milli_percent;
    ret_explained->idle_factor_milli =
        governor->is_capped ? governor->budget.parameters.idle_factor_milli : IDLE_NONE;
    ret_explained->rate_milli = governor->budget.rate_milli;
    ret_explained->used_milli_percent = state->used_milli_percent;
    ret_explained->duty_milli_percent = state->duty_milli_percent;
    ret_explained->slice_us = state->slice_us;
    ret_explained->window_ns = governor->is_capped ? governor->budget.parameters.window_ns : 0;
    ret_explained->phase_ns = governor->is_capped ? governor->budget.parameters.phase_ns : 0;
    ret_explained->balance_ns = governor->is_capped ? governor->budget.balance_ns : 0;
    ret_explained->call_ns = plan->call_ns;
    ret_explained->planned_ns = governor->planned_ns;
}
