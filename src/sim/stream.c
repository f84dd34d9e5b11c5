#include "sim/stream.h"

#include "sim/block.h"
#include "sim/card.h"
#include "sim/context.h"
#include "sim/cuda_calls.h"
#include "sim/graph.h"
#include "sim/wire_call.h"
#include "utils/atomics.h"

#include <stdlib.h>

#define CLOCKS_BYTES (UINT64_C(1) << 20)
#define WAITS_MAX    32
#define NS_PER_MS_F  1e6

/* --- order ------------------------------------------------------------------------------------ */

static struct queue_item wait_item(const struct lane *lane, uint64_t number)
{
    return (struct queue_item){
        .kind = QUEUE_NONE, .wait_channel = lane->channel, .wait_number = number};
}

/* Items of other streams that come first and are not done, up to WAITS_MAX of them. */
struct waits {
    struct queue_item items[WAITS_MAX];
    int count;
};

static void add_wait(struct waits *waits, const struct CUstream_st *stream, uint64_t *seen)
{
    uint64_t last = load_relaxed(&stream->last);

    if (last <= *seen || waits->count == WAITS_MAX)
        return;
    if (lane_check(stream->lane, last) == CUDA_ERROR_NOT_READY)
        waits->items[waits->count++] = wait_item(stream->lane, last);
    *seen = last;
}

/* The default stream waits for every blocking stream, and each of these for it. */
static void collect_waits(struct CUstream_st *stream, struct waits *waits)
{
    struct CUctx_st *context = stream->context;

    waits->count = 0;
    if (!stream->is_blocking)
        return;
    context_lock(context);
    if (!stream->is_legacy)
        add_wait(waits, &context->legacy_stream, &stream->seen_of_legacy);
    else
        LIST_EACH(node, &context->streams)
        {
            struct CUstream_st *other = CONTAINER_OF(node, struct CUstream_st, node);

            if (other->is_blocking)
                add_wait(waits, other, &other->seen_by_legacy);
        }
    context_unlock(context);
}

CUresult stream_submit(struct CUstream_st *stream, const struct queue_item *item)
{
    struct waits waits;
    CUresult result = CUDA_SUCCESS;

    if (stream->capture)
        return graph_add(stream->capture, item, NULL);
    collect_waits(stream, &waits);
    for (int i = 0; i < waits.count && result == CUDA_SUCCESS; i++)
        result = lane_submit(stream->lane, &waits.items[i], &stream->last);
    return result == CUDA_SUCCESS ? lane_submit(stream->lane, item, &stream->last) : result;
}

CUresult stream_wait(struct CUstream_st *stream)
{
    struct waits waits;
    CUresult result = CUDA_SUCCESS;

    if (stream->capture)
        return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    if (stream->is_legacy) {
        struct queue_item marker = {.kind = QUEUE_NONE};

        /* Only where there is something to wait for: the marker comes after it. */
        collect_waits(stream, &waits);
        for (int i = 0; i < waits.count && result == CUDA_SUCCESS; i++)
            result = lane_submit(stream->lane, &waits.items[i], &stream->last);
        if (result == CUDA_SUCCESS && waits.count > 0)
            result = lane_submit(stream->lane, &marker, &stream->last);
    }
    if (result != CUDA_SUCCESS)
        return result;
    return lane_wait(stream->lane, load_relaxed(&stream->last));
}

/* --- streams ---------------------------------------------------------------------------------- */

void stream_init(struct CUstream_st *stream, struct CUctx_st *context, struct lane *lane)
{
    *stream = (struct CUstream_st){.context = context, .lane = lane, .is_blocking = true};
    context_lock(context);
    list_append(&context->streams, &stream->node);
    context_unlock(context);
}

CUresult stream_resolve(CUstream stream, struct CUstream_st **ret_stream)
{
    struct CUctx_st *context;
    CUresult result = context_current(&context);

    if (result != CUDA_SUCCESS)
        return result;
    if (!stream || stream == CU_STREAM_LEGACY)
        *ret_stream = &context->legacy_stream;
    else if (stream == CU_STREAM_PER_THREAD)
        *ret_stream = &context->thread_stream;
    else
        *ret_stream = stream;
    return CUDA_SUCCESS;
}

CUresult cuStreamCreate(CUstream *stream, unsigned int flags)
{
    struct CUctx_st *context;
    struct CUstream_st *made;
    CUresult result = context_current(&context);
    uint32_t lane;

    if (result != CUDA_SUCCESS)
        return result;
    if (!stream || (flags & ~(unsigned int)CU_STREAM_NON_BLOCKING))
        return CUDA_ERROR_INVALID_VALUE;
    made = malloc(sizeof(*made));
    if (!made)
        return CUDA_ERROR_OUT_OF_MEMORY;
    /* The first lane is the default stream's. */
    context_lock(context);
    lane = 1 + context->next_lane++ % (CONTEXT_LANES - 1);
    context_unlock(context);
    stream_init(made, context, &context->lanes[lane]);
    made->is_blocking = !(flags & CU_STREAM_NON_BLOCKING);
    *stream = made;
    return CUDA_SUCCESS;
}

