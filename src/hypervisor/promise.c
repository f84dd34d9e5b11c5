#include "hypervisor/promise.h"

#include "utils/clock.h"

#include <string.h>

#define NO_CAP     100000u
#define PROMISE_NS (2 * NS_PER_SEC) /* longer than a SET waits for its answer */

bool promise_is_more_memory(const struct tenant_quota *quota, const struct tenant_quota *old)
{
    return quota->memory_bytes != REGION_NO_LIMIT &&
           (old->memory_bytes == REGION_NO_LIMIT || quota->memory_bytes > old->memory_bytes);
}

bool promise_is_more_time(const struct tenant_quota *quota, const struct tenant_quota *old)
{
    return quota->cap_milli_percent < NO_CAP &&
           (old->cap_milli_percent >= NO_CAP || quota->cap_milli_percent > old->cap_milli_percent);
}

struct tenant_quota promise_larger(const struct tenant_quota *quota,
                                   const struct tenant_quota *other)
{
    struct tenant_quota both = *quota;

    if (promise_is_more_memory(other, quota))
        both.memory_bytes = other->memory_bytes;
    if (promise_is_more_time(other, quota))
        both.cap_milli_percent = other->cap_milli_percent;
    return both;
}

void promise_add(struct promise *promise, const struct tenant *tenant,
                 const struct message_set *set, uint64_t now_ns)
{
    struct tenant wanted = *tenant;

    if (promise->until_ns)
        memcpy(wanted.quotas, promise->last, sizeof(wanted.quotas));
    if (tenant_change(&wanted, set, NULL) < 0)
        return; /* nor will its supervisor change anything */
    memcpy(promise->last, wanted.quotas, sizeof(promise->last));
    for (uint32_t i = 0; i < tenant->gpu_count; i++)
        promise->most[i] = promise->until_ns ? promise_larger(&wanted.quotas[i], &promise->most[i])
                                             : wanted.quotas[i];
    promise->until_ns = now_ns + PROMISE_NS;
}

void promise_keep(struct promise *promise, uint32_t slot, const struct tenant_quota *quota,
                  uint64_t now_ns)
{
    if (now_ns < promise->until_ns)
        return;
    promise->until_ns = 0;
    promise->most[slot] = *quota;
    promise->last[slot] = *quota;
}
