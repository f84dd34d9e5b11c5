#include "hypervisor/tenant_pod.h"

#include "utils/str.h"

#include <string.h>
#include <unistd.h>

bool tenant_pod_name(void *context, const struct snapshot_tenant *tenant, struct pod_name *ret_pod)
{
    const char *dot = strchr(tenant->name, '.');
    char namespace[sizeof(tenant->name)];

    /* Bearers of operators' tokens count as root. */
    if (tenant->is_standalone || (tenant->uid != 0 && tenant->uid != geteuid()) || !dot)
        return false;
    (void)str_format(namespace, sizeof(namespace), "%.*s", (int)(dot - tenant->name),
                     tenant->name); /* fits */
    return pod_name_set(ret_pod, namespace, dot + 1);
}
