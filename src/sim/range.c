#include "sim/range.h"

#include "sim/block.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ROOM_MIN        64
#define HUGE_PAGE_BYTES (UINT64_C(2) << 20)

/* Sorted by address, without overlaps. */
static struct {
    pthread_mutex_t lock;
    struct range *ranges;
    size_t count, room;
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void lock(void)
{
    (void)pthread_mutex_lock(&table.lock); /* ours, and never held twice by a thread */
}

static void unlock(void)
{
    (void)pthread_mutex_unlock(&table.lock);
}

uint64_t range_reserve(uint64_t bytes)
{
    uint64_t all_bytes = bytes + HUGE_PAGE_BYTES;
    uint8_t *memory =
        mmap(NULL, all_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    uint64_t address;

    if (memory == MAP_FAILED)
        return 0;
    /* As the driver's: aligned to huge pages. What is over on both sides goes back. */
    address = ((uintptr_t)memory + HUGE_PAGE_BYTES - 1) / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
    if (address > (uintptr_t)memory)
        (void)munmap(memory, address - (uintptr_t)memory); /* ours: cannot fail */
    range_release(address + bytes, (uintptr_t)memory + all_bytes - address - bytes);
    return address;
}

void range_release(uint64_t address, uint64_t bytes)
{
    if (bytes > 0)
        (void)munmap((void *)(uintptr_t)address, bytes); /* ours: cannot fail */
}

void range_hide(uint64_t address, uint64_t bytes)
{
    /* Where that fails the old contents stay to be seen, which no program looks for. */
    (void)mmap((void *)(uintptr_t)address, bytes, PROT_NONE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

/* The place of the first range that ends above the address. */
static size_t find_place(uint64_t address)
{
    size_t low = 0, high = table.count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (table.ranges[middle].address + table.ranges[middle].bytes > address)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static struct range *find(uint64_t address)
{
    size_t place = find_place(address);

    if (place == table.count || table.ranges[place].address > address)
        return NULL;
    return &table.ranges[place];
}

static CUresult insert(const struct range *range)
{
    size_t place = find_place(range->address);
    struct range *ranges;
    size_t room;

    if (place < table.count && table.ranges[place].address < range->address + range->bytes)
        return CUDA_ERROR_INVALID_VALUE;
    if (table.count == table.room) {
        room = table.room > 0 ? table.room * 2 : ROOM_MIN;
        ranges = realloc(table.ranges, room * sizeof(*ranges));
        if (!ranges)
            return CUDA_ERROR_OUT_OF_MEMORY;
        table.ranges = ranges;
        table.room = room;
    }
    memmove(&table.ranges[place + 1], &table.ranges[place],
            (table.count - place) * sizeof(*table.ranges));
    table.ranges[place] = *range;
    table.count++;
    return CUDA_SUCCESS;
}

CUresult range_add(const struct range *range)
{
    CUresult result;

    lock();
    result = insert(range);
    unlock();
    return result;
}

bool range_remove(uint64_t address, struct range *ret_range)
{
    struct range *range;
    bool is_found;

    lock();
    range = find(address);
    is_found = range && range->address == address;
    if (is_found) {
        *ret_range = *range;
        table.count--;
        memmove(range, range + 1,
                (table.count - (size_t)(range - table.ranges)) * sizeof(*table.ranges));
    }
    unlock();
    return is_found;
}

bool range_find(uint64_t address, struct range *ret_range)
{
    const struct range *range;

    lock();
    range = find(address);
    if (range)
        *ret_range = *range;
    unlock();
    return range != NULL;
}

static CUresult touch(uint64_t address, uint64_t bytes)
{
    uint64_t end = address + bytes;

    while (address < end) {
        struct range *range = find(address);
        CUresult result = range ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;

        if (range && !range->is_mapped)
            result = block_map(range->block, range);
        if (result != CUDA_SUCCESS)
            return result;
        range->is_mapped = true;
        address = range->address + range->bytes;
    }
    return CUDA_SUCCESS;
}

CUresult range_touch(uint64_t address, uint64_t bytes)
{
    CUresult result;

    lock();
    result = touch(address, bytes);
    unlock();
    return result;
}

bool range_is_untouched(uint64_t address, uint64_t bytes)
{
    const struct range *range;
    bool is_untouched;

    lock();
    range = find(address);
    is_untouched = range && !range->is_mapped && address + bytes <= range->address + range->bytes;
    unlock();
    return is_untouched;
}
