#pragma once
/*
 * foreign_process - what foreign.h needs of the system: who a process is, and a signal to it and to
 * nobody else.
 */
#include "hypervisor/cgroup_path.h"
#include "utils/attr.h"

#include <stdint.h>
#include <sys/types.h>

struct foreign_process {
    uint64_t start_ticks;         /* field 22 of /proc/<pid>/stat */
    char comm[16];                /* plain; "?" where it cannot be read */
    uid_t uid;                    /* effective; (uid_t)-1: not known */
    char cgroup[CGROUP_PATH_MAX]; /* empty: not known */
};

/* -ESRCH: none in our pid namespace. `context` is not looked at: it makes it a foreign_system's. */
int foreign_process_describe(void *context, pid_t pid,
                             struct foreign_process *ret_process) MUST_CHECK;

/*
 * By a pidfd, and only while the process with this start time has the pid. -ESRCH: it has ended;
 * -EPERM, -ENOSYS: it cannot be done.
 */
int foreign_process_signal(void *context, pid_t pid, uint64_t start_ticks, int number) MUST_CHECK;
