#pragma once
/*
 * foreign_region - keeps the shared files of pods (v2_region.h) as the snapshots say, for limiters
 * and tools that are not ours. Written by the loop, every half second; it blocks for as long as
 * some system calls on a tmpfs take.
 *
 * A file belongs to a tenant that is a pod, from the snapshot that first has it to the first that
 * has not; then it is removed. One that is there already (a former daemon's, which running
 * processes have mapped) is taken over as it is, kept alive, and brought up to date once the
 * tenant's supervisor has answered; whatever else has its name is replaced. A pod that spoils its
 * own file finds it whole again half a second later (the list of pids after ten), and has harmed
 * nobody else. Nothing in a file is believed.
 *
 * Used memory and the pids are those of the tenant's own processes and of the ones that are counted
 * to it (foreign.h, policy `adopt`), which have a limiter that is not ours.
 *
 * Files outlive the daemon: foreign_region_free() leaves them.
 */
#include "hypervisor/pod_name.h"
#include "hypervisor/snapshot.h"
#include "utils/attr.h"
#include "utils/err.h"

#include <stdint.h>

struct foreign_region;

struct foreign_region_options {
    const char *base_path; /* of --shared-memory-base-path; made where there is none */
    struct pod_rule rule;  /* a tenant that is no pod gets no file */
};

int foreign_region_new(struct foreign_region **ret_region,
                       const struct foreign_region_options *options, struct err *err) MUST_CHECK;
void foreign_region_free(struct foreign_region *region);

/*
 * To be called every 500 ms: readers take two seconds without a heartbeat for the daemon's death.
 * Once a minute, from the first snapshot that is ready on, what unknown pods left is swept away.
 * Failures are logged, once for each pod until it is well again.
 */
void foreign_region_update(struct foreign_region *region, const struct snapshot *snapshot,
                           uint64_t now_unix_s);
