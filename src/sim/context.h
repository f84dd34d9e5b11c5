#pragma once
/*
 * context - a CUDA context: the memory that the driver takes for itself, the channel groups, and
 * what the program makes in it. What is current is the thread's.
 */
#include "abi/cuda.h"
#include "sim/lane.h"
#include "sim/stream.h"
#include "utils/list.h"

#include <pthread.h>

#define CONTEXT_LANES  8
#define CONTEXT_BLOCKS 8
#define CONTEXT_GROUPS 3 /* one for kernels, two for copies */

struct CUctx_st {
    struct card *card;
    pthread_mutex_t lock; /* of the lists, and of the heaps in the blocks */
    struct list blocks;   /* memory that the program has, video and host */
    struct list streams, events;
    struct list modules;
    struct block *clocks;                                  /* where events get their time */
    uint32_t own_memory[CONTEXT_BLOCKS], own_memory_count; /* handles */
    uint32_t groups[CONTEXT_GROUPS], group_count;
    struct lane lanes[CONTEXT_LANES];
    uint32_t next_lane;
    struct CUstream_st legacy_stream, thread_stream;
};

/* CUDA_ERROR_INVALID_CONTEXT where the thread has none. */
CUresult context_current(struct CUctx_st **ret_context) MUST_CHECK;

void context_lock(struct CUctx_st *context);
void context_unlock(struct CUctx_st *context);