CUresult cuStreamCreateWithPriority(CUstream *stream, unsigned int flags, int priority)
{
    return cuStreamCreate(stream, flags);
}

CUresult cuStreamDestroy_v2(CUstream stream)
{
    struct CUctx_st *context;
    CUresult result = context_current(&context);

    if (result != CUDA_SUCCESS)
        return result;
    if (!stream || stream == CU_STREAM_LEGACY || stream == CU_STREAM_PER_THREAD)
        return CUDA_ERROR_INVALID_HANDLE;
    /* What is in its lane runs on. */
    context_lock(stream->context);
    list_remove(&stream->node);
    context_unlock(stream->context);
    free(stream);
    return CUDA_SUCCESS;
}

CUresult cuStreamSynchronize(CUstream stream)
{
    struct CUstream_st *target;
    CUresult result = stream_resolve(stream, &target);

    return result == CUDA_SUCCESS ? stream_wait(target) : result;
}

CUresult cuStreamQuery(CUstream stream)
{
    struct CUstream_st *target;
    CUresult result = stream_resolve(stream, &target);

    if (result != CUDA_SUCCESS)
        return result;
    if (target->capture)
        return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    wire_call_sync(target->lane->gpu);
    return lane_check(target->lane, load_relaxed(&target->last));
}

/* --- events ----------------------------------------------------------------------------------- */

/* Every event has eight bytes of pinned memory, which the GPU writes its clock to. */
static CUresult take_clock(struct CUctx_st *context, struct CUevent_st *event)
{
    CUresult result = CUDA_SUCCESS;

    if (!context->clocks)
        result = block_new_host(&context->clocks, context->card, CLOCKS_BYTES, BLOCK_SMALL);
    if (result != CUDA_SUCCESS)
        return result;
    event->clocks = context->clocks;
    return heap_take(&context->clocks->heap, sizeof(uint64_t), &event->clock_offset) < 0
               ? CUDA_ERROR_OUT_OF_MEMORY
               : CUDA_SUCCESS;
}

CUresult cuEventCreate(CUevent *event, unsigned int flags)
{
    struct CUctx_st *context;
    struct CUevent_st *made;
    CUresult result = context_current(&context);

    if (result != CUDA_SUCCESS)
        return result;
    if (!event)
        return CUDA_ERROR_INVALID_VALUE;
    made = calloc(1, sizeof(*made));
    if (!made)
        return CUDA_ERROR_OUT_OF_MEMORY;
    made->context = context;
    made->flags = flags;
    context_lock(context);
    result = flags & CU_EVENT_DISABLE_TIMING ? CUDA_SUCCESS : take_clock(context, made);
    if (result == CUDA_SUCCESS)
        list_append(&context->events, &made->node);
    context_unlock(context);
    if (result != CUDA_SUCCESS) {
        free(made);
        return result;
    }
    *event = made;
    return CUDA_SUCCESS;
}

CUresult cuEventDestroy_v2(CUevent event)
{
    if (!event)
        return CUDA_ERROR_INVALID_HANDLE;
    /* Its place is taken again only when the GPU does not write to it any more. */
    if (event->lane)
        (void)lane_wait(event->lane, load_relaxed(&event->number)); /* lost: it writes no more */
    context_lock(event->context);
    list_remove(&event->node);
    if (event->clocks)
        (void)heap_give(&event->clocks->heap, event->clock_offset); /* it was taken there */
    context_unlock(event->context);
    free(event);
    return CUDA_SUCCESS;
}

CUresult cuEventRecord(CUevent event, CUstream stream)
{
    struct queue_item item = {.kind = QUEUE_NONE};
    struct CUstream_st *target;
    CUresult result = stream_resolve(stream, &target);

    if (result != CUDA_SUCCESS)
        return result;
    if (!event)
        return CUDA_ERROR_INVALID_HANDLE;
    if (event->clocks) {
        item.clock_memory = event->clocks->memory;
        item.clock_offset = event->clock_offset;
    }
    event->capture = target->capture;
    result = stream_submit(target, &item);
    if (result == CUDA_SUCCESS && !target->capture) {
        store_relaxed(&event->number, load_relaxed(&target->last));
        event->lane = target->lane;
    }
    return result;
}

CUresult cuEventQuery(CUevent event)
{
    if (!event)
        return CUDA_ERROR_INVALID_HANDLE;
    if (event->capture)
        return CUDA_ERROR_CAPTURED_EVENT;
    if (!event->lane)
        return CUDA_SUCCESS;
    wire_call_sync(event->lane->gpu);
    return lane_check(event->lane, load_relaxed(&event->number));
}

