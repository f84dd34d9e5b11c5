#include "sim/block.h"

#include "abi/rm.h"
#include "sim/card.h"
#include "sim/range.h"

#include <stdlib.h>
#include <string.h>

#define HUGE_PAGE_BYTES (UINT64_C(2) << 20)
#define PAGE_BYTES      UINT64_C(4096)
#define LOCATION_HOST   (1u << 25)
#define BYTES_MAX       (UINT64_C(1) << 46)

/* Asks the RM; *bytes becomes what it granted. */
static CUresult ask(const struct card *card, uint32_t class, uint64_t *bytes, uint32_t *ret_memory)
{
    uint8_t params[RM_MEMORY_PARAMS_SIZE] = {0};
    uint32_t attributes = class == RM_CLASS_SYSTEM_MEMORY ? LOCATION_HOST : 0;
    struct session_object object = {card->device, class, params, sizeof(params)};
    uint32_t status;

    memcpy(params + RM_MEMORY_PARAMS_ATTRIBUTES, &attributes, sizeof(attributes));
    memcpy(params + RM_MEMORY_PARAMS_BYTES, bytes, sizeof(*bytes));
    status = session_alloc(cards_session(), &object, ret_memory);
    memcpy(bytes, params + RM_MEMORY_PARAMS_BYTES, sizeof(*bytes));
    return card_result(status);
}

/* Gives the block addresses, and room to be shared if that is its use. */
static CUresult place(struct block *block)
{
    struct range range = {.bytes = block->bytes, .block = block};
    CUresult result;

    if (block->use == BLOCK_PHYSICAL)
        return CUDA_SUCCESS;
    if (block->use != BLOCK_WHOLE && heap_init(&block->heap, block->bytes) < 0)
        return CUDA_ERROR_OUT_OF_MEMORY;
    range.address = range_reserve(block->bytes);
    if (range.address == 0)
        return CUDA_ERROR_OUT_OF_MEMORY;
    result = range_add(&range);
    if (result != CUDA_SUCCESS) {
        range_release(range.address, range.bytes);
        return result;
    }
    block->address = range.address;
    return CUDA_SUCCESS;
}

static CUresult make(struct block **ret_block, const struct block *template)
{
    struct block *block = malloc(sizeof(*block));
    uint32_t class = template->is_host ? RM_CLASS_SYSTEM_MEMORY : RM_CLASS_VIDEO_MEMORY;
    CUresult result;

    if (!block)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *block = *template;
    list_init(&block->node);
    result = ask(block->card, class, &block->bytes, &block->memory);
    if (result != CUDA_SUCCESS) {
        free(block);
        return result;
    }
    result = place(block);
    if (result != CUDA_SUCCESS) {
        block_free(block);
        return result;
    }
    *ret_block = block;
    return CUDA_SUCCESS;
}

CUresult block_new(struct block **ret_block, struct card *card, uint64_t bytes, enum block_use use)
{
    struct block template = {.card = card, .use = use, .references = 1};

    if (bytes == 0)
        return CUDA_ERROR_INVALID_VALUE;
    if (bytes > BYTES_MAX)
        return CUDA_ERROR_OUT_OF_MEMORY;
    template.bytes = (bytes + HUGE_PAGE_BYTES - 1) / HUGE_PAGE_BYTES *HUGE_PAGE_BYTES;
    return make(ret_block, &template);
}

CUresult block_new_host(struct block **ret_block, struct card *card, uint64_t bytes,
                        enum block_use use)
{
    struct block template = {.card = card, .use = use, .is_host = true, .references = 1};
    struct block *block;
    CUresult result;

    if (bytes == 0)
        return CUDA_ERROR_INVALID_VALUE;
    if (bytes > BYTES_MAX)
        return CUDA_ERROR_OUT_OF_MEMORY;
    template.bytes = (bytes + PAGE_BYTES - 1) / PAGE_BYTES *PAGE_BYTES;
    result = make(&block, &template);
    if (result != CUDA_SUCCESS)
        return result;
    if (block->address != 0)
        result = range_touch(block->address, block->bytes);
    if (result != CUDA_SUCCESS) {
        block_free(block);
        return result;
    }
    *ret_block = block;
    return CUDA_SUCCESS;
}

void block_free(struct block *block)
{
    struct range range;

    if (!block)
        return;
    if (block->address != 0 && range_remove(block->address, &range))
        range_release(block->address, block->bytes);
    session_free(cards_session(), block->memory);
    heap_fini(&block->heap);
    free(block);
}

CUresult block_map(const struct block *block, const struct range *range)
{
    struct session_mapping mapping = {
        .device = block->card->device,
        .memory = block->memory,
        .minor = block->card->info.minor,
        .offset = range->offset,
        .bytes = range->bytes,
        .address = (void *)(uintptr_t)range->address,
    };
    void *memory;

    return card_result(session_map(cards_session(), &mapping, &memory, NULL));
}
