#pragma once
/*
 * top_gather - asks all tenants and GPUs for `vgpu top`, on threads of its own: whoever draws and
 * reads keys never waits for a supervisor. A tenant whose supervisor did not answer in time is
 * asked from then on by threads that only such tenants wait for, so that the others are shown on
 * time.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>

struct message_set;
struct runtime;
struct top_gather;
struct top_model;

/* Starts the threads; what is borrowed is copied. */
int top_gather_new(struct top_gather **ret_gather, const struct runtime *runtime,
                   struct err *err) MUST_CHECK;
/* Does not wait for a thread that is waiting: the last of them frees what they share. */
void top_gather_free(struct top_gather *gather);

/* Readable when a round is complete or an answer to top_gather_send() has come. */
int top_gather_fd(const struct top_gather *gather);

/* Begins a round: lists the tenants and asks each that is not being asked. */
void top_gather_refresh(struct top_gather *gather);

/*
 * To be called when the descriptor is readable. Returns whether a round is complete (or some error
 * with words, as there is no tenant directory): then the model has what came of it.
 */
int top_gather_take(struct top_gather *gather, struct top_model *model, struct err *err) MUST_CHECK;

/* Sends a SET; one at a time: -EBUSY while another has no answer. */
int top_gather_send(struct top_gather *gather, const char *tenant,
                    const struct message_set *set) MUST_CHECK;
/* Whether there is an answer, which is taken off: ret_rc and, where that is negative, err. */
bool top_gather_answer(struct top_gather *gather, int *ret_rc, struct err *ret_err);
