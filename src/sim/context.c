#include "sim/context.h"

#include "abi/rm.h"
#include "sim/block.h"
#include "sim/card.h"
#include "sim/cuda_calls.h"
#include "sim/module.h"

#include <stdlib.h>
#include <string.h>

#define MIB                (UINT64_C(1) << 20)
#define GROUP_PARAMS_BYTES 20
#define COPY_ENGINE_FIRST  9
#define STACK_MAX          16

/* What a real context takes before the program has asked for anything: some 500 MiB in all. */
static const uint64_t own_memory_bytes[CONTEXT_BLOCKS] = {
    2 * MIB, 2 * MIB, 4 * MIB, 32 * MIB, 64 * MIB, 96 * MIB, 108 * MIB, 192 * MIB,
};

/* The thread's contexts; the current one is the last. */
static _Thread_local struct {
    CUcontext contexts[STACK_MAX];
    int depth;
} stack;

/* --- making and ending ------------------------------------------------------------------------ */

static CUresult take_own_memory(struct CUctx_st *context)
{
    for (int i = 0; i < CONTEXT_BLOCKS; i++) {
        uint8_t params[RM_MEMORY_PARAMS_SIZE] = {0};
        struct session_object object = {context->card->device, RM_CLASS_VIDEO_MEMORY, params,
                                        sizeof(params)};
        uint32_t status;

        memcpy(params + RM_MEMORY_PARAMS_BYTES, &own_memory_bytes[i], sizeof(own_memory_bytes[i]));
        status = session_alloc(cards_session(), &object, &context->own_memory[i]);
        if (status != RM_OK)
            return card_result(status);
        context->own_memory_count++;
    }
    return CUDA_SUCCESS;
}

static CUresult make_group(struct CUctx_st *context, uint32_t engine, uint32_t *ret_group)
{
    uint8_t params[GROUP_PARAMS_BYTES] = {0};
    struct session_object object = {context->card->device, RM_CLASS_CHANNEL_GROUP, params,
                                    sizeof(params)};
    uint32_t status;

    memcpy(params + RM_GROUP_PARAMS_ENGINE, &engine, sizeof(engine));
    status = session_alloc(cards_session(), &object, ret_group);
    if (status == RM_OK)
        context->group_count++;
    return card_result(status);
}

/* Their channels stay empty: copies go in their stream's lane, for the order's sake. */
static CUresult make_copy_groups(struct CUctx_st *context)
{
    for (uint32_t i = 1; i < CONTEXT_GROUPS; i++) {
        CUresult result = make_group(context, COPY_ENGINE_FIRST + i - 1, &context->groups[i]);
        struct session_object channel = {.parent = context->groups[i],
                                         .class = RM_CLASS_CHANNEL_HOPPER};
        uint32_t handle;

        if (result == CUDA_SUCCESS)
            result = card_result(session_alloc(cards_session(), &channel, &handle));
        if (result != CUDA_SUCCESS)
            return result;
    }
    return CUDA_SUCCESS;
}

static CUresult make_lanes(struct CUctx_st *context)
{
    CUresult result = make_group(context, RM_ENGINE_GRAPHICS, &context->groups[0]);

    for (int i = 0; i < CONTEXT_LANES && result == CUDA_SUCCESS; i++)
        result = lane_open(&context->lanes[i], context->card, context->groups[0]);
    return result;
}

/* Of a half-made one, too. */
static void end(struct CUctx_st *context)
{
    stream_end_all(context);
    module_end_all(context);
    LIST_EACH_SAFE(node, following, &context->blocks)
    block_free(CONTAINER_OF(node, struct block, node));
    block_free(context->clocks);
    for (int i = 0; i < CONTEXT_LANES; i++)
        lane_close(&context->lanes[i]);
    while (context->group_count > 0)
        session_free(cards_session(), context->groups[--context->group_count]);
    while (context->own_memory_count > 0)
        session_free(cards_session(), context->own_memory[--context->own_memory_count]);
    (void)pthread_mutex_destroy(&context->lock); /* nobody holds it */
    free(context);
}

static CUresult make(CUcontext *ret_context, struct card *card)
{
    struct CUctx_st *context = calloc(1, sizeof(*context));
    CUresult result;

    if (!context)
        return CUDA_ERROR_OUT_OF_MEMORY;
    context->card = card;
    (void)pthread_mutex_init(&context->lock, NULL); /* cannot fail without attributes */
    list_init(&context->blocks);
    list_init(&context->streams);
    list_init(&context->events);
    list_init(&context->modules);
    result = take_own_memory(context);
    if (result == CUDA_SUCCESS)
        result = make_lanes(context);
    if (result == CUDA_SUCCESS)
        result = make_copy_groups(context);
    if (result != CUDA_SUCCESS) {
        end(context);
        return result;
    }
    stream_init(&context->legacy_stream, context, &context->lanes[0]);
    context->legacy_stream.is_legacy = true;
    stream_init(&context->thread_stream, context, &context->lanes[1]);
    *ret_context = context;
    return CUDA_SUCCESS;
}

void context_lock(struct CUctx_st *context)
{
    (void)pthread_mutex_lock(&context->lock); /* ours, and never held twice by a thread */
}

void context_unlock(struct CUctx_st *context)
{
    (void)pthread_mutex_unlock(&context->lock);
}

/* --- what is current -------------------------------------------------------------------------- */

