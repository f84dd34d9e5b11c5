#pragma once
/*
 * controller - keeps one tenant to its share of every GPU: the thread that reads the switch
 * records, runs the budget law (erl/budget.h) and the slice planner (erl/slices.h), and switches
 * channels at absolute instants. It owns its samplers and timers and shares nothing with the loop
 * but what these calls pass (a mutex held for no driver call, except where a call below says that
 * it waits).
 *
 * All functions are for the loop's thread. `slot` is an index into region_control.gpus.
 */
#include "ipc/region.h"
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct controller;
struct gpus_card;
struct message_explained;

struct controller_quota {
    uint32_t cap_milli_percent; /* 100000: no cap */
    uint32_t weight;            /* 1..1000 */
    enum region_priority priority;
    bool is_suspended; /* its channels are off, whatever it may use */
};

/* A channel, or (channel 0) a channel group, of one of the tenant's processes. */
struct controller_object {
    pid_t pid; /* as SO_PEERCRED says */
    int fd;    /* the supervisor's duplicate; borrowed until removed */
    uint32_t slot;
    uint32_t client, subdevice, group, channel, engine;
};

struct controller_state {
    enum region_engine engine;       /* what was seen to work here */
    bool is_off;                     /* channels are off the GPU, as far as is known */
    uint64_t used_milli_percent;     /* of the last second; UINT64_MAX: not known */
    uint64_t duty_milli_percent;     /* UINT64_MAX: not known */
    uint64_t slice_us;               /* UINT64_MAX: never set */
    uint64_t entitled_milli_percent; /* UINT64_MAX: there is no plan yet */
    uint32_t busy_group_count;       /* compute channel groups with work */
    uint64_t switch_calls, late_looks, control_failures;
    uint64_t call_ns; /* a switch call's length, moving average; UINT64_MAX: none was made */
};

/*
 * Publishes facts and leases in `control` (writable, borrowed for its life) and plans for its
 * slots. `cards[i]` belongs to slot i. Starts its thread; no GPU need be reachable yet: what cannot
 * be opened is tried again and reported by controller_get_state() as not known.
 */
int controller_new(struct controller **ret_controller, struct region_control *control,
                   const struct gpus_card *const *cards, struct err *err) MUST_CHECK;

/* Enables everything, ends the thread. */
void controller_free(struct controller *controller);

/* In force at once (the law's "cap changes"), within 60 ms beside a busy neighbour. */
void controller_set_quota(struct controller *controller, uint32_t slot,
                          const struct controller_quota *quota);

/*
 * -ENOSPC beyond the built-in bounds (4096 objects); the object is then not governed, and counted.
 */
int controller_add(struct controller *controller,
                   const struct controller_object *object) MUST_CHECK;
/* The object with this handle and all channels below it; object == client: all of the client. */
void controller_remove(struct controller *controller, pid_t pid, int fd, uint32_t client,
                       uint32_t object);
/*
 * Everything of a process, or (fd not -1) of one of its files. Waits for a driver call in flight:
 * the descriptor may be closed afterwards.
 */
void controller_remove_process(struct controller *controller, pid_t pid, int fd);

/*
 * No channel of a process is disabled before its guard is armed. controller_wants_armed() says
 * whether guards are needed now (a cap below 100 %, or a suspended tenant, with compute channels,
 * or channels that are still off); changes of it, and of the engine, make controller_event_fd() (an
 * eventfd) readable.
 */
bool controller_wants_armed(const struct controller *controller);
void controller_set_armed(struct controller *controller, pid_t pid, bool is_armed);
int controller_event_fd(const struct controller *controller);

/* Peers' control pages, mapped read-only and checked; borrowed until removed (remove waits for the
 * thread to have let go). */
int controller_add_peer(struct controller *controller,
                        const struct region_control *peer) MUST_CHECK;
void controller_remove_peer(struct controller *controller, const struct region_control *peer);

void controller_get_state(struct controller *controller, uint32_t slot,
                          struct controller_state *ret_state);

/* The last plan and what it was made of; the header is filled in. Waits for a step in progress. */
void controller_explain(struct controller *controller, uint32_t slot,
                        struct message_explained *ret_explained);
