#pragma once
/*
 * keeper_watch - whether a tenant's supervisor does its work: one that was stopped or does not
 * answer cannot keep what it promised, and is ended so that its keeper replaces it. On the loop's
 * thread.
 */
#include <stdint.h>

struct keeper;

/* Once a second: asks for its status, and ends a supervisor that does not answer. */
void keeper_look(struct keeper *keeper, uint64_t now_ns);

/* A child has changed its state: one that was stopped cannot keep its promises, and is replaced. */
void keeper_look_at_child(const struct keeper *keeper);

/* Several times a second: nobody tells us where one of a former daemon's is stopped. */
void keeper_look_at_inherited(const struct keeper *keeper);
