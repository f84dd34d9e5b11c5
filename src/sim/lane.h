#pragma once
/*
 * lane - one channel of a context and its queue in shared memory: work goes in in order, and
 * waiting for it blocks and never spins. sim/queue.h has the protocol.
 */
#include "abi/cuda.h"
#include "sim/queue.h"
#include "utils/attr.h"

#include <pthread.h>
#include <stdbool.h>

struct card;

struct lane {
    pthread_mutex_t lock; /* of those who submit */
    struct queue *queue;  /* NULL: none */
    int fd;               /* the doorbell */
    uint32_t channel;     /* handle */
    uint32_t gpu;         /* whose index WIRE_SYNC takes */
};

/* Makes a channel below a group, mapped. */
CUresult lane_open(struct lane *lane, const struct card *card, uint32_t group) MUST_CHECK;
void lane_close(struct lane *lane);

/*
 * Submits the item; its number goes to *ret_last, by those who submit in order, for others to read
 * at any time. May block while the queue is full.
 */
CUresult lane_submit(struct lane *lane, const struct queue_item *item,
                     _Atomic uint64_t *ret_last) MUST_CHECK;

/* CUDA_ERROR_NOT_READY while it is not done; as of the last time the GPU looked. */
CUresult lane_check(const struct lane *lane, uint64_t number) MUST_CHECK;
CUresult lane_wait(struct lane *lane, uint64_t number);

/* The number of the last item that was submitted. */
uint64_t lane_last(const struct lane *lane);
