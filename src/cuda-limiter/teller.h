#pragma once
/*
 * teller - tells the supervisor of open files, groups and channels. All functions are called with
 * the guest's lock held, and none blocks: what could not be sent is made good later by telling
 * everything anew, by the guard.
 */
#include "rm/port.h"

#include <stdbool.h>
#include <stdint.h>

/* The mediator's word on groups and channels. */
void teller_tell(const struct port_event *event);

/* The last descriptor of a file was closed. */
void teller_closed(uint64_t file_id);

/* A new connection knows nothing. */
void teller_begin_anew(void);

/*
 * Whether something is to be told for which teller_tell_missed() is to be called without the lock.
 */
bool teller_has_missed(void);

/*
 * Takes back what a supervisor was told of, so that everything can be told anew: false where not
 * even that could be sent. After true the caller has the mediator tell of all.
 */
bool teller_take_back(void);

/* At most once a second, and at ARM. */
void teller_send_counters(void);
void teller_send_counters_when_due(uint64_t now_ns);

void teller_count_enable(void);

/* In a forked child: nobody was told of anything. */
void teller_forget(void);
