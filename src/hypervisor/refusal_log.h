#pragma once
/*
 * refusal_log - how often a user's refusals and waits are told one by one: twenty times a minute.
 * The rest is counted, and told in one line when the minute is over: who asks at wire speed fills
 * neither the log nor the ring of events.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define REFUSAL_LOG_USERS    64 /* at a time; all others share one budget */
#define REFUSAL_LOG_A_MINUTE 20
#define REFUSAL_LOG_OTHERS   ((uid_t)-1)

/* All zero: nothing was refused yet. */
struct refusal_log {
    struct refusal_log_user {
        uint64_t since_ns; /* CLOCK_MONOTONIC, the minute's beginning; 0: free */
        uid_t uid;
        uint32_t told, untold;
    } users[REFUSAL_LOG_USERS + 1];
};

/* Whether one more is told of, now; else it is counted. */
bool refusal_log_may_tell(struct refusal_log *log, uid_t uid, uint64_t now_ns);

/* One user's number of those that were not told, once its minute is over. False: there is none. */
bool refusal_log_take(struct refusal_log *log, uint64_t now_ns, uid_t *ret_uid,
                      uint32_t *ret_count);
