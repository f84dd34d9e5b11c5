#pragma once
/*
 * http_clock - the connections of all listeners, and the thread that wakes and ends them.
 *
 * The library has no timers of its own for a connection that waits. Here each has what it waits
 * for, and one thread, the only one that resumes connections, looks through them when the nearest
 * of the instants has come, or when it is kicked:
 *
 *   1. A connection is suspended (is_suspended) by a thread of the library, in http_clock_wait() or
 *      http_clock_wait_stream(), and resumed by the clock, both under the lock.
 *   2. After http_clock_stop() nothing is suspended, and nothing can be.
 *   3. A connection's descriptor is shut down, not closed, by the clock when its deadline is over:
 *      the library then closes it. It is in the list for as long as the descriptor is open.
 *
 * The clock is counted by references: who is to kick it when something is done keeps one, and may
 * be later than the server's end.
 */
#include "hypervisor/http_request.h"
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct MHD_Connection;
struct http_clock;
struct http_listener_address;

struct http_connection {
    struct http_connection *previous, *next; /* of the clock's list */
    struct MHD_Connection *library;
    int fd;                                       /* the library's */
    uid_t uid;                                    /* of a unix socket's peer, else (uid_t)-1 */
    pid_t pid;                                    /* likewise, else 0 */
    gid_t gid;                                    /* likewise, else (gid_t)-1 */
    const struct http_listener_address *listened; /* where it came in; borrowed */
    uint64_t deadline_ns;                         /* shut down then; HTTP_WAKE_NEVER: not */
    bool is_suspended;
    uint64_t wake_ns;
    bool is_stream;
    bool is_gone;             /* the stream's reader has closed its end */
    uint64_t kicks_seen;      /* a stream is woken by kicks beyond these */
    struct http_later *later; /* what is waited for, else NULL */
};

/* Starts the thread, with all signals blocked. */
int http_clock_new(struct http_clock **ret_clock, struct err *err) MUST_CHECK;
struct http_clock *http_clock_hold(struct http_clock *clock);
/* The last one frees; http_clock_stop() was called then. NULL is fine. */
void http_clock_release(struct http_clock *clock);

/* Wakes all that waits and ends the thread. */
void http_clock_stop(struct http_clock *clock);

/* Something has changed: streams are woken, and what is waited for is asked. Any thread. */
void http_clock_kick(struct http_clock *clock);
uint64_t http_clock_kicks(struct http_clock *clock);
bool http_clock_is_stopping(struct http_clock *clock);

/* The connections of a listener, the one that is asked about among them. */
struct http_clock_load {
    uint32_t of_all, of_user;
};

/* Takes it in, with a deadline. How many there are now. */
struct http_clock_load http_clock_add(struct http_clock *clock, struct http_connection *connection,
                                      uint64_t timeout_ns);
void http_clock_remove(struct http_clock *clock, struct http_connection *connection);

/* HTTP_WAKE_NEVER: no deadline from now on. */
void http_clock_set_timeout(struct http_clock *clock, struct http_connection *connection,
                            uint64_t timeout_ns);

/* Suspends it until `later` is ready or the time is over; false: the server stops. */
bool http_clock_wait(struct http_clock *clock, struct http_connection *connection,
                     struct http_later *later, uint64_t timeout_ns) MUST_CHECK;

/* Suspends it until the instant, or a kick beyond the number; false: the server stops. */
bool http_clock_wait_stream(struct http_clock *clock, struct http_connection *connection,
                            uint64_t wake_ns, uint64_t kicks_seen) MUST_CHECK;
