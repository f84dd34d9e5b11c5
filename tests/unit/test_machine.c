#include "tests/harness.h"

#include "abi/rm.h"
#include "sim/channel.h"
#include "sim/machine.h"
#include "sim/storage.h"
#include "utils/atomics.h"

#include <errno.h>

#define MS     UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)
#define MIB    (UINT64_C(1) << 20)
#define DEVICE 0x100u
#define MEMORY 0x101u
#define WORK   0x102u

static struct machine machine;
static struct client *client;
static struct channel *channel;

static void release_memory(struct object *object)
{
    storage_drop(object->content);
}

static void release_channel(struct object *object)
{
    channel_free(object->content);
}

/* A program on the first of two GPUs: its device, memory, a channel. */
static void begin_program(void)
{
    struct object *device, *memory, *work;
    struct storage *storage;

    CHECK_EQ(objects_add(&client->object, &device, DEVICE, RM_CLASS_DEVICE), 0);
    device->board = 0;
    CHECK_EQ(objects_add(device, &memory, MEMORY, RM_CLASS_VIDEO_MEMORY), 0);
    CHECK_EQ(storage_new_video(&storage, machine.boards[0], 2 * MIB, 1), RM_OK);
    memory->content = storage;
    memory->release = release_memory;
    CHECK_EQ(objects_add(device, &work, WORK, RM_CLASS_CHANNEL_HOPPER), 0);
    channel = channel_new(work, machine.boards[0], NULL);
    CHECK(channel);
    work->content = channel;
    work->release = release_channel;
}

static void start(void)
{
    const struct machine_options options = {.gpus = 2,
                                            .memory_bytes = 1024 * MIB,
                                            .model = "test",
                                            .now_ns = SECOND,
                                            .now_unix_ns = SECOND};

    CHECK_EQ(machine_init(&machine, &options), 0);
    CHECK_EQ(objects_add_client(&machine.objects, &client, 0, RM_CLASS_ROOT_CLIENT), 0);
}

static void stop(void)
{
    objects_free(&client->object);
    machine_fini(&machine);
}

static void submit(uint64_t duration_ns, uint64_t now_ns)
{
    struct queue *queue = channel->queue;
    uint64_t put = load_relaxed(&queue->put);

    queue->items[put % QUEUE_ITEMS] =
        (struct queue_item){.submit_ns = now_ns, .duration_ns = duration_ns, .kind = QUEUE_KERNEL};
    store_relaxed(&queue->put, put + 1);
}

TEST(a_lost_gpu_that_returns_has_nothing_of_before_and_can_be_used_anew)
{
    struct storage *queue_storage;
    struct object *elsewhere;

    start();
    begin_program();
    CHECK_EQ(objects_add(&client->object, &elsewhere, 0x200, RM_CLASS_DEVICE), 0);
    elsewhere->board = 1;
    queue_storage = channel->storage;
    storage_keep(queue_storage);
    submit(10 * MS, SECOND);
    machine_advance(&machine, SECOND + MS);
    CHECK_EQ(machine_set_fault(&machine, "gpu-lost=0", NULL), 0);
    CHECK(machine.boards[0]->is_lost && !machine.boards[1]->is_lost);
    CHECK(objects_find(client, WORK)); /* for as long as the GPU is lost */
    CHECK_EQ(machine_set_fault(&machine, "gpu-lost=off", NULL), 0);
    CHECK(!machine.boards[0]->is_lost);
    CHECK(!objects_find(client, DEVICE) && !objects_find(client, WORK));
    CHECK(objects_find(client, 0x200) == elsewhere);
    CHECK_EQ(machine.boards[0]->used_bytes, 0);
    CHECK_EQ(load_relaxed(&((struct queue *)queue_storage->memory)->state), QUEUE_GPU_LOST);
    storage_drop(queue_storage);

    begin_program();
    submit(MS, 2 * SECOND);
    machine_advance(&machine, 2 * SECOND + 5 * MS);
    CHECK_EQ(load_relaxed(&channel->queue->completed), 1);
    CHECK_EQ(machine.boards[0]->used_bytes, 2 * MIB);
    stop();
}

TEST(a_gpu_that_was_not_lost_keeps_what_is_on_it)
{
    start();
    begin_program();
    CHECK_EQ(machine_set_fault(&machine, "gpu-lost=off", NULL), 0);
    CHECK_EQ(machine_set_fault(&machine, "gpu-lost=1", NULL), 0);
    CHECK_EQ(machine_set_fault(&machine, "gpu-lost=off", NULL), 0);
    CHECK(objects_find(client, WORK));
    CHECK_EQ(machine_set_fault(&machine, "gpu-found", NULL), -EINVAL);
    stop();
}
