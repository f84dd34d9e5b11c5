#include "hypervisor/waiting.h"

#include "hypervisor/request.h"
#include "hypervisor/snapshot.h"
#include "utils/str.h"

void waiting_show(const struct waiting *waiting, struct snapshot_tenant *ret_tenant)
{
    const struct request *request = waiting->request;

    *ret_tenant = (struct snapshot_tenant){.uid = request->caller.uid,
                                           .state = SNAPSHOT_QUEUED,
                                           .is_kept = request->is_kept,
                                           .on_loss = request->on_loss};
    (void)str_format(ret_tenant->name, sizeof(ret_tenant->name), "%s",
                     request->name); /* same size */
}
