#include "sim/gpu.h"

#include "sim/engine.h"

#include <string.h>

#define PS_PER_NS         UINT64_C(1000)
#define DURATION_MAX_NS   UINT64_C(1000000000000000)
#define UNBLOCK_NS        UINT64_C(1000) /* from the other channel's completion to the start */
#define LATENCY_MIN_NS    UINT64_C(12000)
#define LATENCY_MEDIAN_NS UINT64_C(16000)
#define LATENCY_P99_NS    UINT64_C(36000)
#define BLOCKED_LOOK_NS   UINT64_C(50000)
#define PEEK_MAX          64

#define GROUP(list_node)   CONTAINER_OF(list_node, struct gpu_group, node)
#define CHANNEL(list_node) CONTAINER_OF(list_node, struct gpu_channel, node)

/* Walks all channels of a GPU; the body sees `channel`. */
#define EACH_CHANNEL(gpu, channel)                                                                 \
    LIST_EACH(group_node, &(gpu)->groups)                                                          \
    for (struct gpu_channel *channel = first_channel(group_node); channel;                         \
         channel = next_channel(channel))

static struct gpu_channel *first_channel(struct list *group_node)
{
    struct gpu_group *group = GROUP(group_node);

    return list_is_empty(&group->channels) ? NULL : CHANNEL(group->channels.next);
}

static struct gpu_channel *next_channel(struct gpu_channel *channel)
{
    struct list *next = channel->node.next;

