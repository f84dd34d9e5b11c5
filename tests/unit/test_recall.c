#include "tests/harness.h"

#include "rm/recall.h"

#include <pthread.h>
#include <string.h>

#define CLIENT 0xc1d00001u
#define OBJECT 0x5c000002u

static uint64_t place_of(uint32_t client, uint32_t handle)
{
    return recall_key(client, handle) >> (64 - RECALL_BITS);
}

/* Another object of the client that has the same place. */
static uint32_t find_neighbour(uint32_t handle)
{
    uint32_t other = handle + 1;

    while (place_of(CLIENT, other) != place_of(CLIENT, handle))
        other++;
    return other;
}

TEST(an_object_is_recalled_by_both_of_its_handles_until_it_is_dropped)
{
    struct recall recall;
    uint32_t device = 77;

    memset(&recall, 0, sizeof(recall));
    CHECK(!recall_get(&recall, CLIENT, OBJECT, &device));
    CHECK(!recall_get(&recall, 0, 0, &device));
    recall_put(&recall, CLIENT, OBJECT, 3);
    CHECK(recall_get(&recall, CLIENT, OBJECT, &device));
    CHECK_EQ(device, 3);
    CHECK(!recall_get(&recall, CLIENT + 1, OBJECT, &device));
    CHECK(!recall_get(&recall, OBJECT, CLIENT, &device));
    recall_drop(&recall, CLIENT, OBJECT + 1);
    CHECK(recall_get(&recall, CLIENT, OBJECT, &device));
    recall_drop(&recall, CLIENT, OBJECT);
    CHECK(!recall_get(&recall, CLIENT, OBJECT, &device));
}

TEST(an_object_in_the_same_place_takes_it_and_is_never_taken_for_the_other)
{
    struct recall recall;
    uint32_t other = find_neighbour(OBJECT), device = 77;

    memset(&recall, 0, sizeof(recall));
    recall_put(&recall, CLIENT, OBJECT, 0);
    CHECK(!recall_get(&recall, CLIENT, other, &device));
    recall_drop(&recall, CLIENT, other);
    CHECK(recall_get(&recall, CLIENT, OBJECT, &device));
    CHECK_EQ(device, 0);
    recall_put(&recall, CLIENT, other, 1);
    CHECK(!recall_get(&recall, CLIENT, OBJECT, &device));
    CHECK(recall_get(&recall, CLIENT, other, &device));
    CHECK_EQ(device, 1);
}

TEST(a_device_that_does_not_fit_into_a_word_is_not_kept)
{
    static const uint32_t devices[] = {RECALL_WORDS - 1, RECALL_WORDS, UINT32_MAX - 1, UINT32_MAX};
    struct recall recall;
    uint32_t device = 77;

    memset(&recall, 0, sizeof(recall));
    for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
        recall_put(&recall, CLIENT, OBJECT, devices[i]);
        CHECK(!recall_get(&recall, CLIENT, OBJECT, &device));
    }
    recall_put(&recall, CLIENT, OBJECT, RECALL_WORDS - 2);
    CHECK(recall_get(&recall, CLIENT, OBJECT, &device));
    CHECK_EQ(device, RECALL_WORDS - 2);
}

static struct recall shared;
static _Atomic int is_done;

/* The object and its neighbour take turns, each on a device of its own. */
static void *change(void *nothing)
{
    uint32_t other = find_neighbour(OBJECT);

    for (int i = 0; i < 200000; i++) {
        recall_put(&shared, CLIENT, OBJECT, 1);
        recall_put(&shared, CLIENT, other, 2);
        recall_drop(&shared, CLIENT, other);
    }
    store_relaxed(&is_done, 1);
    return nothing;
}

TEST(a_reader_beside_changes_never_gets_anothers_device)
{
    uint32_t other = find_neighbour(OBJECT), device = 77;
    pthread_t writer;

    CHECK_EQ(pthread_create(&writer, NULL, change, NULL), 0);
    while (!load_relaxed(&is_done)) {
        if (recall_get(&shared, CLIENT, OBJECT, &device))
            CHECK_EQ(device, 1);
        if (recall_get(&shared, CLIENT, other, &device))
            CHECK_EQ(device, 2);
    }
    CHECK_EQ(pthread_join(writer, NULL), 0);
}
