#include "supervisor/connections.h"

#include "ipc/ledger.h"
#include "ipc/message.h"
#include "supervisor/clients.h"
#include "supervisor/guests.h"
#include "supervisor/process.h"
#include "supervisor/tenant.h"
#include "utils/clock.h"
#include "utils/closer.h"
#include "utils/log.h"
#include "utils/shm.h"
#include "utils/sock.h"
#include "utils/str.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define MESSAGES_A_TURN 64 /* of one connection, so that a flood starves nobody */
#define ACCEPTS_A_TURN  64
#define CONNECTIONS_MAX 1024
#define KEPT_FOR_ROOT   64  /* of those, also for whoever the daemon is */
#define OF_ONE_MOST     16  /* connections of one process, so that none keeps the others out */
#define PAUSE_MS        100 /* where there is no descriptor left to accept with */
#define EXPIRY_MS       10  /* while a guest is lost: most are dead, which shows at once */
#define NEWS_MS         10  /* what changes within this is told together */

/* One accepted socket: of whoever, until its HELLO or its first request says. */
struct connection {
    struct list node;
    struct connections *owner;
    int fd;
    struct sock_peer peer;
    uv_poll_t poll, death; /* death: the guest's pidfd */
    int open_handles;
    struct guest *guest; /* NULL: none (yet) */
    bool is_peer, is_watching, is_closing, has_death;
};

/* --- how they end --- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct connection *connection = handle->data;

    if (--connection->open_handles)
        return;
    closer_end(&connection->fd, connection->peer.uid);
    free(connection);
}

static void close_connection(struct connection *connection)
{
    if (connection->is_closing)
        return;
    connection->is_closing = true;
    list_remove(&connection->node);
    connection->owner->count--;
    uv_close((uv_handle_t *)&connection->poll, on_handle_closed);
    if (connection->has_death)
        uv_close((uv_handle_t *)&connection->death, on_handle_closed);
}

/* A process has left: whether the tenant has ended is looked at now. */
static void tell_departure(struct connections *connections)
{
    connections->config.on_departure(connections->config.context);
    connections_tell(connections);
}

static void on_expiry(uv_timer_t *timer)
{
    struct connections *connections = timer->data;

    if (guests_expire(connections->config.guests, clock_now_ns()))
        return;
    (void)uv_timer_stop(timer); /* cannot fail */
    tell_departure(connections);
}

static void stop_watching_death(struct connection *connection)
{
    if (connection->has_death)
        (void)uv_poll_stop(&connection->death); /* before its descriptor is closed; cannot fail */
}

/* The connection has ended, or is ended for what came over it. */
static void end_connection(struct connection *connection)
{
    struct connections *connections = connection->owner;

    stop_watching_death(connection);
    if (connection->guest) {
        guests_lose(connections->config.guests, connection->guest, clock_now_ns());
        (void)uv_timer_start(&connections->expiry, on_expiry, 1, EXPIRY_MS);
    }
    connection->guest = NULL;
    close_connection(connection);
}

static void on_guest_death(uv_poll_t *handle, int status, int events)
{
    struct connection *connection = handle->data;

    (void)status;
    (void)events;
    stop_watching_death(connection);
    if (connection->guest)
        guests_leave(connection->owner->config.guests, connection->guest);
    tell_departure(connection->owner);
    connection->guest = NULL;
    close_connection(connection);
}

static void watch_death(struct connection *connection)
{
    connection->death.data = connection;
    if (uv_poll_init(connection->owner->config.loop, &connection->death,
                     connection->guest->pid_fd) < 0)
        return; /* the end of its socket tells as well, a little later */
    connection->has_death = true;
    connection->open_handles++;
    (void)uv_poll_start(&connection->death, UV_READABLE,
                        on_guest_death); /* fails for misuse only */
}

/* --- HELLO --- */

/*
 * The ledger that a former supervisor's guests bring; all have to bring the same. Takes the
 * descriptor where it is one.
 */
static int adopt_ledger(const struct connections *connections, int *fd)
{
    struct guests *guests = connections->config.guests;
    struct err err;
    void *memory;
    int rc = shm_map(&memory, *fd, ledger_size(), true, &err);

    if (!rc) {
        rc = ledger_open(&guests->ledger, memory, &err);
        if (rc < 0)
            shm_unmap(memory, ledger_size());
    }
    if (rc < 0) {
        log_warn("'%s': a process brought a ledger that is none: %s",
                 connections->config.tenant->name, err.text);
        return rc;
    }
    guests->ledger_fd = TAKE_FD(*fd);
    guests_reap_dead_rows(guests);
    return 0;
}

