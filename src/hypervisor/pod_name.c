#include "hypervisor/pod_name.h"

#include "utils/str.h"

#include <string.h>

static bool is_letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool pod_name_is_part(const char *text, size_t size)
{
    size_t length = strnlen(text, size);

    if (length == size || !is_letter_or_digit(text[0]))
        return false;
    for (size_t i = 1; i < length; i++)
        if (!is_letter_or_digit(text[i]) && !strchr("_.-", text[i]))
            return false;
    return true;
}

bool pod_name_set(struct pod_name *ret_pod, const char *namespace, const char *name)
{
    if (!pod_name_is_part(namespace, sizeof(ret_pod->namespace)) ||
        !pod_name_is_part(name, sizeof(ret_pod->name)))
        return false;
    (void)str_format(ret_pod->namespace, sizeof(ret_pod->namespace), "%s", namespace); /* fits */
    (void)str_format(ret_pod->name, sizeof(ret_pod->name), "%s", name);                /* fits */
    return true;
}

bool pod_name_equals(const struct pod_name *a, const struct pod_name *b)
{
    return str_equals(a->namespace, b->namespace) && str_equals(a->name, b->name);
}

bool pod_name_of_tenant(const struct pod_rule *rule, const struct snapshot_tenant *tenant,
                        struct pod_name *ret_pod)
{
    struct pod_name pod;

    return rule->name(rule->context, tenant, &pod) &&
           pod_name_set(ret_pod, pod.namespace, pod.name);
}

const struct snapshot_tenant *pod_name_find(const struct pod_rule *rule,
                                            const struct snapshot *snapshot,
                                            const struct pod_name *pod)
{
    for (uint32_t i = 0; i < snapshot->tenant_count; i++) {
        struct pod_name name;

        if (pod_name_of_tenant(rule, &snapshot->tenants[i], &name) && pod_name_equals(&name, pod))
            return &snapshot->tenants[i];
    }
    return NULL;
}
