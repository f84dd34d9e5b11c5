/*
 * supply - how the CUDA functions that allocate use blocks: small allocations share 2 MiB, larger
 * ones have blocks of their own, stream-ordered ones share chunks of 32 MiB that are kept until
 * trimmed.
 */
#include "sim/block.h"
#include "sim/card.h"
#include "sim/context.h"
#include "sim/cuda_calls.h"
#include "sim/range.h"

#include <stdlib.h>
#include <sys/mman.h>

#define MIB             (UINT64_C(1) << 20)
#define SMALL_BYTES_MAX MIB /* above it an allocation has a block of its own */
#define SHARED_BYTES    (2 * MIB)
#define CHUNK_BYTES     (32 * MIB)
#define PITCH_ALIGNMENT 512

struct CUarray_st {
    CUdeviceptr address;
};

static bool take_shared(struct CUctx_st *context, uint64_t bytes, enum block_use use,
                        CUdeviceptr *ret_address)
{
    LIST_EACH(node, &context->blocks)
    {
        struct block *block = CONTAINER_OF(node, struct block, node);
        uint64_t offset;

        if (block->use == use && !block->is_host && heap_take(&block->heap, bytes, &offset) == 0) {
            *ret_address = block->address + offset;
            return true;
        }
    }
    return false;
}

static void drop(struct block *block)
{
    list_remove(&block->node);
    block_free(block);
}

/* Gives back the chunks that nobody uses, but for the first `keep_bytes` of them. */
static uint64_t trim(struct CUctx_st *context, uint64_t keep_bytes)
{
    uint64_t freed_bytes = 0;

    LIST_EACH_SAFE(node, following, &context->blocks)
    {
        struct block *block = CONTAINER_OF(node, struct block, node);

        if (block->use != BLOCK_POOL || block->heap.used_bytes > 0)
            continue;
        if (keep_bytes >= block->bytes) {
            keep_bytes -= block->bytes;
            continue;
        }
        freed_bytes += block->bytes;
        drop(block);
    }
    return freed_bytes;
}

/* Unused chunks of the pool go first when there is no memory left. */
static CUresult add_block(struct CUctx_st *context, uint64_t bytes, enum block_use use,
                          struct block **ret_block)
{
    CUresult result = block_new(ret_block, context->card, bytes, use);

    if (result == CUDA_ERROR_OUT_OF_MEMORY && trim(context, 0) > 0)
        result = block_new(ret_block, context->card, bytes, use);
    if (result == CUDA_SUCCESS)
        list_append(&context->blocks, &(*ret_block)->node);
    return result;
}

static CUresult take(struct CUctx_st *context, uint64_t bytes, enum block_use use,
                     CUdeviceptr *ret_address)
{
    uint64_t unit_bytes = use == BLOCK_POOL ? CHUNK_BYTES : SHARED_BYTES;
    struct block *block;
    CUresult result;

    if (use != BLOCK_WHOLE && take_shared(context, bytes, use, ret_address))
        return CUDA_SUCCESS;
    if (use != BLOCK_WHOLE && bytes <= UINT64_MAX - unit_bytes)
        result =
            add_block(context, (bytes + unit_bytes - 1) / unit_bytes * unit_bytes, use, &block);
    else
        result = add_block(context, bytes, use, &block);
    if (result != CUDA_SUCCESS)
        return result;
    *ret_address = block->address;
    if (use != BLOCK_WHOLE && !take_shared(context, bytes, use, ret_address))
        return CUDA_ERROR_OUT_OF_MEMORY;
    return CUDA_SUCCESS;
}

static CUresult allocate(CUdeviceptr *ret_address, uint64_t bytes, enum block_use use)
{
    struct CUctx_st *context;
    CUresult result = context_current(&context);

    if (result != CUDA_SUCCESS)
        return result;
    if (!ret_address || bytes == 0)
        return CUDA_ERROR_INVALID_VALUE;
    context_lock(context);
    result = take(context, bytes, use, ret_address);
    context_unlock(context);
    return result;
}

static CUresult give(struct CUctx_st *context, CUdeviceptr address)
{
    struct range range;

    if (!range_find(address, &range))
        return CUDA_ERROR_INVALID_VALUE;
    if (!range.block) {
        if (range.address != address || !range_remove(address, &range))
            return CUDA_ERROR_INVALID_VALUE;
        range_release(range.address, range.bytes);
        return CUDA_SUCCESS;
    }
    if (range.block->use == BLOCK_PHYSICAL || range.block->is_host)
        return CUDA_ERROR_INVALID_VALUE;
    if (range.block->use == BLOCK_WHOLE) {
        if (range.address != address)
            return CUDA_ERROR_INVALID_VALUE;
        drop(range.block);
        return CUDA_SUCCESS;
    }
    if (heap_give(&range.block->heap, address - range.address) < 0)
        return CUDA_ERROR_INVALID_VALUE;
    if (range.block->use == BLOCK_SMALL && range.block->heap.used_bytes == 0)
        drop(range.block);
    return CUDA_SUCCESS;
}

