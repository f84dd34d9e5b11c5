#pragma once
/*
 * stream - a program's streams and events on the lanes of its context: order within a stream, the
 * legacy default stream's order with all others, waits for events, and capture into a graph, where
 * work is noted down instead of submitted.
 */
#include "abi/cuda.h"
#include "sim/queue.h"
#include "utils/attr.h"
#include "utils/list.h"

#include <stdbool.h>
#include <stdint.h>

struct CUctx_st;
struct lane;
struct block;

struct CUstream_st {
    struct list node; /* in its context */
    struct CUctx_st *context;
    struct lane *lane;
    bool is_legacy;             /* the default stream */
    bool is_blocking;           /* keeps order with the default stream */
    _Atomic uint64_t last;      /* the number of its last item, 0 for none */
    uint64_t seen_of_legacy;    /* the default stream's item that it has waited for */
    uint64_t seen_by_legacy;    /* its item that the default stream has waited for */
    struct CUgraph_st *capture; /* NULL: not capturing */
    bool is_capture_origin;
};

struct CUevent_st {
    struct list node; /* in its context */
    struct CUctx_st *context;
    unsigned int flags;
    struct lane *lane; /* where it was recorded last, NULL: never */
    _Atomic uint64_t number;
    struct block *clocks; /* its time is written to pinned memory */
    uint64_t clock_offset;
    struct CUgraph_st *capture; /* recorded in a capture */
};

/* For contexts: a stream within another struct; streams and events that go with their context. */
void stream_init(struct CUstream_st *stream, struct CUctx_st *context, struct lane *lane);
void stream_end_all(struct CUctx_st *context);

/* The stream that a program means: NULL and the constants are those of the current context. */
CUresult stream_resolve(CUstream stream, struct CUstream_st **ret_stream) MUST_CHECK;

/* Puts the item behind all that it has to come after; into the graph while the stream captures. */
CUresult stream_submit(struct CUstream_st *stream, const struct queue_item *item) MUST_CHECK;

/* Waits for all that is in the stream (and in those it keeps order with). */
CUresult stream_wait(struct CUstream_st *stream) MUST_CHECK;
