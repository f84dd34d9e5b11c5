#pragma once
/*
 * gpu - the model of one GPU's engines and of the scheduler in front of them. Pure: time is passed
 * in, nothing sleeps, nothing is read from the system, and the same inputs give the same instants.
 *
 * Work is in channels, channels are in groups. Kernels share one compute engine, on which one group
 * at a time is resident; the groups that want it take turns in a ring, each for its slice:
 *
 *   EMPTY --a group wants--> RESTORE (84 us, charged to nobody) --record start--> RUN
 *   RUN --slice over and another wants, or its channels were disabled--> SAVE (111 us)
 *   RUN --nothing to do and another wants, or disabled while idle--> SAVE (62 us)
 *   SAVE --record end--> RESTORE of the next that wants, or EMPTY
 *
 * A group alone stays resident while idle, and its slice begins anew whenever it ends with nobody
 * waiting. Kernels of several channels of the resident group run side by side, each at an equal
 * part of the engine's rate. Copies need no turn and run beside everything; markers take next to no
 * time.
 *
 * The figures are those measured on an H100 with driver 580: a default slice of 2048 us, and a
 * kernel submitted to an idle channel starting 12-36 us later (median 16 us).
 */
#include "utils/list.h"

#include <stdbool.h>
#include <stdint.h>

#define GPU_SAVE_FORCED_NS   UINT64_C(111000)
#define GPU_SAVE_IDLE_NS     UINT64_C(62000)
#define GPU_RESTORE_NS       UINT64_C(84000)
#define GPU_SLICE_DEFAULT_NS UINT64_C(2048000)
#define GPU_SLICE_MIN_NS     UINT64_C(50000)
#define GPU_GAP_NS           UINT64_C(1940) /* of a channel: 100 us ones fill 98.1 % */
#define GPU_MARKER_NS        UINT64_C(100)  /* the least that any item takes */
#define GPU_SAMPLE_NS        UINT64_C(200000000)
#define GPU_NEVER            UINT64_MAX
#define GPU_SWITCHES_MAX     8 /* enables and disables of one channel on their way */
#define GPU_BUSY_SAMPLES     6

enum gpu_work_kind { GPU_MARKER, GPU_KERNEL, GPU_COPY };

struct gpu_work {
    uint64_t submit_ns;
    uint64_t duration_ns; /* of running time, alone on the engine */
    enum gpu_work_kind kind;
};

/* Where a channel's work comes from and who hears of it. Items are numbered from 1. */
struct gpu_source {
    /* Whether item `number` was submitted, and what it is. */
    bool (*peek)(void *owner, uint64_t number, struct gpu_work *ret_work);
    /* Whether it has to wait for another channel. */
    bool (*is_blocked)(void *owner, uint64_t number);
    /* The item has had `done_ns` of its running time; said at the end of gpu_advance(). */
    void (*progress)(void *owner, uint64_t number, uint64_t done_ns);
    void (*finish)(void *owner, uint64_t number, uint64_t started_ns, uint64_t finished_ns);
    /* The lowest number somebody waits for in real time, GPU_NEVER if nobody does. */
    uint64_t (*wanted)(void *owner);
};

/* Whose a group is; copied, since what it did is told after it has gone. */
struct gpu_identity {
    uint32_t context, pid, uid;
};

struct gpu_listener {
    /* The front end's log: a context's restore finished (is_start), or its save did. */
    void (*record)(void *owner, bool is_start, const struct gpu_identity *identity,
                   uint64_t time_ns);
    /* GPU_SAMPLE_NS have passed, of which the engine was busy for busy_ns. */
    void (*sample)(void *owner, uint64_t busy_ns, uint64_t time_ns);
};

enum gpu_phase { GPU_EMPTY, GPU_RESTORE, GPU_RUN, GPU_SAVE };

struct gpu_group {
    struct list node; /* in the ring of turns */
    struct list channels;
    struct gpu *gpu;
    uint64_t slice_ns;
    uint64_t told_slice_us; /* what the RM was told last, 0: nothing; not looked at by the model */
    uint64_t busy_ns;       /* running kernels since it was made */
    uint64_t busy_samples_ns[GPU_BUSY_SAMPLES]; /* busy_ns at the last samples, newest first */
    struct gpu_identity identity;
};

struct gpu_switch {
    uint64_t time_ns;
    bool is_enable;
};

struct gpu_channel {
    struct list node; /* in the group */
    struct gpu_group *group;
    const struct gpu_source *source;
    void *owner;
    uint64_t finished;         /* number of items done */
    uint64_t last_finished_ns; /* when the newest of them was */
    uint64_t last_kernel_ns;   /* ... and the newest kernel, 0: none yet */
    bool is_enabled;
    bool is_blocked;
    bool has_work; /* of the item finished + 1: */
    bool has_started;
    struct gpu_work work;
    uint64_t pending_ns; /* wants the engine from then on */
    uint64_t ready_ns;   /* can run from then on */
    uint64_t started_ns;
    uint64_t remaining_ps;
    struct gpu_switch switches[GPU_SWITCHES_MAX]; /* by time */
    uint32_t switch_count;
};

struct gpu {
    uint64_t now_ns;
    struct list groups;
    const struct gpu_listener *listener;
    void *owner;
    uint64_t random;
    uint32_t last_context;

    enum gpu_phase phase;
    uint64_t phase_end_ns;      /* of RESTORE and SAVE */
    struct gpu_group *resident; /* NULL if EMPTY, or if it was freed meanwhile */
    struct gpu_identity resident_identity;
    uint64_t slice_start_ns, slice_end_ns;
    struct list *turn; /* the ring's node that had its turn last */

    uint64_t busy_ns;
    uint64_t sample_busy_ns, next_sample_ns;
    bool is_lost;
};

void gpu_init(struct gpu *gpu, const struct gpu_listener *listener, void *owner, uint64_t now_ns);

/* The caller keeps the storage, and takes channels out before their group. */
void gpu_add_group(struct gpu *gpu, struct gpu_group *group, uint32_t pid, uint32_t uid);
void gpu_remove_group(struct gpu_group *group);
void gpu_add_channel(struct gpu_group *group, struct gpu_channel *channel,
                     const struct gpu_source *source, void *owner);
void gpu_remove_channel(struct gpu_channel *channel);

/* 0: the default again. In force from the group's running slice on. */
void gpu_set_slice(struct gpu_group *group, uint64_t slice_ns);

/* Takes the channel off the engine or puts it back at an instant, now at the earliest. */
void gpu_switch_channel(struct gpu_channel *channel, bool is_enable, uint64_t time_ns);

/* Ends the group's turn now if another waits. */
void gpu_preempt(struct gpu_group *group);

/* The GPU has fallen off the bus: nothing runs any more. */
void gpu_lose(struct gpu *gpu);

/* Brings the model up to an instant; one that has passed already is now. */
void gpu_advance(struct gpu *gpu, uint64_t to_ns);

/*
 * An instant no later than the next at which somebody who waits must be told, or 50 us after it for
 * a channel that is blocked by another; GPU_NEVER if nobody waits.
 */
uint64_t gpu_wake_ns(struct gpu *gpu);

/* Whether anything is submitted and not done. */
bool gpu_is_active(const struct gpu *gpu);
