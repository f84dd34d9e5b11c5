#pragma once
/*
 * keeper - one tenant of the daemon's: it starts the tenant's supervisor, watches it over the
 * control socket, and replaces one that dies, stands still or does not answer. What it holds (the
 * name's lock, the ledger, the socket) survives the supervisor; what the supervisor holds survives
 * the daemon, and the tenant's processes survive both. All on the loop's thread.
 *
 *   STARTING   a supervisor was started; nothing was heard of it yet
 *   RUNNING    (or SUSPENDED) it answers
 *   ORPHANED   it is lost, and another one is about to be started
 *   ended      on_end() was called, in which the keeper is freed
 */
#include "hypervisor/keeper_status.h"
#include "hypervisor/promise.h"
#include "hypervisor/snapshot.h"
#include "hypervisor/talk.h"
#include "supervisor/tenant.h"
#include "utils/list.h"

#include <uv.h>

#define KEEPER_RETRY_MS 20

struct runtime;
struct keeper;

struct keeper_config {
    uv_loop_t *loop;
    const struct runtime *runtime;
    const char *program; /* vgpu-supervisor */
    int words_fd;        /* what it has as standard error */
    /* Its status is a new one; `before` (all zero for the first) goes afterwards. */
    void (*on_change)(void *context, struct keeper *keeper, const struct keeper_status *before);
    void (*on_ready)(void *context, struct keeper *keeper); /* the first one came */
    void (*on_lost)(void *context, struct keeper *keeper);  /* its supervisor is; another follows */
    /* `status` 0: no process was left, or it was ended; else -EIO: its supervisor never began. */
    void (*on_end)(void *context, struct keeper *keeper, int status);
    void *context;
};

struct keeper {
    struct list node; /* the owner's */
    const struct keeper_config *config;
    struct tenant tenant; /* as it was made, or as its state file said; the limits in force */
    struct promise promise;
    uint64_t excused_ns; /* silence before this was ours, who did not listen */
    enum snapshot_state state;
    bool has_status, is_child, is_gone;
    bool is_observed;     /* somebody else's: looked at, and nothing is done to it */
    bool is_inherited;    /* made under a former daemon */
    bool is_held;         /* an operator has suspended it, or has asked for that */
    bool is_successor;    /* the next supervisor finds what a former one has left */
    uv_process_t process; /* while is_child */
    uv_timer_t retry;
    int open_handles;
    int lock_fd, ledger_fd, listen_fd; /* -1: a former daemon's tenant, whose supervisor lives */
    struct talk *watch, *line;         /* somebody else's has no `line` */
    uint64_t started_ns, asked_ns;     /* asked_ns 0: no status is waited for */
    uint64_t known_ns;                 /* when the newest status was asked for */
    uint32_t failures;                 /* supervisors in a row that ended at once by themselves */
    uint32_t short_lives;              /* the same, and those that somebody killed */
    uint32_t restarts;
    uint32_t heard; /* messages of an answer of somebody else's */
    struct keeper_status status, coming;
    void *owner_data; /* the owner's */
};

/*
 * Makes a tenant: takes its name, and starts its supervisor, which becomes the owner of *front_fd
 * (taken; -1: none). -EEXIST with words where the name is taken.
 */
int keeper_create(struct keeper **ret_keeper, const struct keeper_config *config,
                  const struct tenant *tenant, int *front_fd, struct err *err) MUST_CHECK;

/*
 * Keeps a tenant that is there: one of a former daemon's, whose supervisor may live or not. Where
 * nobody lives in it any more it is cleaned away and on_end() is called a little later. -ENOENT:
 * there is no such tenant.
 */
int keeper_take_over(struct keeper **ret_keeper, const struct keeper_config *config,
                     const char *name, struct err *err) MUST_CHECK;

/* Whether the name is still this keeper's, and not free for another or another's already. */
bool keeper_has_name(const struct keeper *keeper);

/*
 * Looks at a tenant of somebody else's `vgpu run` (of user `uid`), whose supervisor may be hostile,
 * over a connection to it, which it takes: it is asked for its status at each look and believed of
 * nothing but what is shown; who says what was not asked for, or too much, or nothing, is done
 * with. It is called name@uid, as no other tenant is, its own name cut where that is too long.
 * -ENOMEM.
 */
int keeper_observe(struct keeper **ret_keeper, const struct keeper_config *config, const char *name,
                   uid_t uid, int *fd) MUST_CHECK;

/* Has it found out a little later what has become of its supervisor, and do what follows. */
void keeper_judge_soon(struct keeper *keeper, uint64_t delay_ms);

/*
 * One without a lock has lost its name, and is to end before another has it: calls on_end(), which
 * frees it. One with a child waits for the child's end.
 */
void keeper_end(struct keeper *keeper);

/* The tenant and its supervisor stay as they are. */
void keeper_free(struct keeper *keeper);
