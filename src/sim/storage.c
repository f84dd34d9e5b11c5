#include "sim/storage.h"

#include "abi/rm.h"
#include "sim/board.h"
#include "utils/shm.h"

#include <stdlib.h>
#include <unistd.h>

#define KIB       (UINT64_C(1) << 10)
#define BYTES_MAX (UINT64_C(1) << 46)

enum { PAGE_DEFAULT, PAGE_SMALL, PAGE_BIG, PAGE_HUGE };

uint64_t storage_round(uint64_t bytes, uint32_t attributes)
{
    uint64_t page = 4 * KIB;

    if (bytes == 0 || bytes > BYTES_MAX)
        return 0;
    switch (RM_MEMORY_PAGE_SIZE(attributes)) {
    case PAGE_DEFAULT:
        if (bytes >= 64 * KIB)
            page = 64 * KIB;
        break;
    case PAGE_BIG:
        page = 64 * KIB;
        break;
    case PAGE_HUGE:
        page = 2048 * KIB;
        break;
    default:
        break;
    }
    return (bytes + page - 1) / page * page;
}

static struct storage *storage_new(uint64_t bytes, uint32_t pid)
{
    struct storage *storage = calloc(1, sizeof(*storage));

    if (!storage)
        return NULL;
    list_init(&storage->node);
    storage->references = 1;
    storage->pid = pid;
    storage->bytes = bytes;
    storage->fd = -1;
    return storage;
}

uint32_t storage_new_video(struct storage **ret_storage, struct board *board, uint64_t bytes,
                           uint32_t pid)
{
    struct storage *storage;

    if (bytes > board->memory_bytes - board->reserved_bytes - board->used_bytes)
        return RM_NO_MEMORY;
    storage = storage_new(bytes, pid);
    if (!storage)
        return RM_NO_MEMORY;
    storage->board = board;
    board->used_bytes += bytes;
    list_append(&board->storages, &storage->node);
    *ret_storage = storage;
    return RM_OK;
}

uint32_t storage_new_host(struct storage **ret_storage, uint64_t bytes, uint32_t pid)
{
    struct storage *storage = storage_new(bytes, pid);

    if (!storage)
        return RM_NO_MEMORY;
    *ret_storage = storage;
    return RM_OK;
}

void storage_keep(struct storage *storage)
{
    storage->references++;
}

void storage_drop(struct storage *storage)
{
    if (!storage || --storage->references > 0)
        return;
    if (storage->board)
        storage->board->used_bytes -= storage->bytes;
    list_remove(&storage->node);
    if (storage->memory)
        shm_unmap(storage->memory, storage->bytes);
    if (storage->fd >= 0)
        (void)close(storage->fd); /* nothing is lost with it */
    free(storage);
}

void *storage_map(struct storage *storage)
{
    int fd;

    if (storage->memory)
        return storage->memory;
    fd = shm_create(&storage->memory, "vgpu-sim", storage->bytes, false, NULL);
    if (fd < 0)
        return NULL;
    storage->fd = fd;
    return storage->memory;
}

uint64_t *storage_word(struct storage *storage, uint64_t offset)
{
    unsigned char *memory;

    if (offset % sizeof(uint64_t) != 0 || offset >= storage->bytes)
        return NULL;
    memory = storage_map(storage);
    return memory ? (uint64_t *)(void *)(memory + offset) : NULL;
}
