#pragma once
/*
 * pod_name - which pod something belongs to. Both parts become names of directories and stand in
 * JSON, so what is valid is narrow, and nothing else is ever opened or shown.
 */
#include "hypervisor/snapshot.h"

#include <stdbool.h>
#include <stddef.h>

struct pod_name {
    char namespace[64]; /* as Kubernetes has it: at most 63 characters */
    char name[254];     /* at most 253 */
};

/* [A-Za-z0-9][A-Za-z0-9_.-]*, shorter than `size`: never empty, hidden, `.`, `..`, with a `/`. */
bool pod_name_is_part(const char *text, size_t size);

/* Fills it; false, and nothing is filled, where a part is not valid. */
bool pod_name_set(struct pod_name *ret_pod, const char *namespace, const char *name);

bool pod_name_equals(const struct pod_name *a, const struct pod_name *b);

/* Which pod a tenant is: whoever knows where tenants come from says so. */
struct pod_rule {
    /* false: it is none. What it fills in is looked at before it is used. */
    bool (*name)(void *context, const struct snapshot_tenant *tenant, struct pod_name *ret_pod);
    void *context;
};

bool pod_name_of_tenant(const struct pod_rule *rule, const struct snapshot_tenant *tenant,
                        struct pod_name *ret_pod);

/* The first tenant that is the pod; NULL: none. */
const struct snapshot_tenant *pod_name_find(const struct pod_rule *rule,
                                            const struct snapshot *snapshot,
                                            const struct pod_name *pod);
