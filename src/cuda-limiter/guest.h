#pragma once
/*
 * guest - this process as a member of its tenant: what it was told at start, the lock around all
 * that the library knows, and what becomes of it in a child.
 *
 *   asleep    until the program first opens the driver; nothing was read, connected or mapped
 *   waiting   the supervisor was called (cuda-limiter/tether), no region yet
 *   joined    the region is mapped (cuda-limiter/quota), memory is charged to our row of the ledger
 *
 * guest_contact() makes asleep waiting, and stays at most 200 ms for joined. WELCOME makes waiting
 * joined at any later time. The connection's end makes joined waiting, with the old region kept:
 * its memory limit holds on.
 *
 * A forked child has no connection, no row and no guard; it knows the objects that it inherited,
 * charged to its parent, and has a first contact of its own. A child of vfork() shares our memory
 * but not our descriptors: what it does to those is passed through.
 */
#include "cuda-limiter/hot.h"
#include "utils/attr.h"

#include <stdbool.h>

/* For the library's constructor; reads the environment and nothing else. */
void guest_start(void);

/* Whether this process belongs to a tenant; and to which. */
bool guest_is_active(void);
const char *guest_control_path(void);
/* What the environment says is to be done without a supervisor. */
bool guest_starts_closed(void);

/*
 * Whether this very process has had its first contact: all that a call needs is there. False in a
 * child until it has had its own. One look, for the way of every call.
 */
static inline bool guest_is_ready(void)
{
    const struct hot_page *page = load_acquire(&hot.page); /* pairs with guest.c's make_page() */

    return page && load_acquire(&page->has_contacted); /* pairs with guest_contact() */
}

/* This thread holds the lock: it is in a signal handler that interrupted what did. */
bool guest_is_holding(void);

/*
 * Whether a hook may look at what the library knows: not in a child of vfork(), nor in a signal
 * handler that interrupted who holds the lock. Where false, pass the call through.
 */
bool guest_enter(void);

/*
 * The same for a call to the driver, without asking for our pid: a child of vfork() counts as its
 * parent, whose memory and open files it makes the call with.
 */
bool guest_enter_call(void);

/* Calls the supervisor and waits for the region, once in a process; other threads wait with it. */
void guest_contact(void);

/* Held for a few system calls that do not block; the thread cannot be cancelled meanwhile. */
void guest_lock(void);
void guest_unlock(void);

/*
 * The same lock for what makes no call that is a cancellation point, which spares a call's way two
 * locked steps of libc's; what does, turns cancellation off for itself and puts it back. A thread
 * that is cancelled asynchronously in there leaves it locked: ioctl is not safe for that, and the
 * locks of libcuda around it are not either.
 */
void guest_lock_briefly(void);
void guest_unlock_briefly(void);
int guest_hold_cancel(void) MUST_CHECK;
void guest_restore_cancel(int state);
