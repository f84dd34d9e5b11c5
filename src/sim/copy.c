#include "sim/copy.h"

#include "sim/card.h"
#include "sim/cuda_calls.h"
#include "sim/graph.h"
#include "sim/range.h"
#include "sim/stream.h"

#include <string.h>

/* What an H100 with PCIe 5 moves: about 50 GB/s to and from the host, 1.3 TB/s on the card. */
#define HOST_BYTES_PER_NS 50
#define CARD_BYTES_PER_NS 1300
#define START_NS          2000

/* The most that is filled in earnest: no machine could hold a whole card that is filled. */
#define FILL_MAX (UINT64_C(256) << 20)

struct copy_path {
    bool from_host, to_host;
};

static void fill_32(uint32_t *words, uint32_t value, size_t count)
{
    for (size_t i = 0; i < count; i++)
        words[i] = value;
}

static CUresult fill(const struct copy_content *content)
{
    void *target = (void *)(uintptr_t)content->target;
    CUresult result;

    /* Zeros over what was never written are there already. */
    if (content->value == 0 && range_is_untouched(content->target, content->bytes))
        return CUDA_SUCCESS;
    if (content->bytes > FILL_MAX)
        return CUDA_SUCCESS;
    result = range_touch(content->target, content->bytes);
    if (result != CUDA_SUCCESS)
        return result;
    if (content->kind == COPY_FILL_8)
        memset(target, (int)content->value, content->bytes);
    else
        fill_32(target, content->value, content->bytes / sizeof(uint32_t));
    return CUDA_SUCCESS;
}

/* Where an address is not one of ours it is the program's own memory. */
static CUresult prepare(uint64_t address, uint64_t bytes)
{
    struct range range;

    return range_find(address, &range) ? range_touch(address, bytes) : CUDA_SUCCESS;
}

CUresult copy_run(const struct copy_content *content)
{
    CUresult result;

    if (content->kind == COPY_NOTHING || content->bytes == 0)
        return CUDA_SUCCESS;
    if (content->kind != COPY_BYTES)
        return fill(content);
    result = prepare(content->source, content->bytes);
    if (result == CUDA_SUCCESS)
        result = prepare(content->target, content->bytes);
    if (result == CUDA_SUCCESS)
        memmove((void *)(uintptr_t)content->target, (const void *)(uintptr_t)content->source,
                content->bytes);
    return result;
}

/* All of it lies in memory that CUDA knows. */
static bool is_known(uint64_t address, uint64_t bytes)
{
    struct range range;
    uint64_t end = address + bytes;

    while (address < end) {
        if (!range_find(address, &range))
            return false;
        address = range.address + range.bytes;
    }
    return true;
}

static CUresult start(const struct copy_content *content, struct copy_path path, CUstream stream)
{
    struct queue_item item = {.kind = QUEUE_COPY, .duration_ns = START_NS};
    struct CUstream_st *target;
    CUresult result = stream_resolve(stream, &target);

    if (result != CUDA_SUCCESS)
        return result;
    if ((!path.to_host && !is_known(content->target, content->bytes)) ||
        (!path.from_host && content->kind == COPY_BYTES &&
         !is_known(content->source, content->bytes)))
        return CUDA_ERROR_INVALID_VALUE;
    item.duration_ns +=
        content->bytes / (path.from_host || path.to_host ? HOST_BYTES_PER_NS : CARD_BYTES_PER_NS);
    if (target->capture)
        return graph_add(target->capture, &item, content);
    result = stream_submit(target, &item);
    if (result == CUDA_SUCCESS && path.to_host)
        result = stream_wait(target);
    return result == CUDA_SUCCESS ? copy_run(content) : result;
}

/* The calls without a stream return when it is done. */
static CUresult finish(const struct copy_content *content, struct copy_path path)
{
    CUresult result = start(content, path, NULL);
    struct CUstream_st *stream;

    if (result == CUDA_SUCCESS)
        result = stream_resolve(NULL, &stream);
    return result == CUDA_SUCCESS ? stream_wait(stream) : result;
}

CUresult cuMemcpyHtoD_v2(CUdeviceptr target, const void *source, size_t bytes)
{
    struct copy_content content = {COPY_BYTES, target, (uintptr_t)source, bytes, 0};

    return finish(&content, (struct copy_path){.from_host = true});
}

CUresult cuMemcpyDtoH_v2(void *target, CUdeviceptr source, size_t bytes)
{
    struct copy_content content = {COPY_BYTES, (uintptr_t)target, source, bytes, 0};

    return finish(&content, (struct copy_path){.to_host = true});
}

CUresult cuMemcpyDtoD_v2(CUdeviceptr target, CUdeviceptr source, size_t bytes)
{
    struct copy_content content = {COPY_BYTES, target, source, bytes, 0};

    return start(&content, (struct copy_path){0}, NULL);
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr target, const void *source, size_t bytes, CUstream stream)
{
    struct copy_content content = {COPY_BYTES, target, (uintptr_t)source, bytes, 0};

    return start(&content, (struct copy_path){.from_host = true}, stream);
}

CUresult cuMemcpyDtoHAsync_v2(void *target, CUdeviceptr source, size_t bytes, CUstream stream)
{
    struct copy_content content = {COPY_BYTES, (uintptr_t)target, source, bytes, 0};

    return start(&content, (struct copy_path){.to_host = true}, stream);
}

CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr target, CUdeviceptr source, size_t bytes, CUstream stream)
{
    struct copy_content content = {COPY_BYTES, target, source, bytes, 0};

    return start(&content, (struct copy_path){0}, stream);
}

CUresult cuMemsetD8Async(CUdeviceptr target, unsigned char value, size_t count, CUstream stream)
{
    struct copy_content content = {COPY_FILL_8, target, 0, count, value};

    return start(&content, (struct copy_path){0}, stream);
}

CUresult cuMemsetD32Async(CUdeviceptr target, unsigned int value, size_t count, CUstream stream)
{
    struct copy_content content = {COPY_FILL_32, target, 0, count * sizeof(uint32_t), value};

    if (target % sizeof(uint32_t) != 0 || count > SIZE_MAX / sizeof(uint32_t))
        return CUDA_ERROR_INVALID_VALUE;
    return start(&content, (struct copy_path){0}, stream);
}

CUresult cuMemsetD8_v2(CUdeviceptr target, unsigned char value, size_t count)
{
    return cuMemsetD8Async(target, value, count, NULL);
}

CUresult cuMemsetD32_v2(CUdeviceptr target, unsigned int value, size_t count)
{
    return cuMemsetD32Async(target, value, count, NULL);
}
