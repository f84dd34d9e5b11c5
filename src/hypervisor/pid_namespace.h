#pragma once
/*
 * pid_namespace - which process of the machine it is that calls itself 17 in its container.
 *
 * A process's own word about itself (its environment, a token) proves nothing. What the kernel says
 * does: /proc/<pid>/ns/pid names the namespace that a process is in, and the last number of NSpid
 * in its status is what it is called there. So it takes one process that is known to be in the
 * container, and its namespace is searched.
 *
 * A pod that shares the machine's own namespace (hostPID) can name any process by that: there only
 * processes that are known to be the pod's are found.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stddef.h>
#include <stdint.h>

#define PID_NAMESPACE_MAX 64 /* different ones that one pod's containers may have */

struct pid_namespace_query {
    const char *proc_path; /* "/proc" */
    int32_t container_pid;
    const int32_t *known; /* processes of the pod, as the machine numbers them */
    size_t known_count;
};

/*
 * -ENOENT: there is none; -ENOTUNIQ: several containers of the pod have one; -EINVAL: that is no
 * pid. Takes a look at each process of the machine, unless one namespace and a known process answer
 * it.
 */
int pid_namespace_find(const struct pid_namespace_query *query, int32_t *ret_pid,
                       struct err *err) MUST_CHECK;
