#pragma once
/*
 * cgroup_path - which control group a process is in, and whether such a group may stand for one
 * tenant, as a container's does.
 */
#include "utils/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define CGROUP_PATH_MAX 512

/*
 * The path of its group as `<root>/<pid>/cgroup` says (root: "/proc"): of the unified hierarchy;
 * where that has everybody in its root, of systemd's, or of the first of version 1 that has not.
 * -ESRCH: no such process; -ENAMETOOLONG: longer than `size`.
 */
int cgroup_path_read(const char *root, pid_t pid, char *ret_path, size_t size) MUST_CHECK;

/*
 * Whether a group can be one tenant's own: a container's, a service's or a scope's. The root is
 * everybody's; a slice and what a user's session is in hold whatever else that user starts.
 */
bool cgroup_path_can_be_own(const char *path);

/* Whether `path` is `group` or lies below it. */
bool cgroup_path_is_in(const char *path, const char *group);
