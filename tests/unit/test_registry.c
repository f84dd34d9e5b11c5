#include "rm/registry.h"

#include "tests/harness.h"

#include <string.h>

#define CLIENT 0xc1d00001u

static struct {
    uint32_t handles[64];
    uint64_t bytes;
    size_t count;
} gone;

static void on_gone(void *context, const struct registry_object *object,
                    const struct registry_object *parent)
{
    if (gone.count < 64)
        gone.handles[gone.count] = object->handle;
    gone.count++;
    gone.bytes += object->bytes;
}

static void begin(struct registry *registry)
{
    memset(&gone, 0, sizeof(gone));
    registry_init(registry, on_gone, NULL);
    CHECK(registry_add_client(registry, CLIENT, 7) != NULL);
    CHECK(registry_add(registry, CLIENT, CLIENT, 0x80, REGISTRY_DEVICE) != NULL);
    registry_find(registry, CLIENT, 0x80)->device_instance = 3;
}

static void add_memory(struct registry *registry, uint32_t parent, uint32_t handle, uint64_t bytes)
{
    struct registry_object *object =
        registry_add(registry, CLIENT, parent, handle, REGISTRY_MEMORY);

    CHECK(object != NULL);
    object->bytes = bytes;
}

TEST(freeing_a_parent_frees_all_below_it_and_nothing_beside)
{
    struct registry registry;

    begin(&registry);
    CHECK(registry_add(&registry, CLIENT, 0x80, 0x2080, REGISTRY_SUBDEVICE) != NULL);
    add_memory(&registry, 0x2080, 1, 10);
    add_memory(&registry, 0x80, 2, 20);
    add_memory(&registry, CLIENT, 3, 40);
    registry_remove(&registry, CLIENT, 0x80, registry.stamp);
    CHECK_EQ(gone.bytes, 30);
    CHECK_EQ(gone.count, 4);
    CHECK(registry_find(&registry, CLIENT, 3) != NULL);
    CHECK(registry_find(&registry, CLIENT, 1) == NULL);
    registry_remove(&registry, CLIENT, CLIENT, registry.stamp);
    CHECK_EQ(gone.bytes, 70);
    CHECK_EQ(registry.object_count, 0);
    registry_fini(&registry);
}

TEST(what_lies_below_a_device_knows_its_instance_and_subdevice)
{
    struct registry registry;
    const struct registry_object *channel;

    begin(&registry);
    CHECK(registry_add(&registry, CLIENT, 0x80, 0x2080, REGISTRY_SUBDEVICE) != NULL);
    CHECK(registry_add(&registry, CLIENT, 0x80, 0xa0, REGISTRY_GROUP) != NULL);
    channel = registry_add(&registry, CLIENT, 0xa0, 0xc8, REGISTRY_CHANNEL);
    CHECK_EQ(channel->device_instance, 3);
    CHECK_EQ(registry_subdevice_of(&registry, channel), 0x2080);
    CHECK_EQ(registry_device_of(&registry, channel)->handle, 0x80);
    registry_fini(&registry);
}

TEST(a_handle_that_is_given_out_again_replaces_what_had_it)
{
    struct registry registry;

    begin(&registry);
    add_memory(&registry, 0x80, 1, 10);
    add_memory(&registry, 0x80, 1, 5);
    CHECK_EQ(gone.bytes, 10);
    CHECK_EQ(registry_find(&registry, CLIENT, 1)->bytes, 5);
    registry_fini(&registry);
}

TEST(a_free_does_not_remove_what_was_added_after_it_began)
{
    struct registry registry;
    uint64_t stamp;

    begin(&registry);
    add_memory(&registry, 0x80, 1, 10);
    stamp = registry.stamp;
    add_memory(&registry, 0x80, 1, 5); /* the driver has freed 1, another thread was given it */
    registry_remove(&registry, CLIENT, 1, stamp);
    CHECK_EQ(registry_find(&registry, CLIENT, 1)->bytes, 5);
    registry_fini(&registry);
}

TEST(a_block_is_charged_until_its_last_duplicate_goes)
{
    struct registry registry;

    begin(&registry);
    add_memory(&registry, 0x80, 1, 10);
    for (uint32_t copy = 2; copy <= 4; copy++) {
        add_memory(&registry, 0x80, copy, 0);
        registry_join(&registry, registry_find(&registry, CLIENT, copy),
                      registry_find(&registry, CLIENT, 1));
    }
    registry_remove(&registry, CLIENT, 3, registry.stamp);
    registry_remove(&registry, CLIENT, 1, registry.stamp);
    registry_remove(&registry, CLIENT, 2, registry.stamp);
    CHECK_EQ(gone.bytes, 0);
    registry_remove(&registry, CLIENT, 4, registry.stamp);
    CHECK_EQ(gone.bytes, 10);
    registry_fini(&registry);
}

TEST(the_clients_of_one_open_file_go_together)
{
    struct registry registry;

    begin(&registry);
    CHECK(registry_add_client(&registry, CLIENT + 1, 7) != NULL);
    CHECK(registry_add_client(&registry, CLIENT + 2, 8) != NULL);
    registry_remove_file(&registry, 7);
    CHECK_EQ(registry.object_count, 1);
    CHECK(registry_find(&registry, CLIENT + 2, CLIENT + 2) != NULL);
    registry_fini(&registry);
}

TEST(a_walk_meets_every_object_once)
{
    struct registry registry;
    const struct registry_object *at = NULL;
    uint64_t sum = 0;
    size_t count = 0;

    begin(&registry);
    for (uint32_t i = 1; i <= 40; i++)
        add_memory(&registry, i % 3 ? 0x80 : i - 1, 0x1000 + i, i);
    while ((at = registry_next(&registry, NULL, at))) {
        sum += at->bytes;
        count++;
    }
    CHECK_EQ(count, 42);
    CHECK_EQ(sum, 820);
    registry_fini(&registry);
}

TEST(many_objects_come_and_go_without_growing)
{
    struct registry registry;
    uint32_t chunks;

    begin(&registry);
    for (uint32_t i = 0; i < 50000; i++)
        add_memory(&registry, 0x80, 0x10000 + i, 1);
    chunks = registry.chunk_count;
    for (uint32_t i = 0; i < 50000; i++)
        CHECK(registry_find(&registry, CLIENT, 0x10000 + i) != NULL);
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < 50000; i++)
            registry_remove(&registry, CLIENT, 0x10000 + i, registry.stamp);
        CHECK_EQ(registry.object_count, 2);
        for (uint32_t i = 0; i < 50000; i++)
            add_memory(&registry, 0x80, 0x10000 + i, 1);
    }
    CHECK_EQ(registry.chunk_count, chunks);
    CHECK_EQ(gone.bytes, 150000);
    registry_fini(&registry);
}

TEST(objects_of_unknown_clients_are_not_kept)
{
    struct registry registry;

    begin(&registry);
    CHECK(registry_add(&registry, 5, 5, 6, REGISTRY_DEVICE) == NULL);
    CHECK(registry_add(&registry, CLIENT, 0x80, CLIENT, REGISTRY_MEMORY) == NULL);
    CHECK_EQ(registry.object_count, 2);
    registry_fini(&registry);
}
