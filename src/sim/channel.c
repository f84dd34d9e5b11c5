#include "sim/channel.h"

#include "abi/rm.h"
#include "sim/board.h"
#include "sim/objects.h"
#include "sim/storage.h"
#include "utils/atomics.h"

#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static void wake_waiters(struct queue *queue)
{
    /* Pairs with the waiter's acquire of wake_word: who sees it changed sees what is completed. */
    (void)atomic_fetch_add(&queue->wake_word, 1);
    /* Nobody waiting is no failure. */
    (void)syscall(SYS_futex, &queue->wake_word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static bool is_submitted(struct channel *channel, uint64_t number)
{
    struct queue *queue = channel->queue;
    /* Pairs with the program's store of put: the item before it is complete. */
    uint64_t put = load_ordered(&queue->put);

    /* More than the ring holds: nonsense, of which nothing is run. */
    if (put > channel->gpu_channel.finished + QUEUE_ITEMS)
        return false;
    if (put >= number)
        return true;
    if (number != channel->gpu_channel.finished + 1)
        return false;
    /* Asleep before the second look, as the program stores put before it looks at is_asleep. */
    store_ordered(&queue->is_asleep, 1);
    put = load_ordered(&queue->put);
    return put >= number && put <= channel->gpu_channel.finished + QUEUE_ITEMS;
}

static bool on_peek(void *owner, uint64_t number, struct gpu_work *ret_work)
{
    struct channel *channel = owner;
    struct queue_item item;

    if (!is_submitted(channel, number))
        return false;
    item = channel->queue->items[(number - 1) % QUEUE_ITEMS];
    if (number == channel->gpu_channel.finished + 1)
        channel->item = item;
    *ret_work = (struct gpu_work){
        .submit_ns = item.submit_ns,
        .duration_ns = item.duration_ns,
        .kind = item.kind == QUEUE_KERNEL ? GPU_KERNEL
                : item.kind == QUEUE_COPY ? GPU_COPY
                                          : GPU_MARKER,
    };
    return true;
}

static bool on_is_blocked(void *owner, uint64_t number)
{
    const struct channel *channel = owner;
    const struct object *object;
    const struct channel *other;

    if (channel->item.wait_channel == 0)
        return false;
    object = objects_find(channel->object->client, channel->item.wait_channel);
    if (!object || !RM_CLASS_IS_CHANNEL(object->class) || !object->content)
        return false;
    other = object->content;
    return other->gpu_channel.finished < channel->item.wait_number;
}

/* The word of RM memory that an item names; NULL where it names none or nonsense. */
static uint64_t *find_word(const struct channel *channel, uint32_t memory, uint64_t offset)
{
    const struct object *object;

    if (memory == 0)
        return NULL;
    object = objects_find(channel->object->client, memory);
    if (!object || !object->content ||
        (object->class != RM_CLASS_SYSTEM_MEMORY && object->class != RM_CLASS_VIDEO_MEMORY))
        return NULL;
    return storage_word(object->content, offset);
}

static void on_progress(void *owner, uint64_t number, uint64_t done_ns)
{
    struct channel *channel = owner;
    const struct queue_item *item = &channel->item;
    uint64_t *word = find_word(channel, item->progress_memory, item->progress_offset);
    uint64_t duration_ns = item->duration_ns > 0 ? item->duration_ns : 1;
    uint64_t made;

    if (!word)
        return;
    if (channel->progress_number != number) {
        channel->progress_number = number;
        channel->progress_added = 0;
    }
    if (done_ns >= duration_ns)
        made = item->progress_units;
    else
        made = (uint64_t)((__uint128_t)item->progress_units * done_ns / duration_ns);
    if (item->flags & QUEUE_PROGRESS_ADDS)
        __atomic_fetch_add(word, made - channel->progress_added, __ATOMIC_RELAXED);
    else
        __atomic_store_n(word, item->progress_base + made, __ATOMIC_RELAXED);
    channel->progress_added = made;
}

static void on_finish(void *owner, uint64_t number, uint64_t started_ns, uint64_t finished_ns)
{
    struct channel *channel = owner;
    struct queue *queue = channel->queue;
    uint64_t *word = find_word(channel, channel->item.clock_memory, channel->item.clock_offset);

    on_progress(channel, number, UINT64_MAX);
    if (word)
        __atomic_store_n(word, board_clock_ns(channel->board, finished_ns), __ATOMIC_RELAXED);
    store_relaxed(&queue->started_ns[(number - 1) % QUEUE_ITEMS], started_ns);
    store_relaxed(&queue->finished_ns[(number - 1) % QUEUE_ITEMS], finished_ns);
    /* All of the above before it, for the program's acquire of completed. Ordered, because a waiter
     * stores wanted before it looks at completed again. */
    store_ordered(&queue->completed, number);
    if (load_ordered(&queue->wanted) <= number) {
        store_ordered(&queue->wanted, QUEUE_NOTHING);
        wake_waiters(queue);
    }
}

static uint64_t on_wanted(void *owner)
{
    struct channel *channel = owner;
    uint64_t wanted = load_ordered(&channel->queue->wanted);

    /* Somebody who asked for what is there already has come too late for on_finish. */
    if (wanted != QUEUE_NOTHING && wanted <= channel->gpu_channel.finished) {
        store_ordered(&channel->queue->wanted, QUEUE_NOTHING);
        wake_waiters(channel->queue);
        return GPU_NEVER;
    }
    return wanted == QUEUE_NOTHING ? GPU_NEVER : wanted;
}

static const struct gpu_source source = {
    .peek = on_peek,
    .is_blocked = on_is_blocked,
    .progress = on_progress,
    .finish = on_finish,
    .wanted = on_wanted,
};

struct channel *channel_new(struct object *object, struct board *board, struct gpu_group *group)
{
    struct channel *channel = calloc(1, sizeof(*channel));

    if (!channel)
        return NULL;
    channel->object = object;
    channel->board = board;
    if (!group) {
        channel->own_group = calloc(1, sizeof(*channel->own_group));
        group = channel->own_group;
        if (group)
            gpu_add_group(&board->gpu, group, object->client->pid, object->client->uid);
    }
    if (!group ||
        storage_new_host(&channel->storage, sizeof(struct queue), object->client->pid) != RM_OK ||
        !storage_map(channel->storage)) {
        storage_drop(channel->storage);
        if (channel->own_group)
            gpu_remove_group(channel->own_group);
        free(channel->own_group);
        free(channel);
        return NULL;
    }
    channel->queue = channel->storage->memory;
    store_relaxed(&channel->queue->wanted, QUEUE_NOTHING);
    store_relaxed(&channel->queue->is_asleep, 1);
    gpu_add_channel(group, &channel->gpu_channel, &source, channel);
    return channel;
}

static void end(struct channel *channel, enum queue_state state)
{
    store_ordered(&channel->queue->state, (uint32_t)state);
    wake_waiters(channel->queue);
}

void channel_lose(struct channel *channel)
{
    end(channel, QUEUE_GPU_LOST);
}

void channel_free(struct channel *channel)
{
    if (!channel)
        return;
    /* Who waited on a lost GPU goes on to hear that it was lost. */
    if (load_relaxed(&channel->queue->state) == QUEUE_ALIVE)
        end(channel, QUEUE_CLOSED);
    gpu_remove_channel(&channel->gpu_channel);
    if (channel->own_group)
        gpu_remove_group(channel->own_group);
    free(channel->own_group);
    storage_drop(channel->storage);
    free(channel);
}
