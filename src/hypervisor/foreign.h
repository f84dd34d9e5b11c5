#pragma once
/*
 * foreign - which processes use a GPU without belonging to a tenant, and what the policy does about
 * them. All decisions are here, on what it is given; who a process is and the signals to it come
 * from struct foreign_system.
 *
 *   SEEN     it is in NVML's list, and in no tenant's
 *   FOREIGN  shown, counted or stopped
 *   ASKED    to end (SIGTERM), by policy `stop`
 *   KILLED   (SIGKILL)
 *
 *   SEEN --a later reading has it still, and a list of all tenants' processes that was asked for
 *          after the first reading has it not--> FOREIGN
 *   FOREIGN --policy is stop, it computes--> ASKED --5 s later it still uses a GPU--> KILLED
 *   any --it ended, uses no GPU any more, or is a tenant's now--> forgotten
 *
 * 1. A process that is a tenant's never becomes FOREIGN: it registers with its supervisor before it
 *    has memory on a GPU, so that a list that is newer than the reading has it.
 *    An observed tenant's supervisor speaks for processes of its own user alone.
 * 2. Who was a tenant's once stays so until it ends, whatever a supervisor that was just started
 *    knows of it: its pid is remembered with its start time.
 * 3. A signal reaches the process that was seen or none (start time, pidfd). Neither pid 1 nor our
 *    own processes get one, nor who only draws (the display server), nor who is in another pid
 *    namespace.
 * 4. What NVML does not tell for a while (no driver, a lost card) ends nothing: who was there is
 *    taken to be there, with memory unknown.
 */
#include "hypervisor/config.h"
#include "hypervisor/foreign_process.h"
#include "hypervisor/hardware.h"
#include "hypervisor/snapshot.h"
#include "utils/attr.h"
#include "utils/err.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define FOREIGN_KILL_NS UINT64_C(5000000000) /* from SIGTERM to SIGKILL */

struct event;
struct foreign;

/* All of them are called during foreign_update(), on its thread. */
struct foreign_system {
    /* As the functions of foreign_process.h. */
    int (*describe)(void *context, pid_t pid, struct foreign_process *ret_process);
    int (*signal)(void *context, pid_t pid, uint64_t start_ticks, int number);
    /* What happened: EVENT_FOREIGN_FOUND, _STOPPED, _GONE; number and unix_ms are 0. */
    void (*add_event)(void *context, const struct event *event);
    void *context;
};

struct foreign_tenant {
    const char *name;
    const int32_t *pids; /* registered with its supervisor */
    size_t pid_count;
    /* Somebody else's supervisor says so: only processes of that user are its. */
    bool is_observed;
    uid_t uid;
};

/* Processes of this user that were first seen after the instant may be in an observed tenant. */
struct foreign_pardon {
    uid_t uid;
    uint64_t known_ns; /* when its list was asked for; 0: it is not known */
};

struct foreign_input {
    const struct hardware_reading *reading;
    const struct snapshot_gpu *gpus; /* whose places struct snapshot_foreign names */
    uint32_t gpu_count;
    const struct foreign_tenant *tenants;
    size_t tenant_count;
    /*
     * CLOCK_MONOTONIC: when the oldest of the lists was asked for (sent, not answered), observed
     * tenants' aside. 0: that of one tenant is not known, as its supervisor does not answer or was started within the last two
     * seconds: then nobody is newly taken for foreign, and nobody gets a signal.
     */
    uint64_t tenants_ns;
    const struct foreign_pardon *pardons; /* of observed tenants, who hold up nobody else's */
    size_t pardon_count;
    const int32_t *own_pids; /* supervisors, and whatever else of ours may hold a GPU open */
    size_t own_count;
    enum config_foreign_policy policy; /* shown; counted to who owns its control group; ended */
};

/* The system is copied. -ENOMEM. */
int foreign_new(struct foreign **ret_foreign, const struct foreign_system *system,
                struct err *err) MUST_CHECK;
void foreign_free(struct foreign *foreign);

/* Once for each reading, and more often if you like. Reads /proc of foreign processes. */
void foreign_update(struct foreign *foreign, const struct foreign_input *input, uint64_t now_ns);

/* A row for each process and card, at most SNAPSHOT_FOREIGN_MAX; until the next update. */
const struct snapshot_foreign *foreign_list(const struct foreign *foreign, uint32_t *ret_count);
