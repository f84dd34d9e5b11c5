#include "sim/lane.h"

#include "abi/rm.h"
#include "sim/card.h"
#include "sim/wire_call.h"
#include "utils/atomics.h"
#include "utils/clock.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* How long a waiter trusts that a silent server is alive. */
#define LOOK_AFTER_S 1

CUresult lane_open(struct lane *lane, const struct card *card, uint32_t group)
{
    struct session_object channel = {.parent = group, .class = RM_CLASS_CHANNEL_HOPPER};
    struct session_mapping mapping = {
        .device = card->device, .minor = card->info.minor, .bytes = sizeof(struct queue)};
    uint32_t status = session_alloc(cards_session(), &channel, &lane->channel);
    void *memory;

    if (status != RM_OK)
        return card_result(status);
    mapping.memory = lane->channel;
    status = session_map(cards_session(), &mapping, &memory, &lane->fd);
    if (status != RM_OK) {
        session_free(cards_session(), lane->channel);
        return card_result(status);
    }
    lane->queue = memory;
    lane->gpu = card->info.index;
    (void)pthread_mutex_init(&lane->lock, NULL); /* cannot fail without attributes */
    return CUDA_SUCCESS;
}

void lane_close(struct lane *lane)
{
    if (!lane->queue)
        return;
    session_free(cards_session(), lane->channel);
    (void)munmap(lane->queue, sizeof(*lane->queue)); /* its address is ours: cannot fail */
    attr_close(&lane->fd);
    (void)pthread_mutex_destroy(&lane->lock); /* nobody holds it */
    lane->queue = NULL;
}

static CUresult state_result(const struct lane *lane)
{
    switch (load_relaxed(&lane->queue->state)) {
    case QUEUE_ALIVE:
        return CUDA_SUCCESS;
    case QUEUE_CLOSED:
        return CUDA_ERROR_CONTEXT_IS_DESTROYED;
    default:
        return CUDA_ERROR_UNKNOWN; /* what programs get from a GPU that fell off the bus */
    }
}

static void ring(const struct lane *lane)
{
    /* A full socket means that the server has not looked yet. */
    (void)send(lane->fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

CUresult lane_check(const struct lane *lane, uint64_t number)
{
    CUresult result;

    /* Pairs with the server's store of completed: what the item wrote is seen. */
    if (load_acquire(&lane->queue->completed) >= number)
        return CUDA_SUCCESS;
    result = state_result(lane);
    return result == CUDA_SUCCESS ? CUDA_ERROR_NOT_READY : result;
}

static void want(struct queue *queue, uint64_t number)
{
    uint64_t wanted = load_relaxed(&queue->wanted);

    while (number < wanted && !cas_ordered(&queue->wanted, &wanted, number))
        continue;
}

/* False: nobody is there who would ever wake us. */
static bool sleep_on(struct lane *lane, uint32_t word)
{
    struct timespec timeout = {.tv_sec = LOOK_AFTER_S};
    struct wire_call call = {.request = {.kind = WIRE_SYNC, .index = lane->gpu}};
    int saved_errno = errno, rc = 0;

    if (syscall(SYS_futex, &lane->queue->wake_word, FUTEX_WAIT, word, &timeout, NULL, 0) < 0 &&
        errno == ETIMEDOUT)
        rc = wire_call_ask(&call);
    errno = saved_errno;
    return rc == 0;
}

CUresult lane_wait(struct lane *lane, uint64_t number)
{
    for (;;) {
        /* Pairs with the server's addition, which comes after its store of completed. */
        uint32_t word = load_acquire(&lane->queue->wake_word);
        CUresult result = lane_check(lane, number);

        if (result != CUDA_ERROR_NOT_READY)
            return result;
        want(lane->queue, number);
        ring(lane);
        if (!sleep_on(lane, word))
            return CUDA_ERROR_UNKNOWN;
    }
}

uint64_t lane_last(const struct lane *lane)
{
    return load_relaxed(&lane->queue->put);
}

static CUresult submit(struct lane *lane, const struct queue_item *item, _Atomic uint64_t *ret_last)
{
    struct queue *queue = lane->queue;
    uint64_t put = load_relaxed(&queue->put);
    CUresult result =
        put < QUEUE_ITEMS ? state_result(lane) : lane_wait(lane, put + 1 - QUEUE_ITEMS);

    if (result == CUDA_SUCCESS)
        result = state_result(lane);
    if (result != CUDA_SUCCESS)
        return result;
    queue->items[put % QUEUE_ITEMS] = *item;
    queue->items[put % QUEUE_ITEMS].submit_ns = clock_now_ns();
    /* Both pair with the server, which sets is_asleep and then looks at put once more. */
    store_ordered(&queue->put, put + 1);
    if (load_ordered(&queue->is_asleep) != 0 && exchange_ordered(&queue->is_asleep, 0) != 0)
        ring(lane);
    store_relaxed(ret_last, put + 1);
    return CUDA_SUCCESS;
}

CUresult lane_submit(struct lane *lane, const struct queue_item *item, _Atomic uint64_t *ret_last)
{
    CUresult result;

    (void)pthread_mutex_lock(&lane->lock); /* ours, and never held twice by a thread */
    result = submit(lane, item, ret_last);
    (void)pthread_mutex_unlock(&lane->lock);
    return result;
}