static int make_ledger(struct guests *guests, struct err *err)
{
    void *memory;
    int fd = shm_create(&memory, "vgpu-ledger", ledger_size(), false, err);

    if (fd < 0)
        return fd;
    guests->ledger = ledger_init(memory);
    guests->ledger_fd = fd;
    return 0;
}

static int need_ledger(const struct connections *connections, struct sock_fds *fds)
{
    struct guests *guests = connections->config.guests;

    if (guests->ledger)
        return 0;
    return fds->count == 2 ? adopt_ledger(connections, &fds->values[1]) : make_ledger(guests, NULL);
}

static int on_guest_hello(struct connection *connection, struct sock_fds *fds)
{
    struct connections *connections = connection->owner;

    if (need_ledger(connections, fds) < 0)
        return -EPROTO;
    connection->guest = guests_join(connections->config.guests, connection->fd,
                                    process_open_peer(connection->fd, &connection->peer),
                                    connection->peer.pid, fds->count == 2);
    if (!connection->guest)
        return -ECONNRESET; /* gone already, or guests_join() has said what is wrong */
    watch_death(connection);
    connections_tell(connections);
    return 0;
}

static int on_peer_hello(struct connection *connection)
{
    struct message_welcome message = {.status = 0};

    message_init(&message, MESSAGE_WELCOME, sizeof(message));
    connection->is_peer = true;
    connection->owner->config.on_peer(connection->owner->config.context);
    return sock_send(connection->fd, &message, sizeof(message),
                     &connection->owner->config.guests->control_fd, 1);
}

static int on_hello(struct connection *connection, const struct message_hello *hello,
                    struct sock_fds *fds)
{
    if (connection->guest || connection->is_peer)
        return -EPROTO;
    switch (hello->role) {
    case MESSAGE_GUEST:
        return on_guest_hello(connection, fds);
    case MESSAGE_PEER:
        return on_peer_hello(connection);
    default:
        return -EPROTO;
    }
}

/* --- watchers --- */

/* Those that asked to be told: a moment later, so that what changes together is told once. */
static void on_news(uv_timer_t *timer)
{
    struct connections *connections = timer->data;

    LIST_EACH_SAFE(node, following, &connections->head)
    {
        struct connection *connection = CONTAINER_OF(node, struct connection, node);

        if (connection->is_watching &&
            clients_send_status(&connections->config, connection->fd) < 0)
            end_connection(connection); /* it does not read: nobody waits for it */
    }
}

void connections_tell(struct connections *connections)
{
    if (!uv_is_active((uv_handle_t *)&connections->news))
        (void)uv_timer_start(&connections->news, on_news, NEWS_MS, 0); /* cannot fail */
}

static int on_question(struct connection *connection, int type, const void *message)
{
    struct connections *connections = connection->owner;
    int rc = clients_take(&connections->config, connection->fd, &connection->peer, message);

    if (type == MESSAGE_WATCH)
        connection->is_watching = true;
    if (type == MESSAGE_SET)
        connections_tell(connections);
    return rc;
}

static int dispatch(struct connection *connection, int type, const void *message,
                    struct sock_fds *fds)
{
    if (type == MESSAGE_HELLO)
        return on_hello(connection, message, fds);
    if (connection->guest)
        return guests_take(connection->owner->config.guests, connection->guest, message,
                           type == MESSAGE_FILE && fds->count ? TAKE_FD(fds->values[0]) : -1);
    if (connection->is_peer)
        return -EPROTO;
    return on_question(connection, type, message);
}

