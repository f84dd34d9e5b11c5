#pragma once
/*
 * actuator - the driver's calls on a roster: slices of groups, channels off and on.
 */
#include "supervisor/roster.h"
#include "utils/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Sets the slice of every compute group that has another; returns the number of calls made, or the
 * negative errno of the first that failed (the rest were tried). */
int actuator_set_slices(struct roster *roster, uint64_t slice_us, uint32_t *ret_status) MUST_CHECK;

/*
 * Takes the compute channels of armed processes off the GPU, or puts back those that are off.
 * Channels of several processes share calls. Returns the number of calls made or the first
 * negative errno; a channel whose call failed counts as disabled, so that the next enable tries
 * again, unless the driver refuses to disable anything.
 */
int actuator_switch(struct roster *roster, bool is_disable, uint32_t *ret_status) MUST_CHECK;

/* The number of calls that a switch takes now. */
size_t actuator_calls(const struct roster *roster);
bool actuator_may_disable(const struct roster *roster); /* at least one armed compute channel */
bool actuator_is_all_off(const struct roster *roster);  /* no compute channel is left on */
