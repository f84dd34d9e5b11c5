#pragma once
/*
 * heap - hands out parts of a block of memory that it never touches: offsets, first fit, neighbours
 * merged when they are free.
 */
#include "utils/attr.h"

#include <stdbool.h>
#include <stdint.h>

struct heap_extent;

struct heap {
    struct heap_extent *first;
    uint64_t used_bytes;
};

/* -ENOMEM. */
int heap_init(struct heap *heap, uint64_t bytes) MUST_CHECK;
void heap_fini(struct heap *heap);

/* Rounded up to 512 bytes, to which offsets are aligned. -ENOSPC: no room; -ENOMEM. */
int heap_take(struct heap *heap, uint64_t bytes, uint64_t *ret_offset) MUST_CHECK;

/* -EINVAL: nothing was taken at that offset. */
int heap_give(struct heap *heap, uint64_t offset);
