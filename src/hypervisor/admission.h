#pragma once
/*
 * admission - whether a tenant fits, and on which GPU: a pure function. What is guaranteed to a
 * tenant is its memory limit, and its cap on GPU time; the sums of them on a GPU never exceed it
 * unless somebody who may exceed asks. A tenant without a limit is guaranteed nothing of it.
 */
#include "ipc/region.h"
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>
#include <stdint.h>

struct admission_gpu {
    uint32_t nvml_index;
    uint64_t memory_bytes; /* of the card */
    uint64_t reserved_bytes;
    uint32_t reserved_milli_percent;
    uint32_t tenant_count;
    bool is_usable;     /* not lost */
    bool is_waited_for; /* by somebody who was there before */
};

struct admission_wish {
    uint64_t memory_bytes;         /* REGION_NO_LIMIT: none */
    uint32_t memory_milli_percent; /* of each card, where not 0 */
    uint32_t cap_milli_percent;    /* 100000: none */
    uint32_t gpu_mask;             /* bits of nvml_index; 0: the one with the best fit */
    bool may_exceed;
};

/*
 * The bit of a GPU in a mask; 0 for one that is beyond it: cards that have stopped to answer are
 * counted by NVML, too, so that an index may be any.
 */
static inline uint32_t admission_bit(uint32_t nvml_index)
{
    return nvml_index < 32 ? 1u << nvml_index : 0;
}

/* The sum; UINT64_MAX where there is none: who writes such limits gets no room by it. */
static inline uint64_t admission_sum(uint64_t a, uint64_t b)
{
    return a + b < a ? UINT64_MAX : a + b;
}

/* The GPUs that have enough where nobody else is on them: bits of nvml_index. */
uint32_t admission_possible(const struct admission_gpu *gpus, uint32_t count,
                            const struct admission_wish *wish);

/*
 * Somebody waits for these GPUs, or for any: then it is kept a place on one of them, the one where
 * it lacks least, and on none that cannot serve it.
 */
void admission_wait(struct admission_gpu *gpus, uint32_t count, const struct admission_wish *wish);

/*
 * The best fit is the GPU that is left with the least memory unreserved; among those the one with
 * the least GPU time unreserved, then with the fewest tenants, then the first. A tenant without
 * guarantees goes to the GPU with the fewest tenants. -ENOSPC with words: it does not fit now.
 * -EINVAL with words: it never can (no such GPU, more than a card has).
 */
int admission_decide(const struct admission_gpu *gpus, uint32_t count,
                     const struct admission_wish *wish, uint32_t *ret_mask,
                     struct err *err) MUST_CHECK;
