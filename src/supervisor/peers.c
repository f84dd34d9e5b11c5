#include "supervisor/peers.h"

#include "ipc/message.h"
#include "ipc/region.h"
#include "supervisor/controller.h"
#include "supervisor/runtime.h"
#include "utils/list.h"
#include "utils/log.h"
#include "utils/shm.h"
#include "utils/sock.h"
#include "utils/str.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#define SCAN_MS    1000
#define CONNECT_MS 5

struct peer {
    struct list node;
    struct peers *peers;
    char name[64];
    int fd;
    uv_poll_t poll;
    struct region_control *control; /* NULL before WELCOME */
    bool is_beyond;                 /* one more than the controller can look at */
};

struct peers {
    uv_loop_t *loop;
    const struct runtime *runtime;
    struct controller *controller;
    char own_name[64];
    struct list head;
    uint32_t room; /* left by those that have gone, for some that are beyond */
    uv_timer_t timer;
};

static void on_peer_closed(uv_handle_t *handle)
{
    struct peer *peer = handle->data;

    attr_close(&peer->fd);
    free(peer);
}

static void drop(struct peer *peer)
{
    if (peer->control) {
        controller_remove_peer(peer->peers->controller, peer->control);
        peer->peers->room++;
        shm_unmap(peer->control, sizeof(*peer->control));
    }
    peer->control = NULL;
    list_remove(&peer->node);
    uv_close((uv_handle_t *)&peer->poll, on_peer_closed);
}

static int take_page(struct peer *peer, int fd)
{
    struct err err;
    void *memory;
    int rc = shm_map(&memory, fd, sizeof(*peer->control), false, &err);

    if (rc < 0)
        return rc;
    rc = region_check_control(memory, &err);
    if (!rc) {
        rc = controller_add_peer(peer->peers->controller, memory);
        rc = rc < 0 ? err_set(&err, -rc, "plan with it") : 0;
    }
    if (rc < 0) {
        log_debug("tenant '%s': %s", peer->name, err.text);
        shm_unmap(memory, sizeof(*peer->control));
        return rc;
    }
    peer->control = memory;
    return 0;
}

static void on_readable(uv_poll_t *handle, int status, int events)
{
    struct peer *peer = handle->data;
    struct message_welcome message;
    struct sock_fds fds = {.count = 1};
    ssize_t length;
    int rc = -EPROTO;

    (void)events;
    length = status < 0 ? -EIO : sock_receive(peer->fd, &message, sizeof(message), &fds, 0);
    if (length == -EAGAIN)
        return;
    if (length > 0 && message_check(&message, (size_t)length) == MESSAGE_WELCOME && fds.count &&
        !message.status && !peer->control)
        rc = take_page(peer, fds.values[0]);
    if (length > 0 && fds.count)
        attr_close(&fds.values[0]);
    if (rc >= 0)
        return;
    if (rc == -ENOSPC) {
        peer->is_beyond = true; /* until one of those that are looked at leaves */
        return;
    }
    /* Its supervisor has ended, and its successor may be there already; or it is one that we do not
     * understand, which is tried again at the next scan. */
    if (peer->control)
        peers_look(peer->peers);
    drop(peer);
}

static bool is_known(const struct peers *peers, const char *name)
{
    LIST_EACH(node, &peers->head)
    if (str_equals(CONTAINER_OF(node, struct peer, node)->name, name))
        return true;
    return false;
}

static int connect_peer(const struct peers *peers, const char *name)
{
    struct message_hello hello = {.role = MESSAGE_PEER, .pid = getpid()};
    CLEANUP_CLOSE int fd = -1;
    char path[RUNTIME_PATH_MAX];
    int rc = runtime_path(peers->runtime, name, "control", path, NULL);

    if (rc < 0)
        return rc;
    rc = sock_connect(&fd, path, CONNECT_MS, NULL);
    if (rc < 0)
        return rc;
    message_init(&hello, MESSAGE_HELLO, sizeof(hello));
    rc = sock_send(fd, &hello, sizeof(hello), NULL, 0);
    return rc < 0 ? rc : TAKE_FD(fd);
}

static int look_at(void *context, const char *name)
{
    struct peers *peers = context;
    struct peer *peer;
    int fd;

    if (str_equals(name, peers->own_name) || is_known(peers, name))
        return 0;
    fd = connect_peer(peers, name);
    if (fd < 0)
        return 0; /* it has no supervisor now */
    peer = calloc(1, sizeof(*peer));
    if (!peer || uv_poll_init(peers->loop, &peer->poll, fd) < 0) {
        attr_close(&fd);
        free(peer);
        return 0;
    }
    peer->peers = peers;
    peer->fd = fd;
    peer->poll.data = peer;
    (void)str_format(peer->name, sizeof(peer->name), "%s", name); /* parse_name() bounds it */
    list_append(&peers->head, &peer->node);
    if (uv_poll_start(&peer->poll, UV_READABLE, on_readable) < 0)
        drop(peer);
    return 0;
}

static void scan(struct peers *peers)
{
    LIST_EACH_SAFE(node, following, &peers->head)
    {
        struct peer *peer = CONTAINER_OF(node, struct peer, node);

        if (peers->room && peer->is_beyond) {
            drop(peer); /* it is asked again */
            peers->room--;
        }
    }
    peers->room = 0;
    if (runtime_each(peers->runtime, look_at, peers) < 0)
        log_debug("the tenant directory cannot be read");
}

static void on_timer(uv_timer_t *timer)
{
    scan(timer->data);
}

void peers_look(struct peers *peers)
{
    (void)uv_timer_start(&peers->timer, on_timer, 0, SCAN_MS); /* cannot fail */
}

int peers_new(struct peers **ret_peers, const struct peers_config *config, struct err *err)
{
    struct peers *peers = calloc(1, sizeof(*peers));

    if (!peers)
        return err_set(err, ENOMEM, "allocate the list of peers");
    *peers = (struct peers){
        .loop = config->loop, .runtime = config->runtime, .controller = config->controller};
    list_init(&peers->head);
    (void)str_format(peers->own_name, sizeof(peers->own_name), "%s", config->own_name); /* fits */
    (void)uv_timer_init(config->loop, &peers->timer); /* cannot fail */
    peers->timer.data = peers;
    peers_look(peers);
    *ret_peers = peers;
    return 0;
}
