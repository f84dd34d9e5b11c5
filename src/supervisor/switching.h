#pragma once
/*
 * switching - takes a tenant's channels off a GPU and puts them back under a lease that the guards
 * watch, keeps to the rate of such calls, and finds drivers on which they have no effect. Part of a
 * governor's step, in its thread; the governor's invariants are kept here.
 */
#include "utils/attr.h"

#include <stdbool.h>
#include <stdint.h>

struct governor;
struct roster;

/* Whether the rate of calls allows for a disable now, and some armed process has channels. */
bool switching_may_disable(const struct governor *governor, const struct roster *roster,
                           uint64_t now_ns);

/* Puts every channel back that is off. Where that fails the lease is left to run out: is_stuck. */
void switching_enable(struct governor *governor, struct roster *roster);

/* Takes the channels off under a new lease; where a call fails they are put back. */
void switching_disable(struct governor *governor, struct roster *roster);

/* Channels that appeared while the tenant is off, where the rate allows for it. */
void switching_add_newcomers(struct governor *governor, struct roster *roster);

/*
 * Off until the window's end, or for longer: then the lease is renewed on the way. Comes that too
 * late, so that guards may have acted by the old one, then is_off is false afterwards. Nothing is
 * renewed while is_stuck.
 */
void switching_renew(struct governor *governor, struct roster *roster);

/*
 * We were stopped, or very late: the guards have put the channels back meanwhile, whatever we
 * believe, and what was used without us is not the tenant's debt.
 */
void switching_make_up(struct governor *governor, struct roster *roster);

/*
 * A context that was on the engine before the records began, and is alone there, writes none until
 * it leaves: so it was with one whose supervisor was replaced. Off and on again shows it.
 */
void switching_show(struct governor *governor, struct roster *roster, uint64_t now_ns);

/*
 * Whether the tenant had the engine though all its channels are off: a driver with which that is so
 * time and again accepts and does nothing. Beside a busy neighbour it has it now and then: it is
 * looked at while it is off.
 */
bool switching_judge(struct governor *governor, const struct roster *roster, uint64_t now_ns);
