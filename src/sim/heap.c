#include "sim/heap.h"

#include <errno.h>
#include <stdlib.h>

#define UNIT_BYTES UINT64_C(512)

/* Extents lie in the order of their offsets and fill the block. */
struct heap_extent {
    struct heap_extent *next;
    uint64_t offset, bytes;
    bool is_used;
};

int heap_init(struct heap *heap, uint64_t bytes)
{
    struct heap_extent *extent = calloc(1, sizeof(*extent));

    if (!extent)
        return -ENOMEM;
    extent->bytes = bytes;
    *heap = (struct heap){.first = extent};
    return 0;
}

void heap_fini(struct heap *heap)
{
    while (heap->first) {
        struct heap_extent *next = heap->first->next;

        free(heap->first);
        heap->first = next;
    }
}

/* Leaves `bytes` in the extent and the rest in a new one behind it. */
static int split(struct heap_extent *extent, uint64_t bytes)
{
    struct heap_extent *rest;

    if (extent->bytes == bytes)
        return 0;
    rest = calloc(1, sizeof(*rest));
    if (!rest)
        return -ENOMEM;
    *rest = (struct heap_extent){
        .next = extent->next,
        .offset = extent->offset + bytes,
        .bytes = extent->bytes - bytes,
    };
    extent->next = rest;
    extent->bytes = bytes;
    return 0;
}

int heap_take(struct heap *heap, uint64_t bytes, uint64_t *ret_offset)
{
    uint64_t rounded = (bytes + UNIT_BYTES - 1) / UNIT_BYTES * UNIT_BYTES;
    struct heap_extent *extent = heap->first;

    while (extent && (extent->is_used || extent->bytes < rounded))
        extent = extent->next;
    if (!extent)
        return -ENOSPC;
    if (split(extent, rounded) < 0)
        return -ENOMEM;
    extent->is_used = true;
    heap->used_bytes += rounded;
    *ret_offset = extent->offset;
    return 0;
}

static void merge_with_next(struct heap_extent *extent)
{
    struct heap_extent *next = extent ? extent->next : NULL;

    if (!next || extent->is_used || next->is_used)
        return;
    extent->bytes += next->bytes;
    extent->next = next->next;
    free(next);
}

int heap_give(struct heap *heap, uint64_t offset)
{
    struct heap_extent *before = NULL, *extent = heap->first;

    while (extent && extent->offset != offset) {
        before = extent;
        extent = extent->next;
    }
    if (!extent || !extent->is_used)
        return -EINVAL;
    extent->is_used = false;
    heap->used_bytes -= extent->bytes;
    merge_with_next(extent);
    merge_with_next(before);
    return 0;
}
