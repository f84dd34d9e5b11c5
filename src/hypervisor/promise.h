#pragma once
/*
 * promise - limits that a tenant was promised and that are perhaps not in force yet: each SET that
 * was admitted, until a status that was made after all of them has come. Nobody else is promised
 * the same meanwhile.
 */
#include "supervisor/tenant.h"

#include <stdbool.h>
#include <stdint.h>

struct promise {
    /* By the tenant's slots; all 0: nothing was promised. */
    struct tenant_quota most[REGION_GPUS_MAX]; /* the largest guarantee of all that was promised */
    struct tenant_quota last[REGION_GPUS_MAX]; /* what it has when all of it is kept */
    /* CLOCK_MONOTONIC: what is said of limits before may be from before a SET. 0: all is kept. */
    uint64_t until_ns;
};

/* What is guaranteed: without a limit, or without a cap, nothing. */
bool promise_is_more_memory(const struct tenant_quota *quota, const struct tenant_quota *old);
bool promise_is_more_time(const struct tenant_quota *quota, const struct tenant_quota *old);

/* The first, with memory and cap of the second where those guarantee more. */
struct tenant_quota promise_larger(const struct tenant_quota *quota,
                                   const struct tenant_quota *other);

/* One more SET, on top of those that were promised before. One that cannot be is none. */
void promise_add(struct promise *promise, const struct tenant *tenant,
                 const struct message_set *set, uint64_t now_ns);

/* A slot's quota is this: where that was said late enough, all of it is kept. */
void promise_keep(struct promise *promise, uint32_t slot, const struct tenant_quota *quota,
                  uint64_t now_ns);
