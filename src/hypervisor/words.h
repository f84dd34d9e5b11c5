#pragma once
/*
 * words - what supervisors write to their standard error, as lines of the daemon's log. They all
 * write to one pipe; a line is one write and does not mix with others. They do not wait for us:
 * what finds the pipe full, since the daemon stands still, is lost. After the daemon's end they
 * write to nobody, which they do not mind.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <uv.h>

struct words;

int words_new(struct words **ret_words, uv_loop_t *loop, struct err *err) MUST_CHECK;
/* NULL is fine. */
void words_free(struct words *words);

/* For supervisors to have as standard error; borrowed. */
int words_fd(const struct words *words);
