#include "hypervisor/admission.h"

#include <errno.h>

#define WHOLE 100000u
#define GIB   ((double)(UINT64_C(1) << 30))

static uint64_t wanted_bytes(const struct admission_gpu *gpu, const struct admission_wish *wish)
{
    /* To the byte what the tenant is given (tenant_change()). */
    if (wish->memory_milli_percent)
        return gpu->memory_bytes / WHOLE * wish->memory_milli_percent +
               gpu->memory_bytes % WHOLE * wish->memory_milli_percent / WHOLE;
    return wish->memory_bytes == REGION_NO_LIMIT ? 0 : wish->memory_bytes;
}

static uint32_t wanted_time(const struct admission_wish *wish)
{
    return wish->cap_milli_percent < WHOLE ? wish->cap_milli_percent : 0;
}

static uint64_t left_bytes(const struct admission_gpu *gpu)
{
    return gpu->reserved_bytes < gpu->memory_bytes ? gpu->memory_bytes - gpu->reserved_bytes : 0;
}

static uint32_t left_time(const struct admission_gpu *gpu)
{
    return gpu->reserved_milli_percent < WHOLE ? WHOLE - gpu->reserved_milli_percent : 0;
}

static bool fits(const struct admission_gpu *gpu, const struct admission_wish *wish)
{
    return gpu->is_usable && !gpu->is_waited_for &&
           (wish->may_exceed ||
            (wanted_bytes(gpu, wish) <= left_bytes(gpu) && wanted_time(wish) <= left_time(gpu)));
}

static bool can_ever(const struct admission_gpu *gpu, const struct admission_wish *wish)
{
    return wanted_bytes(gpu, wish) <= gpu->memory_bytes;
}

static int refuse(const struct admission_gpu *gpu, const struct admission_wish *wish,
                  struct err *err)
{
    if (!gpu->is_usable)
        return err_say(err, ENOSPC, "GPU %u cannot be used now", gpu->nvml_index);
    if (gpu->is_waited_for)
        return err_say(err, ENOSPC, "somebody waits for GPU %u already", gpu->nvml_index);
    return err_say(err, ENOSPC,
                   "GPU %u has %.1f GiB and %.1f %% of its time left to guarantee; %.1f GiB and "
                   "%.1f %% were asked for",
                   gpu->nvml_index, (double)left_bytes(gpu) / GIB, left_time(gpu) / 1000.0,
                   (double)wanted_bytes(gpu, wish) / GIB, wanted_time(wish) / 1000.0);
}

/* All that were named have to do. */
static int decide_named(const struct admission_gpu *gpus, uint32_t count,
                        const struct admission_wish *wish, struct err *err)
{
    uint32_t known = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (!(wish->gpu_mask & admission_bit(gpus[i].nvml_index)))
            continue;
        known |= admission_bit(gpus[i].nvml_index);
        if (!can_ever(&gpus[i], wish))
            return err_say(err, EINVAL, "GPU %u has %.1f GiB in all, and %.1f GiB were asked for",
                           gpus[i].nvml_index, (double)gpus[i].memory_bytes / GIB,
                           (double)wanted_bytes(&gpus[i], wish) / GIB);
        if (!fits(&gpus[i], wish))
            return refuse(&gpus[i], wish, err);
    }
    return known == wish->gpu_mask ? 0 : err_say(err, EINVAL, "a GPU that is not there was named");
}

static bool is_better(const struct admission_gpu *gpu, const struct admission_gpu *best)
{
    if (left_bytes(gpu) != left_bytes(best))
        return left_bytes(gpu) < left_bytes(best);
    if (left_time(gpu) != left_time(best))
        return left_time(gpu) < left_time(best);
    return gpu->tenant_count < best->tenant_count;
}

/* Who wants to be least in the way of others has the roomiest: a tenant without guarantees. */
static bool is_preferred(const struct admission_gpu *gpu, const struct admission_gpu *best,
                         const struct admission_wish *wish)
{
    if (!wanted_bytes(gpu, wish) && !wanted_time(wish) && gpu->tenant_count != best->tenant_count)
        return gpu->tenant_count < best->tenant_count;
    return is_better(gpu, best);
}

static int decide_best(const struct admission_gpu *gpus, uint32_t count,
                       const struct admission_wish *wish, uint32_t *ret_mask, struct err *err)
{
    const struct admission_gpu *best = NULL, *nearest = NULL;

    for (uint32_t i = 0; i < count; i++) {
        if (!can_ever(&gpus[i], wish) || !admission_bit(gpus[i].nvml_index))
            continue;
        if (!nearest || left_bytes(&gpus[i]) > left_bytes(nearest))
            nearest = &gpus[i];
        if (fits(&gpus[i], wish) && (!best || is_preferred(&gpus[i], best, wish)))
            best = &gpus[i];
    }
    if (!nearest)
        return err_say(err, EINVAL, "no GPU of this machine has that much memory");
    if (!best)
        return refuse(nearest, wish, err);
    *ret_mask = admission_bit(best->nvml_index);
    return 0;
}

int admission_decide(const struct admission_gpu *gpus, uint32_t count,
                     const struct admission_wish *wish, uint32_t *ret_mask, struct err *err)
{
    int rc;

    if (!wish->gpu_mask)
        return decide_best(gpus, count, wish, ret_mask, err);
    rc = decide_named(gpus, count, wish, err);
    if (!rc)
        *ret_mask = wish->gpu_mask;
    return rc;
}
