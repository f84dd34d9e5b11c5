#pragma once
/*
 * block - memory as the resource manager hands it out: one RM object, video memory or pinned host
 * memory, of which an allocation is the whole or a part.
 */
#include "abi/cuda.h"
#include "sim/heap.h"
#include "utils/attr.h"
#include "utils/list.h"

#include <stdbool.h>
#include <stdint.h>

struct card;
struct range;

enum block_use {
    BLOCK_WHOLE,    /* one allocation */
    BLOCK_SMALL,    /* shared by small allocations, given back with the last of them */
    BLOCK_POOL,     /* shared by stream-ordered allocations, kept until trimmed */
    BLOCK_PHYSICAL, /* of cuMemCreate: without an address of its own */
};

struct block {
    struct list node; /* for its owner */
    struct card *card;
    uint32_t memory; /* handle */
    bool is_host;
    enum block_use use;
    uint64_t bytes;      /* as granted */
    uint64_t address;    /* 0: none */
    struct heap heap;    /* of the shared ones */
    uint32_t references; /* of a physical one: its handle, and each place where it is mapped */
};

/* `bytes` are rounded as the driver does; physical blocks get no address, the others do. */
CUresult block_new(struct block **ret_block, struct card *card, uint64_t bytes,
                   enum block_use use) MUST_CHECK;

/* Pinned host memory, usable at once. */
CUresult block_new_host(struct block **ret_block, struct card *card, uint64_t bytes,
                        enum block_use use) MUST_CHECK;
void block_free(struct block *block);

/* Puts the block's contents where the range is. */
CUresult block_map(const struct block *block, const struct range *range) MUST_CHECK;