CUresult cuMemAlloc_v2(CUdeviceptr *dptr, size_t bytes)
{
    return allocate(dptr, bytes, bytes <= SMALL_BYTES_MAX ? BLOCK_SMALL : BLOCK_WHOLE);
}

CUresult cuMemFree_v2(CUdeviceptr dptr)
{
    struct CUctx_st *context;
    CUresult result = context_current(&context);

    if (result != CUDA_SUCCESS || dptr == 0)
        return result;
    /* As the real one: what the GPU still does with it comes to its end first. */
    result = cuCtxSynchronize();
    if (result != CUDA_SUCCESS)
        return result;
    context_lock(context);
    result = give(context, dptr);
    context_unlock(context);
    return result;
}

CUresult cuMemAllocPitch_v2(CUdeviceptr *dptr, size_t *pitch, size_t width_bytes, size_t height,
                            unsigned int element_bytes)
{
    size_t pitch_bytes = (width_bytes + PITCH_ALIGNMENT - 1) / PITCH_ALIGNMENT * PITCH_ALIGNMENT;
    CUresult result;

    if (!pitch || width_bytes == 0 || height == 0 || pitch_bytes < width_bytes)
        return CUDA_ERROR_INVALID_VALUE;
    if (pitch_bytes > SIZE_MAX / height)
        return CUDA_ERROR_OUT_OF_MEMORY;
    result = cuMemAlloc_v2(dptr, pitch_bytes * height);
    if (result == CUDA_SUCCESS)
        *pitch = pitch_bytes;
    return result;
}

/* --- stream-ordered allocations --------------------------------------------------------------- */

CUresult cuMemAllocAsync(CUdeviceptr *dptr, size_t bytes, CUstream stream)
{
    return allocate(dptr, bytes, BLOCK_POOL);
}

/*
 * The memory is free for other allocations at once. A real pool waits for the stream; here the only
 * thing that kernels write to are counters.
 */
CUresult cuMemFreeAsync(CUdeviceptr dptr, CUstream stream)
{
    struct CUctx_st *context;
    CUresult result = context_current(&context);

    if (result != CUDA_SUCCESS)
        return result;
    context_lock(context);
    result = give(context, dptr);
    context_unlock(context);
    return result;
}

/* The default pool of a device is that of the context that is current on it. */
CUresult cuDeviceGetDefaultMemPool(CUmemoryPool *pool, CUdevice device)
{
    struct card *card = cards_get(device);

    if (cards_check() != CUDA_SUCCESS)
        return cards_check();
    if (!pool || !card)
        return pool ? CUDA_ERROR_INVALID_DEVICE : CUDA_ERROR_INVALID_VALUE;
    *pool = (CUmemoryPool)(void *)card;
    return CUDA_SUCCESS;
}

CUresult cuMemPoolTrimTo(CUmemoryPool pool, size_t keep_bytes)
{
    struct CUctx_st *context;
    CUresult result = context_current(&context);

    if (result != CUDA_SUCCESS)
        return result;
    if ((void *)pool != (void *)context->card)
        return CUDA_ERROR_INVALID_VALUE;
    context_lock(context);
    (void)trim(context, keep_bytes); /* how much it was does not matter here */
    context_unlock(context);
    return CUDA_SUCCESS;
}

/* --- arrays, managed memory, information ------------------------------------------------------ */

static uint64_t format_bytes(CUarray_format format)
{
    switch (format) {
    case CU_AD_FORMAT_UNSIGNED_INT8:
    case CU_AD_FORMAT_SIGNED_INT8:
        return 1;
    case CU_AD_FORMAT_UNSIGNED_INT16:
    case CU_AD_FORMAT_SIGNED_INT16:
    case CU_AD_FORMAT_HALF:
        return 2;
    case CU_AD_FORMAT_UNSIGNED_INT32:
    case CU_AD_FORMAT_SIGNED_INT32:
    case CU_AD_FORMAT_FLOAT:
        return 4;
    default:
        return 0;
    }
}

