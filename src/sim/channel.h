#pragma once
/*
 * channel - what joins a program's submission queue (sim/queue.h) to the model of the GPU.
 *
 * The queue can be written by the program at any time, so it is read with bounds and copied before
 * it is judged; all it can spoil is its own channel.
 */
#include "sim/gpu.h"
#include "sim/queue.h"
#include "utils/attr.h"

#include <stdint.h>

struct board;
struct object;
struct storage;

struct channel {
    struct gpu_channel gpu_channel;
    struct object *object;
    struct board *board;
    struct storage *storage; /* of the queue */
    struct queue *queue;
    struct gpu_group *own_group; /* of a channel without a group; NULL otherwise */
    struct queue_item item;      /* the one at work */
    uint64_t progress_number;    /* the item to which the next belongs */
    uint64_t progress_added;     /* what the counter has had of it */
};

/* NULL without memory. `object` is the RM object that stands for it. */
struct channel *channel_new(struct object *object, struct board *board,
                            struct gpu_group *group) MUST_CHECK;

/* Tells whoever waits that nothing comes any more. */
void channel_free(struct channel *channel);
void channel_lose(struct channel *channel);
