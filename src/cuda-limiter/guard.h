#pragma once
/*
 * guard - the thread that sees to it that this process's channels never stay off the GPU (DESIGN
 * 6).
 *
 *   none       before the first channel group
 *   idle       waits on the socket without a timeout
 *   armed      the supervisor may disable channels: the leases of the control page are looked at as
 *              well, at least every 40 ms. A lease that passed by 50 ms: the guard enables the
 *              channels of that GPU, and again every 100 ms while the lease stays as it is, because
 *              a supervisor that was stopped between its promise and its call goes on with the call
 *   alone      the connection ended: all channels are enabled at once; it is tried again after 50
 *              ms, and then ever less often, up to a second
 *
 * ARM makes idle armed, the connection's end makes either alone, WELCOME makes alone idle. Under
 * on-loss `closed` a process that is alone for a second is ended with SIGTERM, and 5 s later with
 * SIGKILL; the second is what a front needs to replace a supervisor that was killed.
 *
 * The thread has all signals blocked and a small stack. It never waits for a lock that is held over
 * a driver call.
 */
#include <stdbool.h>

/* Something is there to be guarded. With the guest's lock held; the next function does it. */
void guard_want(void);
/* Without the lock: starts the thread where it is wanted and not there. */
void guard_start_if_wanted(void);
bool guard_is_running(void);

/* Something waits to be told. With the guest's lock held. */
void guard_wake(void);

/* In a forked child: threads are not inherited. */
void guard_forget(void);

/* The program took the number of one of our descriptors. */
void guard_lose_descriptor(int fd);
