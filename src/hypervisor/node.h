#pragma once
/*
 * node - the daemon's loop: it owns the tenants' keepers, decides who is admitted, looks at all
 * once a second, and makes the snapshots that the views read (backend.h). Nothing in it waits: what
 * takes long is asked on a line (talk.h) or done by a thread of its own.
 */
#include "hypervisor/backend.h"
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct config;
struct node;
struct policy;

struct node_config {
    const char *runtime_dir;         /* NULL or empty: as supervisor/runtime.h finds it */
    const char *node_name;           /* copied */
    const struct policy *policy;     /* borrowed until node_configure() */
    uint64_t queue_ns;               /* how long a tenant waits for room where it does not say */
    uint64_t sample_ms;              /* between two samples of the hardware */
    const char *standalone_patterns; /* where other users' tenants are; as the policy */
    int foreign_policy;              /* enum config_foreign_policy */
    int (*on_reload)(void *context, struct err *err); /* RELOAD was asked for; 0 or -errno */
    void (*on_look)(void *context, struct snapshot *snapshot); /* after each look; borrowed */
    void *context;
};

/* Finds the GPUs and takes over the tenants of a former daemon. -EADDRINUSE: another one runs. */
int node_new(struct node **ret_node, const struct node_config *config, struct err *err) MUST_CHECK;

/* Serves until node_stop(). */
void node_run(struct node *node);
/* On the loop's thread. Tenants and their supervisors stay as they are. */
void node_stop(struct node *node);
/* What was posted and is not done yet is refused; nobody may post any more. */
void node_free(struct node *node);

/* What a reload may change: policy, queue, patterns, what is done about strangers. */
void node_configure(struct node *node, const struct node_config *config);

/* Between two looks at all: a second at most. */
uint64_t node_look_ns(const struct node *node);

/* For whoever has timers and signals to watch. */
uv_loop_t *node_loop(struct node *node);
const struct backend *node_backend(const struct node *node);
const char *node_runtime_base(const struct node *node);

/* A fault of somebody else's (health.h): on the loop's thread. */
void node_set_fault(struct node *node, bool is_there, const char *component, const char *text);

/*
 * The same for one whose text changes: `said`, as large as a fault's text, is what was told of it
 * last and becomes the new one; empty: none.
 */
void node_replace_fault(struct node *node, const char *component, char *said, const char *text);