CUresult cuEventSynchronize(CUevent event)
{
    if (!event)
        return CUDA_ERROR_INVALID_HANDLE;
    if (event->capture)
        return CUDA_ERROR_CAPTURED_EVENT;
    return event->lane ? lane_wait(event->lane, load_relaxed(&event->number)) : CUDA_SUCCESS;
}

/* When it happened, in the GPU's time. */
static CUresult read_clock(CUevent event, uint64_t *ret_ns)
{
    CUresult result;

    if (!event || !event->lane || !event->clocks)
        return CUDA_ERROR_INVALID_HANDLE;
    result = lane_check(event->lane, load_relaxed(&event->number));
    if (result == CUDA_SUCCESS)
        *ret_ns = *(const uint64_t *)(uintptr_t)(event->clocks->address + event->clock_offset);
    return result;
}

CUresult cuEventElapsedTime_v2(float *milliseconds, CUevent start, CUevent end)
{
    uint64_t start_ns, end_ns;
    CUresult result = read_clock(start, &start_ns);

    if (result == CUDA_SUCCESS)
        result = read_clock(end, &end_ns);
    if (result != CUDA_SUCCESS)
        return result;
    if (!milliseconds)
        return CUDA_ERROR_INVALID_VALUE;
    *milliseconds = (float)((double)(int64_t)(end_ns - start_ns) / NS_PER_MS_F);
    return CUDA_SUCCESS;
}

CUresult cuEventElapsedTime(float *milliseconds, CUevent start, CUevent end)
{
    return cuEventElapsedTime_v2(milliseconds, start, end);
}

/* A stream that waits for an event of a capture takes part in it. */
CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned int flags)
{
    struct CUstream_st *target;
    struct queue_item item;
    CUresult result = stream_resolve(stream, &target);

    if (result != CUDA_SUCCESS)
        return result;
    if (!event)
        return CUDA_ERROR_INVALID_HANDLE;
    if (event->capture) {
        if (target->capture && target->capture != event->capture)
            return CUDA_ERROR_STREAM_CAPTURE_MERGE;
        target->capture = event->capture;
        return CUDA_SUCCESS;
    }
    if (target->capture)
        return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
    if (!event->lane || event->lane == target->lane)
        return CUDA_SUCCESS;
    item = wait_item(event->lane, load_relaxed(&event->number));
    return stream_submit(target, &item);
}

/* --- capture ---------------------------------------------------------------------------------- */

CUresult cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode mode)
{
    struct CUstream_st *target;
    CUresult result = stream_resolve(stream, &target);

    if (result != CUDA_SUCCESS)
        return result;
    if (target->is_legacy)
        return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    if (target->capture)
        return CUDA_ERROR_ILLEGAL_STATE;
    result = graph_new(&target->capture);
    target->is_capture_origin = result == CUDA_SUCCESS;
    return result;
}

CUresult cuStreamEndCapture(CUstream stream, CUgraph *graph)
{
    struct CUstream_st *target;
    struct CUctx_st *context;
    struct CUgraph_st *captured;
    CUresult result = stream_resolve(stream, &target);

    if (result != CUDA_SUCCESS)
        return result;
    captured = target->capture;
    if (!captured || !graph)
        return captured ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_ILLEGAL_STATE;
    if (!target->is_capture_origin)
        return CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
    context = target->context;
    context_lock(context);
    LIST_EACH(node, &context->streams)
    {
        struct CUstream_st *other = CONTAINER_OF(node, struct CUstream_st, node);

        other->capture = other->capture == captured ? NULL : other->capture;
    }
    LIST_EACH(node, &context->events)
    {
        struct CUevent_st *event = CONTAINER_OF(node, struct CUevent_st, node);

        event->capture = event->capture == captured ? NULL : event->capture;
    }
    context_unlock(context);
    target->is_capture_origin = false;
    *graph = captured;
    return CUDA_SUCCESS;
}

CUresult cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus *status)
{
    struct CUstream_st *target;
    CUresult result = stream_resolve(stream, &target);

    if (result != CUDA_SUCCESS)
        return result;
    if (!status)
        return CUDA_ERROR_INVALID_VALUE;
    *status = target->capture ? CU_STREAM_CAPTURE_STATUS_ACTIVE : CU_STREAM_CAPTURE_STATUS_NONE;
    return CUDA_SUCCESS;
}

void stream_end_all(struct CUctx_st *context)
{
    LIST_EACH_SAFE(node, following, &context->streams)
    {
        struct CUstream_st *stream = CONTAINER_OF(node, struct CUstream_st, node);

        if (stream != &context->legacy_stream && stream != &context->thread_stream)
            free(stream);
    }
    LIST_EACH_SAFE(node, following, &context->events)
    free(CONTAINER_OF(node, struct CUevent_st, node));
}
