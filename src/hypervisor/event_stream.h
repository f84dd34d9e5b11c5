#pragma once
/*
 * event_stream - /api/v1/events: what happens, as server-sent events, and samples of the snapshots
 * at the pace that the reader asks for.
 *
 * A reader has a number up to which it has read, and at most one piece of text that it has not
 * taken yet; samples are shared by all readers. So a reader that does not read costs what one piece
 * costs and holds nobody up. When it is so far behind that events are lost it is told so, in a
 * comment, and sent away; it may come again with its Last-Event-ID. The server closes it before
 * that where it takes nothing for the idle time.
 */
#include "hypervisor/http_request.h"
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>
#include <stdint.h>

/* Of all readers; places of them that are kept for operators; of one that is no operator. */
#define EVENT_STREAM_READERS_MAX   256
#define EVENT_STREAM_OPERATORS     64
#define EVENT_STREAM_PEER_MAX      32
#define EVENT_STREAM_KEEP_ALIVE_NS (15 * UINT64_C(1000000000))

struct backend;
struct event_hub;
struct event_stream;

/* What all streams share. */
int event_hub_new(struct event_hub **ret_hub, const struct backend *backend,
                  struct err *err) MUST_CHECK;
/* After the last stream. NULL is fine. */
void event_hub_free(struct event_hub *hub);

struct event_stream_start {
    bool has_after;
    uint64_t after;            /* the last event that the reader knows; else it begins with now */
    uint64_t sample_period_ns; /* 0: no samples */
    bool is_finite;            /* ends with the newest event that there is at its begin */
    bool is_operator;
    char peer[64]; /* who it is, for the bound on each who is no operator (http_caller.peer) */
};

/* -EAGAIN: there are too many readers already. */
int event_stream_new(struct http_stream **ret_stream, struct event_hub *hub,
                     const struct event_stream_start *start, struct err *err) MUST_CHECK;

/* What a reader asks by, as it stands in the request; NULL: not given. */
struct event_stream_words {
    const char *after, *last_event_id; /* of these the second, a header field, wins */
    const char *samples_hz;            /* 0.1 to 10 */
    const char *follow;                /* true, which is the default, or false */
};

/* Who does not follow and says no number begins with the oldest. -EINVAL, -ERANGE. */
int event_stream_parse(struct event_stream_start *ret_start, const struct event_stream_words *words,
                       struct err *err) MUST_CHECK;

/* As http_stream.read, at an instant. */
ssize_t event_stream_read(struct http_stream *stream, char *buffer, size_t size, uint64_t now_ns,
                          uint64_t *ret_wake_ns);
