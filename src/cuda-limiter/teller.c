#include "cuda-limiter/teller.h"

#include "cuda-limiter/descriptors.h"
#include "cuda-limiter/guard.h"
#include "cuda-limiter/tether.h"
#include "cuda-limiter/transport.h"
#include "ipc/message.h"
#include "utils/atomics.h"
#include "utils/clock.h"

#include <stddef.h>

/*
 * Open files with channels; libcuda has one. Of more, the rest is governed only while it has room.
 */
#define FILES_MAX 256u

static struct {
    uint64_t files[FILES_MAX]; /* those that the supervisor was told of */
    uint32_t file_count;
    bool has_missed;
    uint64_t dropped_count, enable_count, counters_sent_ns;
} teller;

static void miss(void)
{
    teller.dropped_count++;
    teller.has_missed = true;
    guard_wake();
}

static bool is_told(uint64_t file_id)
{
    for (uint32_t i = 0; i < teller.file_count; i++)
        if (teller.files[i] == file_id)
            return true;
    return false;
}

static bool tell_file(uint64_t file_id)
{
    struct message_file message = {.file_id = file_id};
    int fd = descriptors_find(file_id);

    if (is_told(file_id))
        return true;
    if (fd < 0 || teller.file_count == FILES_MAX)
        return false;
    message_init(&message, MESSAGE_FILE, sizeof(message));
    if (tether_send(&message, sizeof(message), &fd, 1) < 0) {
        miss();
        return false;
    }
    teller.files[teller.file_count++] = file_id;
    return true;
}

static void send(const void *message, size_t size)
{
    if (tether_send(message, size, NULL, 0) < 0)
        miss();
}

static void tell_group(const struct port_event *event)
{
    struct message_group message = {.file_id = event->file_id,
                                    .client = event->client,
                                    .device_instance = event->device_instance,
                                    .subdevice = event->subdevice,
                                    .group = event->group,
                                    .engine = event->engine};

    message_init(&message, MESSAGE_GROUP, sizeof(message));
    send(&message, sizeof(message));
}

static void tell_channel(const struct port_event *event)
{
    struct message_channel message = {.file_id = event->file_id,
                                      .client = event->client,
                                      .device_instance = event->device_instance,
                                      .subdevice = event->subdevice,
                                      .group = event->group,
                                      .channel = event->channel,
                                      .engine = event->engine};

    message_init(&message, MESSAGE_CHANNEL, sizeof(message));
    send(&message, sizeof(message));
}

static void tell_freed(const struct port_event *event)
{
    struct message_freed message = {.file_id = event->file_id, .client = event->client};

    message.object = event->channel ? event->channel : event->group;
    if (event->kind == PORT_CLIENT_GONE)
        message.object = event->client;
    message_init(&message, MESSAGE_FREED, sizeof(message));
    send(&message, sizeof(message));
}

void teller_tell(const struct port_event *event)
{
    bool is_new = event->kind == PORT_GROUP || event->kind == PORT_CHANNEL;

    if (is_new)
        guard_want();
    if (is_new && !tether_is_welcome())
        teller.has_missed = true; /* told with all the rest once somebody listens */
    if (!tether_is_welcome() || teller.has_missed)
        return;
    if (is_new && !tell_file(event->file_id))
        return;
    if (event->kind == PORT_GROUP)
        tell_group(event);
    else if (event->kind == PORT_CHANNEL)
        tell_channel(event);
    else if (is_told(event->file_id))
        tell_freed(event);
}

static bool send_closed(uint64_t file_id)
{
    struct message_file message = {.file_id = file_id};

    message_init(&message, MESSAGE_CLOSED, sizeof(message));
    return tether_send(&message, sizeof(message), NULL, 0) == 0;
}

void teller_closed(uint64_t file_id)
{
    uint32_t i = 0;

    while (i < teller.file_count && teller.files[i] != file_id)
        i++;
    if (i == teller.file_count)
        return;
    if (!send_closed(file_id)) {
        miss(); /* it stays among those to be taken back */
        return;
    }
    teller.files[i] = teller.files[--teller.file_count];
}

void teller_begin_anew(void)
{
    teller.file_count = 0;
    teller.has_missed = true;
}

bool teller_has_missed(void)
{
    return teller.has_missed;
}

bool teller_take_back(void)
{
    if (!tether_is_welcome())
        return false;
    for (; teller.file_count; teller.file_count--)
        if (!send_closed(teller.files[teller.file_count - 1]))
            return false;
    teller.has_missed = false;
    return true;
}

void teller_send_counters(void)
{
    const struct mediator *mediator = transport_mediator();
    struct message_counters message = {.rm_calls = load_relaxed(&mediator->calls),
                                       .rm_unparsed = load_relaxed(&mediator->unparsed),
                                       .refusals = load_relaxed(&mediator->refusals),
                                       .messages_dropped = teller.dropped_count,
                                       .guard_enables = teller.enable_count};

    message_init(&message, MESSAGE_COUNTERS, sizeof(message));
    /* The next ones say it all again. */
    if (tether_is_welcome() && tether_send(&message, sizeof(message), NULL, 0) == 0)
        teller.counters_sent_ns = clock_now_ns();
}

void teller_send_counters_when_due(uint64_t now_ns)
{
    if (now_ns - teller.counters_sent_ns >= NS_PER_SEC)
        teller_send_counters();
}

void teller_count_enable(void)
{
    teller.enable_count++;
}

void teller_forget(void)
{
    teller.file_count = 0;
    teller.dropped_count = teller.enable_count = 0;
    teller.has_missed = true; /* what was inherited, once there is a guard */
}