CUresult context_current(struct CUctx_st **ret_context)
{
    CUresult result = cards_check();

    if (result != CUDA_SUCCESS)
        return result;
    if (stack.depth == 0 || !stack.contexts[stack.depth - 1])
        return CUDA_ERROR_INVALID_CONTEXT;
    *ret_context = stack.contexts[stack.depth - 1];
    return CUDA_SUCCESS;
}

CUresult cuCtxPushCurrent_v2(CUcontext context)
{
    if (cards_check() != CUDA_SUCCESS)
        return cards_check();
    if (!context || stack.depth == STACK_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    stack.contexts[stack.depth++] = context;
    return CUDA_SUCCESS;
}

CUresult cuCtxPopCurrent_v2(CUcontext *context)
{
    if (cards_check() != CUDA_SUCCESS)
        return cards_check();
    if (stack.depth == 0)
        return CUDA_ERROR_INVALID_CONTEXT;
    stack.depth--;
    if (context)
        *context = stack.contexts[stack.depth];
    return CUDA_SUCCESS;
}

CUresult cuCtxSetCurrent(CUcontext context)
{
    if (cards_check() != CUDA_SUCCESS)
        return cards_check();
    if (!context) {
        stack.depth -= stack.depth > 0;
        return CUDA_SUCCESS;
    }
    if (stack.depth == 0)
        stack.depth = 1;
    stack.contexts[stack.depth - 1] = context;
    return CUDA_SUCCESS;
}

CUresult cuCtxGetCurrent(CUcontext *context)
{
    if (cards_check() != CUDA_SUCCESS)
        return cards_check();
    if (!context)
        return CUDA_ERROR_INVALID_VALUE;
    *context = stack.depth > 0 ? stack.contexts[stack.depth - 1] : NULL;
    return CUDA_SUCCESS;
}

CUresult cuCtxGetDevice(CUdevice *device)
{
    struct CUctx_st *context;
    CUresult result = context_current(&context);

    if (result != CUDA_SUCCESS)
        return result;
    if (!device)
        return CUDA_ERROR_INVALID_VALUE;
    *device = (CUdevice)(context->card - cards_get(0));
    return CUDA_SUCCESS;
}

static void forget(CUcontext context)
{
    int kept = 0;

    for (int i = 0; i < stack.depth; i++) {
        if (stack.contexts[i] != context)
            stack.contexts[kept++] = stack.contexts[i];
    }
    stack.depth = kept;
}

/* --- the API ---------------------------------------------------------------------------------- */

CUresult cuCtxCreate_v2(CUcontext *context, unsigned int flags, CUdevice device)
{
    struct card *card = cards_get(device);
    CUresult result = cards_check();

    if (result != CUDA_SUCCESS)
        return result;
    if (!context)
        return CUDA_ERROR_INVALID_VALUE;
    if (!card)
        return CUDA_ERROR_INVALID_DEVICE;
    if (stack.depth == STACK_MAX)
        return CUDA_ERROR_OUT_OF_MEMORY;
    result = make(context, card);
    if (result == CUDA_SUCCESS)
        stack.contexts[stack.depth++] = *context;
    return result;
}

CUresult cuCtxCreate_v4(CUcontext *context, CUctxCreateParams *parameters, unsigned int flags,
                        CUdevice device)
{
    if (parameters && (parameters->numExecAffinityParams > 0 || parameters->cigParams))
        return CUDA_ERROR_NOT_SUPPORTED;
    return cuCtxCreate_v2(context, flags, device);
}

CUresult cuCtxDestroy_v2(CUcontext context)
{
    if (cards_check() != CUDA_SUCCESS)
        return cards_check();
    if (!context)
        return CUDA_ERROR_INVALID_CONTEXT;
    forget(context);
    end(context);
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device)
{
    struct card *card = cards_get(device);
    CUresult result = cards_check();

    if (result != CUDA_SUCCESS)
        return result;
    if (!context)
        return CUDA_ERROR_INVALID_VALUE;
    if (!card)
        return CUDA_ERROR_INVALID_DEVICE;
    (void)pthread_mutex_lock(&card->lock); /* ours, and never held twice by a thread */
    if (!card->primary)
        result = make(&card->primary, card);
    if (result == CUDA_SUCCESS) {
        card->primary_count++;
        *context = card->primary;
    }
    (void)pthread_mutex_unlock(&card->lock);
    return result;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device)
{
    struct card *card = cards_get(device);
    struct CUctx_st *context = NULL;

    if (cards_check() != CUDA_SUCCESS)
        return cards_check();
    if (!card)
        return CUDA_ERROR_INVALID_DEVICE;
    (void)pthread_mutex_lock(&card->lock); /* ours, and never held twice by a thread */
    if (card->primary_count > 0 && --card->primary_count == 0) {
        context = card->primary;
        card->primary = NULL;
    }
    (void)pthread_mutex_unlock(&card->lock);
    if (context) {
        forget(context);
        end(context);
    }
    return CUDA_SUCCESS;
}

CUresult cuCtxSynchronize(void)
{
    struct CUctx_st *context;
    CUresult result = context_current(&context);

    for (int i = 0; i < CONTEXT_LANES && result == CUDA_SUCCESS; i++)
        result = lane_wait(&context->lanes[i], lane_last(&context->lanes[i]));
    return result;
}