CUresult cuArrayCreate_v2(CUarray *array, const CUDA_ARRAY_DESCRIPTOR *description)
{
    struct CUarray_st *made;
    uint64_t bytes;
    CUresult result;

    if (!array || !description || description->Width == 0 || description->NumChannels == 0 ||
        description->NumChannels > 4 || format_bytes(description->Format) == 0 ||
        description->Width > UINT32_MAX || description->Height > UINT32_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    bytes = description->Width * format_bytes(description->Format) * description->NumChannels;
    if (description->Height > 0 &&
        __builtin_mul_overflow(bytes, (uint64_t)description->Height, &bytes))
        return CUDA_ERROR_OUT_OF_MEMORY;
    made = malloc(sizeof(*made));
    if (!made)
        return CUDA_ERROR_OUT_OF_MEMORY;
    result = cuMemAlloc_v2(&made->address, bytes);
    if (result != CUDA_SUCCESS) {
        free(made);
        return result;
    }
    *array = made;
    return CUDA_SUCCESS;
}

CUresult cuArrayDestroy(CUarray array)
{
    CUresult result;

    if (!array)
        return CUDA_ERROR_INVALID_HANDLE;
    result = cuMemFree_v2(array->address);
    if (result == CUDA_SUCCESS)
        free(array);
    return result;
}

/* Managed memory does not pass the resource manager: it is the process's own. */
CUresult cuMemAllocManaged(CUdeviceptr *dptr, size_t bytes, unsigned int flags)
{
    struct range range = {.bytes = bytes, .is_mapped = true};
    struct CUctx_st *context;
    CUresult result = context_current(&context);

    if (result != CUDA_SUCCESS)
        return result;
    if (!dptr || bytes == 0 || (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST))
        return CUDA_ERROR_INVALID_VALUE;
    range.address = range_reserve(bytes);
    if (range.address == 0)
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (mprotect((void *)(uintptr_t)range.address, bytes, PROT_READ | PROT_WRITE) < 0) {
        range_release(range.address, bytes);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    result = range_add(&range);
    if (result != CUDA_SUCCESS) {
        range_release(range.address, bytes);
        return result;
    }
    *dptr = range.address;
    return CUDA_SUCCESS;
}

CUresult cuMemGetInfo_v2(size_t *free_bytes, size_t *total_bytes)
{
    struct CUctx_st *context;
    CUresult result = context_current(&context);
    size_t free_now_bytes, total_now_bytes;

    if (result == CUDA_SUCCESS)
        result = card_get_memory(context->card, &free_now_bytes, &total_now_bytes);
    if (result != CUDA_SUCCESS)
        return result;
    if (free_bytes)
        *free_bytes = free_now_bytes;
    if (total_bytes)
        *total_bytes = total_now_bytes;
    return CUDA_SUCCESS;
}

/* --- pinned host memory ----------------------------------------------------------------------- */

CUresult cuMemHostAlloc(void **host, size_t bytes, unsigned int flags)
{
    struct CUctx_st *context;
    struct block *block;
    CUresult result = context_current(&context);

    if (result != CUDA_SUCCESS)
        return result;
    if (!host || bytes == 0)
        return CUDA_ERROR_INVALID_VALUE;
    result = block_new_host(&block, context->card, bytes, BLOCK_WHOLE);
    if (result != CUDA_SUCCESS)
        return result;
    context_lock(context);
    list_append(&context->blocks, &block->node);
    context_unlock(context);
    *host = (void *)(uintptr_t)block->address;
    return CUDA_SUCCESS;
}

CUresult cuMemAllocHost_v2(void **host, size_t bytes)
{
    return cuMemHostAlloc(host, bytes, 0);
}

CUresult cuMemFreeHost(void *host)
{
    struct CUctx_st *context;
    struct range range;
    CUresult result = cuCtxSynchronize();

    if (result == CUDA_SUCCESS)
        result = context_current(&context);
    if (result != CUDA_SUCCESS)
        return result;
    if (!range_find((uintptr_t)host, &range) || range.address != (uintptr_t)host || !range.block ||
        !range.block->is_host || range.block->use != BLOCK_WHOLE)
        return CUDA_ERROR_INVALID_VALUE;
    context_lock(context);
    drop(range.block);
    context_unlock(context);
    return CUDA_SUCCESS;
}

/* One address space for both sides. */
CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr *dptr, void *host, unsigned int flags)
{
    struct range range;

    if (!dptr || flags != 0 || !range_find((uintptr_t)host, &range) || !range.block ||
        !range.block->is_host)
        return CUDA_ERROR_INVALID_VALUE;
    *dptr = (uintptr_t)host;
    return CUDA_SUCCESS;
}
