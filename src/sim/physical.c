/*
 * physical - CUDA's virtual memory management: blocks without an address, addresses without a
 * block, and what puts one at the other.
 */
#include "abi/cuda.h"
#include "sim/block.h"
#include "sim/card.h"
#include "sim/cuda_calls.h"
#include "sim/range.h"

#define HUGE_PAGE_BYTES (UINT64_C(2) << 20)

static struct block *to_block(CUmemGenericAllocationHandle handle)
{
    return (struct block *)(uintptr_t)handle;
}

static CUresult check(const CUmemAllocationProp *properties)
{
    if (!properties || properties->type != CU_MEM_ALLOCATION_TYPE_PINNED)
        return CUDA_ERROR_INVALID_VALUE;
    switch (properties->location.type) {
    case CU_MEM_LOCATION_TYPE_DEVICE:
        return cards_get(properties->location.id) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
    case CU_MEM_LOCATION_TYPE_HOST:
    case CU_MEM_LOCATION_TYPE_HOST_NUMA:
    case CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT:
        return CUDA_SUCCESS;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

CUresult cuMemGetAllocationGranularity(size_t *bytes, const CUmemAllocationProp *properties,
                                       CUmemAllocationGranularity_flags option)
{
    CUresult result = cards_check();

    if (result == CUDA_SUCCESS)
        result = check(properties);
    if (result != CUDA_SUCCESS)
        return result;
    if (!bytes)
        return CUDA_ERROR_INVALID_VALUE;
    *bytes = HUGE_PAGE_BYTES;
    return CUDA_SUCCESS;
}

CUresult cuMemCreate(CUmemGenericAllocationHandle *handle, size_t bytes,
                     const CUmemAllocationProp *properties, unsigned long long flags)
{
    struct block *block;
    CUresult result = cards_check();

    if (result == CUDA_SUCCESS)
        result = check(properties);
    if (result != CUDA_SUCCESS)
        return result;
    if (!handle || flags != 0 || bytes == 0 || bytes % HUGE_PAGE_BYTES != 0)
        return CUDA_ERROR_INVALID_VALUE;
    if (properties->requestedHandleTypes != CU_MEM_HANDLE_TYPE_NONE)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (properties->location.type == CU_MEM_LOCATION_TYPE_DEVICE)
        result = block_new(&block, cards_get(properties->location.id), bytes, BLOCK_PHYSICAL);
    else
        result = block_new_host(&block, cards_get(0), bytes, BLOCK_PHYSICAL);
    if (result == CUDA_SUCCESS)
        *handle = (uintptr_t)block;
    return result;
}

static void let_go(struct block *block)
{
    if (__atomic_sub_fetch(&block->references, 1, __ATOMIC_ACQ_REL) == 0)
        block_free(block);
}

CUresult cuMemRelease(CUmemGenericAllocationHandle handle)
{
    if (handle == 0)
        return CUDA_ERROR_INVALID_VALUE;
    let_go(to_block(handle));
    return CUDA_SUCCESS;
}

CUresult cuMemAddressReserve(CUdeviceptr *dptr, size_t bytes, size_t alignment, CUdeviceptr hint,
                             unsigned long long flags)
{
    if (cards_check() != CUDA_SUCCESS)
        return cards_check();
    if (!dptr || flags != 0 || bytes == 0 || bytes % HUGE_PAGE_BYTES != 0 ||
        alignment > HUGE_PAGE_BYTES)
        return CUDA_ERROR_INVALID_VALUE;
    *dptr = range_reserve(bytes);
    return *dptr ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cuMemAddressFree(CUdeviceptr dptr, size_t bytes)
{
    if (dptr == 0 || dptr % HUGE_PAGE_BYTES != 0 || bytes == 0 || bytes % HUGE_PAGE_BYTES != 0)
        return CUDA_ERROR_INVALID_VALUE;
    range_release(dptr, bytes);
    return CUDA_SUCCESS;
}

CUresult cuMemMap(CUdeviceptr dptr, size_t bytes, size_t offset,
                  CUmemGenericAllocationHandle handle, unsigned long long flags)
{
    struct block *block = to_block(handle);
    struct range range = {.address = dptr, .bytes = bytes, .block = block, .offset = offset};
    CUresult result;

    if (handle == 0 || dptr == 0 || flags != 0 || bytes == 0 || offset > block->bytes ||
        bytes > block->bytes - offset)
        return CUDA_ERROR_INVALID_VALUE;
    result = range_add(&range);
    if (result == CUDA_SUCCESS)
        (void)__atomic_add_fetch(&block->references, 1, __ATOMIC_RELAXED); /* the count itself */
    return result;
}

/* Everything that is mapped between the two addresses; they stay reserved. */
CUresult cuMemUnmap(CUdeviceptr dptr, size_t bytes)
{
    CUdeviceptr address = dptr;

    while (address < dptr + bytes) {
        struct range range;

        if (!range_find(address, &range) || !range.block || range.block->use != BLOCK_PHYSICAL ||
            !range_remove(address, &range))
            return CUDA_ERROR_INVALID_VALUE;
        range_hide(range.address, range.bytes);
        let_go(range.block);
        address += range.bytes;
    }
    return CUDA_SUCCESS;
}

/* Access is not simulated: what is mapped can be used. */
CUresult cuMemSetAccess(CUdeviceptr dptr, size_t bytes, const CUmemAccessDesc *access, size_t count)
{
    struct range range;

    if (!access || count == 0 || !range_find(dptr, &range))
        return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS;
}