/* Returns whether there may be more. */
static bool receive_one(struct connection *connection)
{
    union {
        struct message_header header;
        char bytes[MESSAGE_SIZE_MAX];
    } message;
    struct sock_fds fds = {.count = 2, .close = closer_close, .uid = connection->peer.uid};
    ssize_t length = sock_receive(connection->fd, &message, sizeof(message), &fds, 0);
    int type, rc;

    if (length == -EAGAIN)
        return false;
    type = length > 0 ? message_check(&message, (size_t)length) : -ECONNRESET;
    rc = type < 0 ? type : dispatch(connection, type, &message, &fds);
    if (length > 0)
        sock_close_fds(&fds);
    if (rc >= 0 && closer_count(connection->peer.uid) > CLOSER_MANY)
        rc = -EMFILE; /* faster than they can be closed */
    if (rc >= 0)
        return true;
    /* Not where it is only gone. */
    if ((length == -EMSGSIZE || (length > 0 && rc == -EPROTO)) &&
        guests_may_complain(connection->owner->config.guests))
        log_warn("process %d sent '%s' what is no message of version %u; its connection is ended",
                 (int)connection->peer.pid, connection->owner->config.tenant->name,
                 MESSAGE_VERSION);
    end_connection(connection);
    return false;
}

static void on_readable(uv_poll_t *handle, int status, int events)
{
    struct connection *connection = handle->data;

    (void)events;
    if (status < 0) {
        end_connection(connection);
        return;
    }
    for (int i = 0; i < MESSAGES_A_TURN; i++)
        if (!receive_one(connection))
            return;
}

/* --- how they begin --- */

static void open_connection(struct connections *connections, int fd, const struct sock_peer *peer)
{
    struct connection *connection = calloc(1, sizeof(*connection));

    if (!connection || uv_poll_init(connections->config.loop, &connection->poll, fd) < 0) {
        closer_end(&fd, peer->uid);
        free(connection);
        return;
    }
    connection->owner = connections;
    connection->fd = fd;
    connection->peer = *peer;
    connection->open_handles = 1;
    sock_make_room(fd); /* of a tenant's processes each has its part in a STATUS */
    connection->poll.data = connection;
    connection->death.data = connection;
    list_append(&connections->head, &connection->node);
    connections->count++;
    (void)uv_poll_start(&connection->poll, UV_READABLE | UV_DISCONNECT, on_readable);
}

/* Of several that are the same user nobody can be told from the tenant. */
static bool is_operator(const struct connections *connections, const struct sock_peer *peer)
{
    return peer->uid != connections->config.tenant->uid &&
           (peer->uid == 0 || peer->uid == geteuid());
}

static bool is_welcome(const struct connections *connections, const struct sock_peer *peer)
{
    uint32_t count = 0;

    if (is_operator(connections, peer))
        return connections->count < CONNECTIONS_MAX;
    if (peer->uid != connections->config.tenant->uid ||
        connections->count >= CONNECTIONS_MAX - KEPT_FOR_ROOT ||
        closer_count(peer->uid) > CLOSER_MANY)
        return false;
    LIST_EACH(node, &connections->head)
    count += CONTAINER_OF(node, struct connection, node)->peer.pid == peer->pid;
    return count < OF_ONE_MOST;
}

static void on_connect(uv_poll_t *handle, int status, int events);

static void on_pause_end(uv_timer_t *timer)
{
    struct connections *connections = timer->data;

    (void)uv_poll_start(&connections->listener, UV_READABLE, on_connect); /* as at the start */
}

static void on_connect(uv_poll_t *handle, int status, int events)
{
    struct connections *connections = handle->data;
    struct sock_peer peer;
    int fd, rc = 0;

    (void)status;
    (void)events;
    for (int i = 0; i < ACCEPTS_A_TURN && !rc; i++) {
        rc = sock_accept(&fd, connections->config.listen_fd, &peer);
        if (!rc && is_welcome(connections, &peer))
            open_connection(connections, fd, &peer);
        else if (!rc)
            closer_end(&fd, peer.uid);
    }
    if (sock_is_exhausted(rc)) {
        (void)uv_poll_stop(handle);
        (void)uv_timer_start(&connections->pause, on_pause_end, PAUSE_MS, 0); /* cannot fail */
    }
}

void connections_start(struct connections *connections, const struct connections_config *config)
{
    *connections = (struct connections){.config = *config};
    list_init(&connections->head);
    (void)uv_timer_init(config->loop, &connections->expiry); /* cannot fail */
    connections->expiry.data = connections;
    (void)uv_timer_init(config->loop, &connections->news); /* as above */
    connections->news.data = connections;
    (void)uv_timer_init(config->loop, &connections->pause); /* as above */
    connections->pause.data = connections;
    connections->listener.data = connections;
    /* Both fail for misuse only. */
    if (uv_poll_init(config->loop, &connections->listener, config->listen_fd) == 0)
        (void)uv_poll_start(&connections->listener, UV_READABLE, on_connect);
}
