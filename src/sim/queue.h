#pragma once
/*
 * queue - a channel's submission queue, in memory shared by the program (libcuda.so.1) and the
 * simulated GPU. It takes the place of a real channel's ring and doorbell: launching work is stores
 * to mapped memory and, into a busy GPU, no system call.
 *
 * Getting one: alloc a group (RM_CLASS_CHANNEL_GROUP, 20 bytes of params, u32 engine type
 * RM_ENGINE_GRAPHICS at RM_GROUP_PARAMS_ENGINE) under the device, a channel
 * (RM_CLASS_CHANNEL_HOPPER, params not looked at) under the group; then RM_NR_MAP_MEMORY {client,
 * device, memory = the channel's handle, length = sizeof(struct queue), fd = a descriptor of
 * /dev/nvidia<minor> opened for it}, and mmap that descriptor, shared, read and write, offset 0.
 * The memory is zero at first but for `wanted`.
 *
 * Memory that items name (progress, clock) is an RM object of the channel's client: system memory
 * (RM_CLASS_SYSTEM_MEMORY, 128 bytes of params with the size at RM_MEMORY_PARAMS_BYTES) is pinned
 * host memory, and is mapped in the same way; video memory (RM_CLASS_VIDEO_MEMORY) can be named and
 * mapped too. Both are zero at first and are shared with the server, which writes the counters.
 *
 * One channel is one stream: its items run one after the other. Channels of one group share the
 * group's turn on the engine; groups take turns by their slices.
 *
 * Submitting (one thread at a time: the program's own lock):
 *   1. wait until put - completed < QUEUE_ITEMS (as below, for completed >= put + 1 - QUEUE_ITEMS);
 *   2. fill items[put % QUEUE_ITEMS], submit_ns last;
 *   3. put = put + 1 (sequentially consistent);
 *   4. if is_asleep (sequentially consistent) is not 0, exchange it with 0 and ring the doorbell.
 * An item's number is the value of `put` after it (the first is 1); it is done when completed >=
 * number.
 *
 * Doorbell: send(fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) on the descriptor the queue was mapped
 * with. Failure is ignored (a full socket means that the server has not yet looked).
 *
 * Waiting for completed >= number, by any number of threads, each of them:
 *   1. word = wake_word (acquire); if completed (acquire) >= number or state is not 0: done;
 *   2. lower `wanted` to number with compare-and-swap, unless it is that low already;
 *   3. ring the doorbell, whatever is_asleep says;
 *   4. FUTEX_WAIT on wake_word for `word` (not FUTEX_PRIVATE), with a timeout or without;
 *   5. again from 1.
 * The server, once completed >= wanted, sets wanted to QUEUE_NOTHING, adds 1 to wake_word and wakes
 * all.
 *
 * `completed` is set no earlier than the model's time of completion; finished_ns is that time
 * exactly. To read completed or a counter as of now, without waiting, make a WIRE_SYNC request
 * first.
 */
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define QUEUE_ITEMS   1024
#define QUEUE_NOTHING UINT64_MAX

enum queue_kind {
    QUEUE_NONE = 0,   /* takes no time (0.1 us): a marker, an event, a wait */
    QUEUE_KERNEL = 1, /* occupies the compute engine for duration_ns of running time */
    QUEUE_COPY = 2,   /* takes duration_ns on a copy engine: runs beside kernels, needs no turn */
};

enum queue_state {
    QUEUE_ALIVE = 0,
    QUEUE_GPU_LOST = 1, /* nothing will complete any more */
    QUEUE_CLOSED = 2,   /* the channel was freed */
};

/* The counter is what it was at the item's start plus the progress made, so that kernels can share
 * one; without the flag it is progress_base plus the progress made. */
#define QUEUE_PROGRESS_ADDS 1u

struct queue_item {
    uint64_t submit_ns;   /* CLOCK_MONOTONIC; the work starts no earlier */
    uint64_t duration_ns; /* of running time, alone on the engine */
    uint32_t kind;        /* enum queue_kind */
    uint32_t flags;
    /* Starts only when the channel of that handle (same client, 0: none) has completed so many. */
    uint32_t wait_channel, reserved0;
    uint64_t wait_number;
    /*
     * progress_memory (a handle, 0: none) at progress_offset (multiple of 8) is a u64 that goes
     * from base to base + progress_units in proportion to running time; exact at the end.
     */
    uint32_t progress_memory, clock_memory;
    uint64_t progress_offset, progress_units, progress_base;
    /* clock_memory at clock_offset becomes the GPU's clock in ns (what %globaltimer reads) at the
     * item's end, after everything before it in the channel. */
    uint64_t clock_offset;
    uint64_t reserved1[6];
};

struct queue {
    /* Written by the program. */
    _Atomic uint64_t put;
    _Atomic uint64_t
        wanted; /* the lowest number somebody waits for; lowered by them, raised by the GPU */
    uint64_t reserved0[6];

    /* Written by the GPU; is_asleep is also cleared by the program. */
    _Atomic uint64_t completed;
    _Atomic uint32_t wake_word; /* the futex */
    _Atomic uint32_t is_asleep;
    _Atomic uint32_t state; /* enum queue_state */
    uint32_t reserved1[11];

    /* Model time, CLOCK_MONOTONIC ns, of item number n at [(n - 1) % QUEUE_ITEMS]; by the GPU. */
    _Atomic uint64_t started_ns[QUEUE_ITEMS];
    _Atomic uint64_t finished_ns[QUEUE_ITEMS];

    struct queue_item items[QUEUE_ITEMS];
};

_Static_assert(sizeof(struct queue_item) == 128, "both sides are built from this header");
_Static_assert(offsetof(struct queue, completed) == 64, "what each side writes has its own line");
_Static_assert(offsetof(struct queue, items) % 128 == 0, "items keep to their lines");
