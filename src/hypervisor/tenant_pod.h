#pragma once
/*
 * tenant_pod - which tenants are pods, for as long as nobody tells us of pods: a tenant that an
 * operator has made and called `<namespace>.<pod>`. The first dot divides them, as a namespace's
 * name has none and a pod's may. A tenant's name has 63 characters at most, so a pod whose two
 * names are longer together than 62 cannot have one.
 *
 * A tenant of another user, or another's `vgpu run`, is no pod whatever it is called: by a name
 * alone it would get a pod's file and what a pod's token may see.
 */
#include "hypervisor/pod_name.h"

#include <stdbool.h>

/* A pod_rule's `name`; the context is not looked at. */
bool tenant_pod_name(void *context, const struct snapshot_tenant *tenant, struct pod_name *ret_pod);
