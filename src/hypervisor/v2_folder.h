#pragma once
/*
 * v2_folder - where the pods' shared files lie: `{base}/{namespace}/{pod}/shm`.
 *
 * A pod may be able to write in its own directory, and an old installation's base is open to all.
 * So nothing below the base is reached by a path: each directory is opened from the one above, is
 * never a link, and belongs to us or to root (-EPERM where not); a file is looked at when it is
 * open and not before. What we make comes complete or not at all (another name, then a rename).
 *
 * Rights: directories 0755; the file 0666, because foreign limiters of whatever user open it for
 * reading and writing, and would not start with less. Who can reach it is decided by the
 * directories that a container is given.
 */
#include "hypervisor/pod_name.h"
#include "hypervisor/v2_region.h"
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>
#include <stdint.h>

/* The base itself may be a link: it is the operator's word. `make`: makes it, not its parents. */
int v2_folder_open_base(const char *path, bool make, struct err *err) MUST_CHECK;

/* A directory below another one; `make`: makes it where there is none. */
int v2_folder_open_below(int folder_fd, const char *name, bool make, struct err *err) MUST_CHECK;

/* A pod's own directory. */
int v2_folder_open_pod(int base_fd, const struct pod_name *pod, bool make,
                       struct err *err) MUST_CHECK;

/*
 * The file of a pod's directory, for reading, or (`is_ours`) for writing too: then it is a file of
 * our own user with no other name, or -EPERM. A descriptor; it never waits for a pipe's writer.
 */
int v2_folder_open_file(int pod_fd, bool is_ours, struct err *err) MUST_CHECK;

/* Makes the file, in the place of whatever was there; a descriptor for reading and writing. */
int v2_folder_make_file(int pod_fd, const struct v2_region_image *image,
                        struct err *err) MUST_CHECK;

/* Whether the directory's file is still the open one. */
bool v2_folder_has_file(int pod_fd, int fd);

/*
 * Removes the file, then the pod's and the namespace's directories as far as they are empty. What
 * else a pod left there stays, and so do its directories.
 */
void v2_folder_remove(int base_fd, const struct pod_name *pod);

/* How v2_folder_sweep() tells what is left over from what is in use. */
struct v2_folder_rules {
    bool (*is_known)(void *context, const struct pod_name *pod);
    void *context;
    uint64_t heartbeat_timeout_s; /* with a heartbeat not older than this a file is in use */
    uint64_t pids_timeout_s;      /* nor is one with living processes, up to this age */
};

/*
 * Removes the files that pods which are not known left, and the directories that are empty by that:
 * those with an old heartbeat whose processes have all ended, and what a crash left of one. All
 * else is left alone, be it an empty directory (a pod about to start has one), a link, or a file
 * that merely has the name: the base may be the wrong one. Returns how many it removed.
 */
uint32_t v2_folder_sweep(int base_fd, const struct v2_folder_rules *rules, uint64_t now_unix_s);
