#pragma once
/*
 * node_state - what node.c and the parts of it share: the loop's own, touched by its thread alone
 * but for what is said to be otherwise.
 */
#include "hypervisor/admit.h"
#include "hypervisor/event_log.h"
#include "hypervisor/health.h"
#include "hypervisor/keeper.h"
#include "hypervisor/keeper_watch.h"
#include "hypervisor/node.h"
#include "hypervisor/refusal_log.h"
#include "hypervisor/user_groups.h"
#include "supervisor/runtime.h"
#include "supervisor/verdict.h"

#include <limits.h>
#include <pthread.h>

struct control_socket;
struct outlook;
struct request;
struct standalone;
struct words;

struct node {
    struct node_config config;
    struct runtime runtime;
    char program[PATH_MAX]; /* vgpu-supervisor */
    uv_loop_t loop;
    uv_async_t posted;
    uv_timer_t look, soon, glance;
    uv_signal_t child;
    struct gpus_card cards[GPUS_MAX];
    enum verdict verdicts[GPUS_MAX];
    uint32_t card_count, lost_mask;
    char driver_version[32], node_name[SNAPSHOT_NODE_NAME_SIZE];
    struct keeper_config keeper_config;
    struct keeper_pace pace;
    struct list keepers, waiting;
    struct user_groups groups;
    struct refusal_log refusals;
    struct event_log *events;
    struct health health;
    struct control_socket *control_socket;
    struct standalone *standalone;
    struct words *words;
    struct outlook *outlook;
    struct backend backend;
    uint64_t sequence, gpus_retry_ns, disk_due_ns;
    char disk_fault[sizeof(((struct snapshot_fault *)0)->text)]; /* that was told; empty: none */
    bool is_taken_over, is_retrying_waiters;

    pthread_mutex_t lock; /* for what follows; never held while anything is called */
    struct request *first_posted, *last_posted;
    struct snapshot *snapshot;
};

struct keeper *node_find(const struct node *node, const char *name);
struct admit node_admit(struct node *node);

/* Something that is shown has changed: a snapshot is made within 20 ms. */
void node_changed(struct node *node);

/* Adds an event; `keeper` NULL: of no tenant. */
void node_tell(const struct node *node, enum event_kind kind, const struct keeper *keeper,
               const char *format, ...) PRINTF_LIKE(4, 5);
