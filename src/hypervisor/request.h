#pragma once
/*
 * request - something that the daemon's loop is asked to do, by an HTTP handler or over the control
 * socket. Who posts one (backend.h) leaves it alone until `done` was called, exactly once, on the
 * loop's thread; then it is the poster's again, answer and all.
 */
#include "ipc/message.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The longest that somebody waits for room, whatever was asked for: an hour. */
#define REQUEST_QUEUE_MOST_NS (3600 * UINT64_C(1000000000))

enum request_kind {
    REQUEST_CREATE,
    REQUEST_CHANGE,
    REQUEST_DELETE,  /* ends it; one with processes only where `is_forced` */
    REQUEST_SUSPEND, /* all its channels off the GPU, until ... */
    REQUEST_RESUME,
    REQUEST_EXPLAIN,
    REQUEST_RELOAD, /* of the configuration */
};

/* Who asks: decides, with the policy of the configuration, what is allowed. */
struct request_caller {
    uid_t uid; /* of a local peer; (uid_t)-1: a bearer of a token */
    gid_t gid;
    pid_t pid;        /* 0: not known */
    bool is_operator; /* root, the daemon's own user, or an operator's token: may do all */
};

struct request {
    enum request_kind kind;
    struct request_caller caller;
    char name[64]; /* CREATE: empty: the daemon makes one */
    struct message_set
        limits;        /* CREATE, CHANGE: `fields` says which; its header is not looked at */
    uint32_t gpu_mask; /* CREATE: bits of nvml_index; 0: the one with the best fit */
    uint32_t on_loss;  /* CREATE: enum region_on_loss */
    uint64_t queue_ns; /* CREATE: how long to wait for room; 0: refuse at once. Cut at the most. */
    bool is_kept;      /* CREATE: stays without processes until it is deleted */
    bool is_forced;    /* DELETE */
    int front_fd;      /* CREATE: becomes its supervisor's, in any case taken; -1: none */
    void (*done)(struct request *request);
    /* CREATE, on the loop's thread: it waits for room, and why; NULL: nobody wants to know. */
    void (*queued)(struct request *request, const char *words);
    /* CREATE, by any thread at any time: whoever asked has gone, it need not wait. Relaxed. */
    _Atomic bool is_abandoned;
    void *context;        /* the poster's */
    struct request *next; /* the loop's */

    /*
     * The answer: 0, or a negative errno with words for the person: -ENOENT no such tenant, -EEXIST
     * the name is taken, -EPERM the policy forbids it, -ENOSPC it does not fit (now), -EINVAL a bad
     * value, -EOPNOTSUPP not for this tenant or not built, -EAGAIN too much at once, -ETIMEDOUT its
     * supervisor does not answer, -ECANCELED it was deleted while it waited for room.
     */
    int status;
    char words[256];
    char answer_name[64];     /* CREATE: what it is called */
    uint32_t answer_gpu_mask; /* CREATE: bits of nvml_index that it may use */
    struct message_explained explanations[REGION_GPUS_MAX]; /* EXPLAIN */
    uint32_t explanation_count;
};
