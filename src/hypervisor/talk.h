#pragma once
/*
 * talk - the daemon's line to one supervisor. Questions are answered in the order in which they
 * were asked, each with messages that end with a REPLY; what comes while none waits is news (a
 * WATCH's). A supervisor that is silent for too long, or gone, loses the line, and every question
 * that waits is answered with an error: each is answered once, whatever happens. All on the loop's
 * thread.
 */
#include "ipc/message.h"
#include "utils/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define TALK_ANSWER_MS 1500 /* so long a supervisor may be silent while something is asked */

struct talk;

/* One message of an answer; the last one's type is MESSAGE_REPLY. */
typedef void talk_take(void *context, const struct message_header *message);

struct talk_config {
    uv_loop_t *loop;
    const char *path; /* copied; NULL: the line is talk_use()'s */
    void (*on_news)(void *context, const struct message_header *message);
    void (*on_lost)(void *context); /* the line is down, and may be closed in here */
    void *context;
};

/* NULL: no memory. The line is opened with the first question. */
struct talk *talk_new(const struct talk_config *config);

/*
 * The line is this connection, which it takes (non-blocking or not): it is lost once, and never
 * opened by us. -errno: it is closed.
 */
int talk_use(struct talk *talk, int *fd) MUST_CHECK;

/* Nobody is told any more; what waits is answered with -ECONNRESET first. NULL is fine. */
void talk_close(struct talk *talk);

/* Asks; `take` is called for each message of the answer, perhaps before this returns (an error). */
void talk_ask(struct talk *talk, const void *message, talk_take *take, void *context);

/* A question whose answer is news. */
int talk_tell(struct talk *talk, const struct message_header *question) MUST_CHECK;

/* WATCH: its answer, and all that follows without being asked for, is news. */
int talk_watch(struct talk *talk) MUST_CHECK;

/*
 * Where a question has waited for longer than it may the line is lost, and all that wait are
 * answered with -ETIMEDOUT. Returns whether that was so.
 */
bool talk_expire(struct talk *talk, uint64_t now_ns);

/* We did not listen until now: the question that waits has its time again. */
void talk_excuse(struct talk *talk, uint64_t now_ns);
