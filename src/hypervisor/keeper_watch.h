#pragma once
/*
 * keeper_watch - whether a tenant's supervisor does its work: one that was stopped or does not
 * answer cannot keep what it promised, and is ended so that its keeper replaces it. On the loop's
 * thread.
 */
#include <stdbool.h>
#include <stdint.h>

struct keeper;

/* When looks came, to tell whether we ourselves were late. All 0 at the beginning. */
struct keeper_pace {
    uint64_t looked_ns;
    bool was_late;
};

/*
 * Called at each look, of which there is one each `between_ns`: whether this one comes half a
 * second late or later. What was answered meanwhile lies unread, and supervisors may have had the
 * same machine to wait for: they are excused, and looked at the next time. Never twice in a row,
 * else a daemon that is always late would replace nobody.
 */
bool keeper_pace_is_late(struct keeper_pace *pace, uint64_t now_ns, uint64_t between_ns);

/* In place of keeper_look() where that is so. */
void keeper_excuse(struct keeper *keeper, uint64_t now_ns);

/* Once a second: asks for its status, and ends a supervisor that does not answer. */
void keeper_look(struct keeper *keeper, uint64_t now_ns);

/* A child has changed its state: one that was stopped cannot keep its promises, and is replaced. */
void keeper_look_at_child(const struct keeper *keeper);

/* Several times a second: nobody tells us where one of a former daemon's is stopped. */
void keeper_look_at_inherited(const struct keeper *keeper);
