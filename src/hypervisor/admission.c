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
    /* Who may exceed takes no room that somebody else waits for. */
    return gpu->is_usable && (wish->may_exceed ||
                              (!gpu->is_waited_for && wanted_bytes(gpu, wish) <= left_bytes(gpu) &&
                               wanted_time(wish) <= left_time(gpu)));
}

static bool can_ever(const struct admission_gpu *gpu, const struct admission_wish *wish)
{
    return wanted_bytes(gpu, wish) <= gpu->memory_bytes;
}

/* What it lacks there, as a part of the card: of memory or of time, whichever is more. */
static double lacking(const struct admission_gpu *gpu, const struct admission_wish *wish)
{
    uint64_t bytes = wanted_bytes(gpu, wish);
    uint32_t time = wanted_time(wish);
    double memory_part = 0, time_part = 0;

    if (bytes > left_bytes(gpu))
        memory_part = (double)(bytes - left_bytes(gpu)) / (double)gpu->memory_bytes;
    if (time > left_time(gpu))
        time_part = (double)(time - left_time(gpu)) / WHOLE;
    return memory_part > time_part ? memory_part : time_part;
}

static bool is_nearer(const struct admission_gpu *gpu, const struct admission_gpu *nearest,
                      const struct admission_wish *wish)
{
    double lack = lacking(gpu, wish), least = lacking(nearest, wish);

    return lack < least || (!(lack > least) && left_bytes(gpu) > left_bytes(nearest));
}

uint32_t admission_possible(const struct admission_gpu *gpus, uint32_t count,
                            const struct admission_wish *wish)
{
    uint32_t mask = 0;

    for (uint32_t i = 0; i < count; i++)
        if (can_ever(&gpus[i], wish))
            mask |= admission_bit(gpus[i].nvml_index);
    return mask;
}

void admission_wait(struct admission_gpu *gpus, uint32_t count, const struct admission_wish *wish)
{
    struct admission_gpu *nearest = NULL;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t bit = admission_bit(gpus[i].nvml_index);

        if (wish->gpu_mask & bit)
            gpus[i].is_waited_for = true;
        if (wish->gpu_mask || !bit || !gpus[i].is_usable || gpus[i].is_waited_for ||
            !can_ever(&gpus[i], wish))
            continue;
        if (!nearest || is_nearer(&gpus[i], nearest, wish))
            nearest = &gpus[i];
    }
    if (nearest)
        nearest->is_waited_for = true;
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
        if (!nearest || is_nearer(&gpus[i], nearest, wish))
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
