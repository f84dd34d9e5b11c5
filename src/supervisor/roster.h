#pragma once
/*
 * roster - the channel groups and channels of one tenant on one GPU, and what was last done to
 * them. Plain data: who shares it between threads brings the lock. Entries keep their places until
 * removed.
 */
#include "supervisor/controller.h"
#include "utils/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROSTER_ENTRIES_MAX 4096

struct roster_entry {
    struct controller_object object; /* channel 0: a group */
    bool is_armed;                   /* its process's guard watches the lease */
    bool is_disabled;                /* a channel that we took off the GPU */
    uint64_t slice_us;               /* a group's, as last set; 0: never, or overwritten since */
};

struct roster {
    struct roster_entry *entries; /* ROSTER_ENTRIES_MAX of them */
    size_t count;
};

int roster_init(struct roster *roster) MUST_CHECK;
void roster_fini(struct roster *roster);

/* A group that is known already was overwritten by its owner: its slice counts as never set. */
int roster_add(struct roster *roster, const struct controller_object *object,
               bool is_armed) MUST_CHECK;
void roster_remove(struct roster *roster, pid_t pid, int fd, uint32_t client, uint32_t object);
/* fd -1: all of the process. */
void roster_remove_process(struct roster *roster, pid_t pid, int fd);
void roster_set_armed(struct roster *roster, pid_t pid, bool is_armed);

/* Engines 1 to 8 run kernels; only what is theirs is scheduled by us. */
bool roster_is_compute(const struct roster_entry *entry);