    return next == &channel->group->channels ? NULL : CHANNEL(next);
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* xorshift64*: the latencies are spread like the measured ones, and the same in every run. */
static uint64_t draw_latency_ns(struct gpu *gpu)
{
    uint64_t x = gpu->random;
    uint64_t promille, tail;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    gpu->random = x;
    promille = ((x * UINT64_C(2685821657736338717)) >> 33) % 1000;
    if (promille < 500)
        return LATENCY_MIN_NS + (LATENCY_MEDIAN_NS - LATENCY_MIN_NS) * promille / 500;
    /* Cubic up to the 99th percentile: most launches are near the median. */
    tail = min_u64(promille - 500, 490);
    return LATENCY_MEDIAN_NS +
           (LATENCY_P99_NS - LATENCY_MEDIAN_NS) * tail * tail * tail / (490 * 490 * 490);
}

static void recheck_block(struct gpu_channel *channel)
{
    struct gpu *gpu = channel->group->gpu;

    if (!channel->has_work || !channel->is_blocked)
        return;
    channel->is_blocked = channel->source->is_blocked(channel->owner, channel->finished + 1);
    if (channel->is_blocked)
        return;
    if (channel->work.kind != GPU_MARKER) {
        channel->pending_ns = max_u64(channel->pending_ns, gpu->now_ns + UNBLOCK_NS);
        channel->ready_ns = max_u64(channel->ready_ns, channel->pending_ns);
    }
}

static void load_work(struct gpu_channel *channel)
{
    struct gpu *gpu = channel->group->gpu;
    struct gpu_work *work = &channel->work;
    bool is_behind;

    if (channel->has_work || !channel->source->peek(channel->owner, channel->finished + 1, work))
        return;
    work->duration_ns = min_u64(work->duration_ns, DURATION_MAX_NS);
    /* A program that submits nothings faster than we look must not keep us for ever. */
    if (work->kind == GPU_MARKER)
        work->duration_ns = GPU_MARKER_NS;
    work->duration_ns = max_u64(work->duration_ns, GPU_MARKER_NS);
    is_behind = channel->finished > 0 && work->submit_ns <= channel->last_finished_ns;
    channel->pending_ns = is_behind ? channel->last_finished_ns : work->submit_ns;
    channel->ready_ns = channel->pending_ns;
    if (work->kind != GPU_MARKER && !is_behind) {
        channel->pending_ns += draw_latency_ns(gpu);
        channel->ready_ns = channel->pending_ns;
    } else if (work->kind == GPU_KERNEL && channel->last_kernel_ns > 0) {
        /* Markers between two kernels do not bring them closer together. */
        channel->ready_ns = max_u64(channel->ready_ns, channel->last_kernel_ns + GPU_GAP_NS);
    }
    channel->pending_ns = max_u64(channel->pending_ns, gpu->now_ns);
    channel->ready_ns = max_u64(channel->ready_ns, gpu->now_ns);
    channel->remaining_ps = work->duration_ns * PS_PER_NS;
    channel->has_started = false;
    channel->has_work = true;
    channel->is_blocked = channel->source->is_blocked(channel->owner, channel->finished + 1);
}

static bool channel_copies(const struct gpu_channel *channel)
{
    return channel->has_work && channel->work.kind != GPU_KERNEL && channel->is_enabled &&
           !channel->is_blocked && channel->ready_ns <= channel->group->gpu->now_ns;
}

static bool finish_work(struct gpu_channel *channel)
{
    struct gpu *gpu = channel->group->gpu;

    if (!channel->has_work || channel->remaining_ps > 0)
        return false;
    if (channel->work.kind != GPU_KERNEL && !channel_copies(channel))
        return false;
    channel->has_work = false;
    channel->finished++;
    channel->last_finished_ns = gpu->now_ns;
    if (channel->work.kind == GPU_KERNEL)
        channel->last_kernel_ns = gpu->now_ns;
    channel->source->finish(channel->owner, channel->finished,
                            channel->has_started ? channel->started_ns : gpu->now_ns, gpu->now_ns);
    load_work(channel);
    return true;
}

static bool apply_switches(struct gpu_channel *channel)
{
    bool is_any = false;

    while (channel->switch_count > 0 &&
           channel->switches[0].time_ns <= channel->group->gpu->now_ns) {
        channel->is_enabled = channel->switches[0].is_enable;
        channel->switch_count--;
        memmove(&channel->switches[0], &channel->switches[1],
                channel->switch_count * sizeof(channel->switches[0]));
        is_any = true;
    }
    return is_any;
}

static void take_sample(struct gpu *gpu)
{
    if (gpu->now_ns < gpu->next_sample_ns)
        return;
    gpu->listener->sample(gpu->owner, gpu->busy_ns - gpu->sample_busy_ns, gpu->now_ns);
    gpu->sample_busy_ns = gpu->busy_ns;
    gpu->next_sample_ns += GPU_SAMPLE_NS;
    LIST_EACH(node, &gpu->groups)
    {
        struct gpu_group *group = GROUP(node);

        memmove(&group->busy_samples_ns[1], &group->busy_samples_ns[0],
                (GPU_BUSY_SAMPLES - 1) * sizeof(group->busy_samples_ns[0]));
        group->busy_samples_ns[0] = group->busy_ns;
    }
}

/* Does everything that is due now, in an order that does not depend on how time was cut up. */
static void settle(struct gpu *gpu)
{
    bool is_again;

    take_sample(gpu);
    do {
        bool has_finished = false;

        is_again = false;
        EACH_CHANNEL(gpu, channel)
        has_finished |= finish_work(channel);
        if (has_finished) {
            EACH_CHANNEL(gpu, channel)
            recheck_block(channel);
        }
        EACH_CHANNEL(gpu, channel)
        is_again |= apply_switches(channel);
        is_again |= has_finished;
        is_again |= engine_step(gpu);
    } while (is_again);
    EACH_CHANNEL(gpu, channel)
    {
        bool is_moving = engine_channel_runs(channel) || channel_copies(channel);

        if (is_moving && !channel->has_started) {
            channel->has_started = true;
            channel->started_ns = gpu->now_ns;
        }
    }
}

static uint64_t channel_next_ns(const struct gpu_channel *channel, uint64_t running)
{
    const struct gpu *gpu = channel->group->gpu;
    uint64_t next_ns = channel->switch_count > 0 ? channel->switches[0].time_ns : GPU_NEVER;

    if (!channel->has_work || !channel->is_enabled || channel->is_blocked)
        return next_ns;
    if (channel->pending_ns > gpu->now_ns)
        return min_u64(next_ns, channel->pending_ns);
    if (channel->ready_ns > gpu->now_ns)
        return min_u64(next_ns, channel->ready_ns);
    if (channel->work.kind != GPU_KERNEL)
        running = 1;
    else if (!engine_channel_runs(channel))
        return next_ns;
    return min_u64(next_ns,
                   gpu->now_ns + (channel->remaining_ps * running + PS_PER_NS - 1) / PS_PER_NS);
}

static uint64_t next_event_ns(const struct gpu *gpu)
{
    uint64_t running = engine_running(gpu);
    uint64_t next_ns = min_u64(engine_next_ns(gpu), gpu->next_sample_ns);

    EACH_CHANNEL(gpu, channel)
    next_ns = min_u64(next_ns, channel_next_ns(channel, running));
    return next_ns;
}

static void pass_time(struct gpu *gpu, uint64_t to_ns)
{
    uint64_t running = engine_running(gpu);
    uint64_t passed_ns = to_ns - gpu->now_ns;

    if (gpu->phase == GPU_RUN && gpu->resident && engine_group_wants(gpu->resident)) {
        gpu->busy_ns += passed_ns;
        gpu->resident->busy_ns += passed_ns;
    }
    EACH_CHANNEL(gpu, channel)
    {
        uint64_t done_ps = 0;

        if (channel_copies(channel))
            done_ps = passed_ns * PS_PER_NS;
        else if (engine_channel_runs(channel))
            done_ps = passed_ns * PS_PER_NS / running;
        channel->remaining_ps -= min_u64(done_ps, channel->remaining_ps);
    }
    gpu->now_ns = to_ns;
}

/* After a long sleep of the machine nothing is learnt from thousands of samples. */
static void skip_samples(struct gpu *gpu, uint64_t to_ns)
{
    uint64_t behind =
        to_ns > gpu->next_sample_ns ? (to_ns - gpu->next_sample_ns) / GPU_SAMPLE_NS : 0;

    if (behind > 1000 && !gpu_is_active(gpu))
        gpu->next_sample_ns += (behind - 1000) * GPU_SAMPLE_NS;
}

void gpu_advance(struct gpu *gpu, uint64_t to_ns)
{
    uint64_t next_ns;

    if (gpu->is_lost) {
        gpu->now_ns = max_u64(gpu->now_ns, to_ns);
        return;
    }
    EACH_CHANNEL(gpu, channel)
    {
        load_work(channel);
        recheck_block(channel);
    }
    skip_samples(gpu, to_ns);
    settle(gpu);
    while ((next_ns = next_event_ns(gpu)) <= to_ns) {
        pass_time(gpu, max_u64(next_ns, gpu->now_ns + 1));
        settle(gpu);
    }
    if (to_ns > gpu->now_ns)
        pass_time(gpu, to_ns);
    EACH_CHANNEL(gpu, channel)
    {
        if (channel->has_work && channel->has_started)
            channel->source->progress(channel->owner, channel->finished + 1,
                                      channel->work.duration_ns -
                                          channel->remaining_ps / PS_PER_NS);
    }
}

/* What item `number` still needs at the least, if the engine worked for this channel alone. */
static uint64_t backlog_ns(const struct gpu_channel *channel, uint64_t number)
{
    uint64_t sum_ns = channel->has_work ? channel->remaining_ps / PS_PER_NS : 0;
    uint64_t last = min_u64(number, channel->finished + PEEK_MAX);

    for (uint64_t i = channel->finished + 2; i <= last; i++) {
        struct gpu_work work;

        if (!channel->source->peek(channel->owner, i, &work))
            break;
        if (work.kind != GPU_MARKER)
            sum_ns += min_u64(work.duration_ns, DURATION_MAX_NS);
    }
    return sum_ns;
}

/* The earliest instant at which a group that is not resident can run. */
static uint64_t turn_ns(const struct gpu *gpu)
{
    uint64_t drained_ns = 0;

    if (gpu->phase == GPU_RESTORE || gpu->phase == GPU_SAVE)
        return gpu->phase_end_ns;
    if (gpu->phase == GPU_EMPTY || !gpu->resident)
        return gpu->now_ns + GPU_RESTORE_NS;
    LIST_EACH(node, &gpu->resident->channels)
    {
        if (engine_channel_wants(CHANNEL(node)))
            drained_ns = max_u64(drained_ns, backlog_ns(CHANNEL(node), GPU_NEVER));
    }
    return min_u64(gpu->slice_end_ns, gpu->now_ns + drained_ns) + GPU_SAVE_IDLE_NS + GPU_RESTORE_NS;
}

static uint64_t channel_wake_ns(const struct gpu_channel *channel, uint64_t wanted)
{
    const struct gpu *gpu = channel->group->gpu;
    uint64_t start_ns;

    if (wanted <= channel->finished)
        return gpu->now_ns;
    if (!channel->has_work)
        return GPU_NEVER;
    /* By whom, only the source knows: any event may be the one. */
    if (channel->is_blocked)
        return max_u64(next_event_ns(gpu), gpu->now_ns + BLOCKED_LOOK_NS);
    if (!channel->is_enabled)
        return channel->switch_count > 0 ? channel->switches[0].time_ns : GPU_NEVER;
    start_ns = max_u64(gpu->now_ns, channel->ready_ns);
    if (channel->work.kind == GPU_KERNEL &&
        (gpu->phase != GPU_RUN || gpu->resident != channel->group))
        start_ns = max_u64(start_ns, turn_ns(gpu));
    return start_ns + backlog_ns(channel, wanted);
}

uint64_t gpu_wake_ns(struct gpu *gpu)
{
    uint64_t wake_ns = GPU_NEVER;

    if (gpu->is_lost)
        return GPU_NEVER;
    EACH_CHANNEL(gpu, channel)
    {
        uint64_t wanted = channel->source->wanted(channel->owner);

        if (wanted != GPU_NEVER)
            wake_ns = min_u64(wake_ns, channel_wake_ns(channel, wanted));
    }
    return wake_ns;
}

bool gpu_is_active(const struct gpu *gpu)
{
    if (gpu->is_lost)
        return false;
    if (gpu->phase == GPU_RESTORE || gpu->phase == GPU_SAVE)
        return true;
    EACH_CHANNEL(gpu, channel)
    {
        if (channel->has_work || channel->switch_count > 0)
            return true;
    }
    return false;
}

void gpu_init(struct gpu *gpu, const struct gpu_listener *listener, void *owner, uint64_t now_ns)
{
    *gpu = (struct gpu){
        .now_ns = now_ns,
        .listener = listener,
        .owner = owner,
        .random = UINT64_C(0x9E3779B97F4A7C15),
        .next_sample_ns = now_ns + GPU_SAMPLE_NS,
    };
    list_init(&gpu->groups);
    gpu->turn = &gpu->groups;
}

void gpu_add_group(struct gpu *gpu, struct gpu_group *group, uint32_t pid, uint32_t uid)
{
    *group = (struct gpu_group){
        .gpu = gpu,
        .slice_ns = GPU_SLICE_DEFAULT_NS,
        .identity = {.context = ++gpu->last_context, .pid = pid, .uid = uid},
    };
    list_init(&group->channels);
    list_append(&gpu->groups, &group->node);
}

void gpu_remove_group(struct gpu_group *group)
{
    struct gpu *gpu = group->gpu;

    if (gpu->turn == &group->node)
        gpu->turn = group->node.previous;
    if (gpu->resident == group) {
        gpu->resident = NULL;
        /* One that is killed while it runs is saved like any other, and leaves an end record. */
        if (gpu->phase == GPU_RUN)
            engine_leave(gpu, GPU_SAVE_FORCED_NS);
    }
    list_remove(&group->node);
}

void gpu_add_channel(struct gpu_group *group, struct gpu_channel *channel,
                     const struct gpu_source *source, void *owner)
{
    *channel = (struct gpu_channel){
        .group = group,
        .source = source,
        .owner = owner,
        .is_enabled = true,
    };
    list_append(&group->channels, &channel->node);
}

void gpu_remove_channel(struct gpu_channel *channel)
{
    list_remove(&channel->node);
}

void gpu_set_slice(struct gpu_group *group, uint64_t slice_ns)
{
    struct gpu *gpu = group->gpu;

    group->slice_ns = slice_ns == 0 ? GPU_SLICE_DEFAULT_NS : max_u64(slice_ns, GPU_SLICE_MIN_NS);
    if (gpu->resident == group && gpu->phase == GPU_RUN)
        gpu->slice_end_ns = max_u64(gpu->slice_start_ns + group->slice_ns, gpu->now_ns);
}

void gpu_switch_channel(struct gpu_channel *channel, bool is_enable, uint64_t time_ns)
{
    uint32_t place;

    if (channel->switch_count == GPU_SWITCHES_MAX) {
        channel->switches[0].time_ns = 0;
        (void)apply_switches(channel);
    }
    place = channel->switch_count++;
    for (; place > 0 && channel->switches[place - 1].time_ns > time_ns; place--)
        channel->switches[place] = channel->switches[place - 1];
    channel->switches[place] = (struct gpu_switch){.time_ns = time_ns, .is_enable = is_enable};
}

void gpu_preempt(struct gpu_group *group)
{
    if (group->gpu->resident == group && group->gpu->phase == GPU_RUN)
        group->gpu->slice_end_ns = group->gpu->now_ns;
}

void gpu_lose(struct gpu *gpu)
{
    gpu->is_lost = true;
}
