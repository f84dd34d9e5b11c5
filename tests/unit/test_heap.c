#include "sim/heap.h"
#include "tests/harness.h"

#include <errno.h>

#define BYTES 4096

TEST(parts_are_of_512_bytes_and_fill_the_block)
{
    struct heap heap;
    uint64_t offset = 1;

    CHECK_EQ(heap_init(&heap, BYTES), 0);
    for (uint64_t i = 0; i < 8; i++) {
        CHECK_EQ(heap_take(&heap, 1, &offset), 0);
        CHECK_EQ(offset, i * 512);
    }
    CHECK_EQ(heap_take(&heap, 1, &offset), -ENOSPC);
    CHECK_EQ(heap.used_bytes, BYTES);
    heap_fini(&heap);
}

TEST(free_neighbours_become_one)
{
    struct heap heap;
    uint64_t offsets[4], all;

    CHECK_EQ(heap_init(&heap, BYTES), 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(heap_take(&heap, 1024, &offsets[i]), 0);
    CHECK_EQ(heap_give(&heap, offsets[0]), 0);
    CHECK_EQ(heap_give(&heap, offsets[2]), 0);
    CHECK_EQ(heap_take(&heap, 2048, &all), -ENOSPC);
    CHECK_EQ(heap_give(&heap, offsets[1]), 0);
    CHECK_EQ(heap_take(&heap, 3072, &all), 0);
    CHECK_EQ(all, 0);
    CHECK_EQ(heap_give(&heap, all), 0);
    CHECK_EQ(heap_give(&heap, offsets[3]), 0);
    CHECK_EQ(heap.used_bytes, 0);
    CHECK_EQ(heap_take(&heap, BYTES, &all), 0);
    heap_fini(&heap);
}

TEST(what_was_not_taken_cannot_be_given)
{
    struct heap heap;
    uint64_t offset;

    CHECK_EQ(heap_init(&heap, BYTES), 0);
    CHECK_EQ(heap_give(&heap, 0), -EINVAL);
    CHECK_EQ(heap_take(&heap, 1024, &offset), 0);
    CHECK_EQ(heap_give(&heap, offset + 512), -EINVAL);
    CHECK_EQ(heap_give(&heap, offset), 0);
    CHECK_EQ(heap_give(&heap, offset), -EINVAL);
    heap_fini(&heap);
}
