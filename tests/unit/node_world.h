#pragma once
/*
 * node_world - the daemon's loop in the test's own process: two made-up GPUs of 80 GiB, a runtime
 * directory of its own, and supervisors that are tests/unit/fake_supervisor.c.
 */
#include "hypervisor/node_state.h"
#include "hypervisor/policy.h"
#include "hypervisor/request.h"

#include <stdbool.h>
#include <stdint.h>

#define GIB (UINT64_C(1) << 30)

struct node_world {
    char base[64];
    struct policy policy;
    struct node_config config;
    struct node *node;
    bool is_disk_full; /* no state can be written */
    uint32_t reloads;
    int reload_status;
};

/* One at a time; the supervisors that are started from now on behave so. */
struct node_world *node_world_start(const char *behaviour);
void node_world_behave(const char *behaviour);
void node_world_stop(void);
/* Ends the daemon alone; its supervisors are ended by node_world_stop(). */
void node_world_end_node(void);

bool node_world_wait_for(bool (*is_so)(void *context), void *context);
/* Waits until a tenant is shown in that state. */
bool node_world_becomes(const char *name, const char *state);

/* A request that counts how often it was done, and one that asks for a tenant on GPU 0. */
struct request node_world_request(enum request_kind kind, const char *name);
struct request node_world_create(const char *name, uint64_t memory_bytes);
/* Posts it and waits for its end; its status. */
int node_world_do(struct request *request);
void node_world_post(struct request *request);
bool node_world_wait_done(struct request *request);
bool node_world_is_done(const struct request *request);
uint32_t node_world_done_count(const struct request *request);

/* Of the process. Other descriptors come and go with the threads that measure. */
uint32_t node_world_count_sockets(void);
