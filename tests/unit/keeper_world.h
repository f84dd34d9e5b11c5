#pragma once
/*
 * keeper_world - a loop and a runtime directory of the test's own, with keepers whose supervisors
 * are tests/unit/fake_supervisor.c.
 */
#include "hypervisor/keeper.h"
#include "supervisor/runtime.h"

#include <stdbool.h>
#include <stdint.h>

struct keeper_world {
    uv_loop_t loop;
    uv_timer_t beat; /* so that a wait looks again */
    uv_signal_t child;
    char base[64];
    struct runtime runtime;
    struct keeper_config config;
    struct list keepers;
    uint32_t changes, readies, losses, ends;
    int end_status; /* of the newest end */
};

/* One at a time. The supervisors that are started from now on behave so. */
struct keeper_world *keeper_world_start(const char *behaviour);
void keeper_world_behave(const char *behaviour);
/* All keepers are freed, their supervisors killed; nothing may be left of the loop. */
void keeper_world_stop(void);

/* With two GPUs, of which the first is allowed; -errno. `front_fd` as keeper_create()'s. */
int keeper_world_create(struct keeper **ret_keeper, const char *name, bool is_kept, int *front_fd);

/* Runs the loop until a number is at least that much, for ten seconds at most. */
bool keeper_world_wait(const uint32_t *number, uint32_t least);
/* ... or until a question is answered with yes. */
bool keeper_world_wait_for(bool (*is_so)(void *context), void *context);
