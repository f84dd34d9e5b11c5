#include "sim/engine.h"

#define GROUP(list_node)   CONTAINER_OF(list_node, struct gpu_group, node)
#define CHANNEL(list_node) CONTAINER_OF(list_node, struct gpu_channel, node)

bool engine_channel_wants(const struct gpu_channel *channel)
{
    return channel->has_work && channel->work.kind == GPU_KERNEL && channel->is_enabled &&
           !channel->is_blocked && channel->pending_ns <= channel->group->gpu->now_ns;
}

bool engine_channel_runs(const struct gpu_channel *channel)
{
    const struct gpu *gpu = channel->group->gpu;

    return gpu->phase == GPU_RUN && gpu->resident == channel->group &&
           engine_channel_wants(channel) && channel->ready_ns <= gpu->now_ns;
}

bool engine_group_wants(const struct gpu_group *group)
{
    LIST_EACH(node, &group->channels)
    {
        if (engine_channel_wants(CHANNEL(node)))
            return true;
    }
    return false;
}

uint64_t engine_running(const struct gpu *gpu)
{
    uint64_t count = 0;

    if (gpu->phase != GPU_RUN || !gpu->resident)
        return 0;
    LIST_EACH(node, &gpu->resident->channels)
    count += engine_channel_runs(CHANNEL(node));
    return count;
}

/* The next in the ring after whoever had its turn last; the resident itself does not count. */
static struct gpu_group *next_group(const struct gpu *gpu)
{
    struct list *node = gpu->turn;

    do {
        node = node->next;
        if (node != &gpu->groups && GROUP(node) != gpu->resident && engine_group_wants(GROUP(node)))
            return GROUP(node);
    } while (node != gpu->turn);
    return NULL;
}

static bool has_enabled_channel(const struct gpu_group *group)
{
    LIST_EACH(node, &group->channels)
    {
        if (CHANNEL(node)->is_enabled)
            return true;
    }
    return false;
}

/* Work that was taken off in the middle: the save is that of a full engine. */
static bool has_stopped_kernel(const struct gpu_group *group)
{
    LIST_EACH(node, &group->channels)
    {
        const struct gpu_channel *channel = CHANNEL(node);

        if (channel->has_work && channel->work.kind == GPU_KERNEL && !channel->is_enabled)
            return true;
    }
    return false;
}

void engine_leave(struct gpu *gpu, uint64_t save_ns)
{
    gpu->phase = GPU_SAVE;
    gpu->phase_end_ns = gpu->now_ns + save_ns;
}

static bool begin_restore(struct gpu *gpu)
{
    struct gpu_group *group = next_group(gpu);

    if (!group)
        return false;
    gpu->resident = group;
    gpu->resident_identity = group->identity;
    gpu->turn = &group->node;
    gpu->phase = GPU_RESTORE;
    gpu->phase_end_ns = gpu->now_ns + GPU_RESTORE_NS;
    return true;
}

static void end_restore(struct gpu *gpu)
{
    gpu->listener->record(gpu->owner, true, &gpu->resident_identity, gpu->now_ns);
    if (!gpu->resident) {
        engine_leave(gpu, GPU_SAVE_IDLE_NS);
        return;
    }
    gpu->phase = GPU_RUN;
    gpu->slice_start_ns = gpu->now_ns;
    gpu->slice_end_ns = gpu->now_ns + gpu->resident->slice_ns;
}

static void end_save(struct gpu *gpu)
{
    gpu->listener->record(gpu->owner, false, &gpu->resident_identity, gpu->now_ns);
    gpu->resident = NULL;
    gpu->phase = GPU_EMPTY;
}

/* A context does not leave between two kernels because there is a marker to pass first. */
static bool has_marker(const struct gpu_group *group)
{
    LIST_EACH(node, &group->channels)
    {
        const struct gpu_channel *channel = CHANNEL(node);

        if (channel->has_work && channel->work.kind == GPU_MARKER && channel->is_enabled &&
            !channel->is_blocked && channel->ready_ns <= group->gpu->now_ns)
            return true;
    }
    return false;
}

static bool step_run(struct gpu *gpu)
{
    const struct gpu_group *resident = gpu->resident;

    if (!engine_group_wants(resident) && has_marker(resident))
        return false;
    if (engine_group_wants(resident)) {
        if (gpu->now_ns < gpu->slice_end_ns)
            return false;
        if (next_group(gpu)) {
            engine_leave(gpu, GPU_SAVE_FORCED_NS);
            return true;
        }
        gpu->slice_start_ns = gpu->now_ns;
        gpu->slice_end_ns = gpu->now_ns + resident->slice_ns;
        return true;
    }
    if (!has_enabled_channel(resident)) {
        engine_leave(gpu, has_stopped_kernel(resident) ? GPU_SAVE_FORCED_NS : GPU_SAVE_IDLE_NS);
        return true;
    }
    if (!next_group(gpu))
        return false;
    engine_leave(gpu, has_stopped_kernel(resident) ? GPU_SAVE_FORCED_NS : GPU_SAVE_IDLE_NS);
    return true;
}

bool engine_step(struct gpu *gpu)
{
    switch (gpu->phase) {
    case GPU_EMPTY:
        return begin_restore(gpu);
    case GPU_RESTORE:
        if (gpu->now_ns < gpu->phase_end_ns)
            return false;
        end_restore(gpu);
        return true;
    case GPU_SAVE:
        if (gpu->now_ns < gpu->phase_end_ns)
            return false;
        end_save(gpu);
        return true;
    case GPU_RUN:
        return step_run(gpu);
    }
    return false;
}

uint64_t engine_next_ns(const struct gpu *gpu)
{
    switch (gpu->phase) {
    case GPU_RESTORE:
    case GPU_SAVE:
        return gpu->phase_end_ns;
    case GPU_RUN:
        return engine_group_wants(gpu->resident) ? gpu->slice_end_ns : GPU_NEVER;
    case GPU_EMPTY:
        break;
    }
    return GPU_NEVER;
}
