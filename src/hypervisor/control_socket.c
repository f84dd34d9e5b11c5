#include "hypervisor/control_socket.h"

#include "hypervisor/admission.h"
#include "hypervisor/node_state.h"
#include "hypervisor/request.h"
#include "hypervisor/requests.h"
#include "hypervisor/standalone.h"
#include "hypervisor/waiting.h"
#include "ipc/message.h"
#include "utils/clock.h"
#include "utils/closer.h"
#include "utils/log.h"
#include "utils/parse.h"
#include "utils/sock.h"
#include "utils/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONNECTIONS_MAX 1024
#define KEPT_FOR_ROOT   64  /* of those */
#define OF_ONE_MOST     64  /* connections of one user but root */
#define PAUSE_MS        100 /* where there is no descriptor left to accept with */
#define ERRANDS_MAX     16  /* questions of one connection that wait */
#define MESSAGES_A_TURN 16
#define ACCEPTS_A_TURN  64
#define PROBE_MS        200
#define LOCK_TRIES      50 /* a daemon that was killed may still be ending */
#define LOCK_RETRY_NS   (20 * NS_PER_MS)

struct control_socket {
    struct node *node;
    char path[RUNTIME_PATH_MAX];
    int fd, lock_fd;
    uv_poll_t listener;
    uv_timer_t pause;
    int open_handles;
    struct list head;
    uint32_t count;
};

/* Kept until it is closed and nothing that it asked for waits. */
struct caller {
    struct list node;
    struct control_socket *owner; /* until it is closing */
    struct node *daemon;
    int fd;
    struct sock_peer peer;
    uv_poll_t poll;
    char selected[64]; /* empty: none */
    uint32_t errands;
    bool is_closing, is_closed;
};

/* One question of a caller's that somebody else answers. */
struct errand {
    struct caller *caller;
    struct request request;
    int front_fd; /* so that nobody else closes it last, which may take long; -1: none */
};

/* --- how they end --- */

static void release(struct caller *caller)
{
    if (caller->is_closed && !caller->errands)
        free(caller);
}

static void on_created(struct request *request);

/*
 * Those that wait for room; others are answered soon. Not where it is hung up, which may be in the
 * midst of a walk over those that wait.
 */
static void cancel_errands(const struct caller *caller)
{
    struct node *node = caller->daemon;

    LIST_EACH_SAFE(at, following, &node->waiting)
    {
        struct request *request = CONTAINER_OF(at, struct waiting, node)->request;

        if (request->done == on_created && ((struct errand *)request->context)->caller == caller)
            requests_cancel(node, request);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct caller *caller = handle->data;

    closer_end(&caller->fd, caller->peer.uid);
    cancel_errands(caller);
    caller->is_closed = true;
    release(caller);
}

static void hang_up(struct caller *caller)
{
    if (caller->is_closing)
        return;
    caller->is_closing = true;
    list_remove(&caller->node);
    caller->owner->count--;
    uv_close((uv_handle_t *)&caller->poll, on_closed);
}

static void send_to(struct caller *caller, const struct message_header *message)
{
    if (!caller->is_closing && sock_send(caller->fd, message, message->length, NULL, 0) < 0)
        hang_up(caller); /* it does not read: nobody waits for it */
}

static void reply(struct caller *caller, int status, const char *text)
{
    struct message_reply message = {.status = status};

    message_init(&message, MESSAGE_REPLY, sizeof(message));
    (void)str_format(message.text, sizeof(message.text), "%s", text); /* cut at worst */
    send_to(caller, &message.header);
}

/* --- errands --- */

static struct errand *begin_errand(struct caller *caller)
{
    struct errand *errand = caller->errands < ERRANDS_MAX ? calloc(1, sizeof(*errand)) : NULL;

    if (!errand)
        return NULL;
    errand->caller = caller;
    errand->request.caller = (struct request_caller){
        .uid = caller->peer.uid,
        .gid = caller->peer.gid,
        .pid = caller->peer.pid,
        .is_operator = caller->peer.uid == 0 || caller->peer.uid == geteuid(),
    };
    errand->request.front_fd = -1;
    errand->front_fd = -1;
    errand->request.context = errand;
    (void)str_format(errand->request.name, sizeof(errand->request.name), "%s",
                     caller->selected); /* same size */
    caller->errands++;
    return errand;
}

static void end_errand(struct errand *errand)
{
    struct caller *caller = errand->caller;

    closer_close(&errand->front_fd, caller->peer.uid);
    free(errand);
    caller->errands--;
    release(caller);
}

static void relay(void *context, const struct message_header *message)
{
    struct errand *errand = context;
    bool is_last = message->type == MESSAGE_REPLY;

    send_to(errand->caller, message);
    if (is_last)
        end_errand(errand);
}

static void on_done(struct request *request)
{
    struct errand *errand = request->context;

    reply(errand->caller, request->status, request->words);
    end_errand(errand);
}

/* --- what is asked --- */

static void relay_shown(void *context, const struct message_header *message)
{
    send_to(context, message);
}

/* Another user's: what it has said is told, so that its supervisor can do nothing to who asks. */
static int show_observed(struct caller *caller, const struct keeper *keeper, int type)
{
    if (type == MESSAGE_STATUS)
        keeper_status_tell(&keeper->status, keeper->tenant.name, keeper->tenant.uid, relay_shown,
                           caller);
    else
        reply(caller, -EPERM, "it is another user's vgpu run: it is shown, and nothing else");
    return 0;
}

static int ask_supervisor(struct caller *caller, const void *message)
{
    struct node *node = caller->daemon;
    const struct keeper *keeper = node_find(node, caller->selected);
    struct errand *errand;

    if (!keeper || !keeper->line) {
        reply(caller, keeper ? -EAGAIN : -ENOENT,
              keeper ? "it has no supervisor at this moment" : "there is no such tenant any more");
        return 0;
    }
    errand = begin_errand(caller);
    if (!errand)
        return -EAGAIN;
    talk_ask(keeper->line, message, relay, errand);
    return 0;
}

static int ask_node(struct caller *caller, enum request_kind kind, const void *message)
{
    struct errand *errand = begin_errand(caller);

    if (!errand)
        return -EAGAIN;
    errand->request.kind = kind;
    errand->request.done = on_done;
    if (kind == REQUEST_CHANGE)
        memcpy(&errand->request.limits, message, sizeof(errand->request.limits));
    if (kind == REQUEST_DELETE)
        errand->request.is_forced = ((const struct message_end *)message)->is_forced != 0;
    requests_do(caller->daemon, &errand->request);
    return 0;
}

static void list_visible(const struct node *node, uint32_t mask, char *text, size_t size)
{
    uint32_t all = 0;
    struct str str;

    str_init(&str, text, size);
    for (uint32_t i = 0; i < node->card_count; i++) {
        uint32_t bit = admission_bit(node->cards[i].nvml_index);

        all |= bit;
        if (mask & bit)
            str_add(&str, "%s%s", str.length ? "," : "", node->cards[i].uuid);
    }
    if (mask == all)
        text[0] = '\0';
}

/* A word in between: the answer is still to come. */
static void on_queued(struct request *request, const char *words)
{
    struct errand *errand = request->context;

    reply(errand->caller, -EAGAIN, words);
}

static void on_created(struct request *request)
{
    struct errand *errand = request->context;
    const struct node *node = errand->caller->daemon;
    const struct keeper *keeper = node_find(node, request->answer_name);
    struct message_created message = {.status = request->status,
                                      .engine = keeper ? keeper->tenant.engine : 0,
                                      .gpu_mask = request->answer_gpu_mask};

    message_init(&message, MESSAGE_CREATED, sizeof(message));
    (void)str_format(message.name, sizeof(message.name), "%s", request->answer_name); /* same */
    (void)str_format(message.text, sizeof(message.text), "%s", request->words);       /* cut */
    list_visible(node, request->answer_gpu_mask, message.visible, sizeof(message.visible));
    if (runtime_path(&node->runtime, request->answer_name, "control", message.control_path, NULL) <
        0)
        message.control_path[0] = '\0'; /* it was made there: it fits */
    send_to(errand->caller, &message.header);
    end_errand(errand);
}

/* Anything else would be its supervisor's to trip over. */
static int take_front(struct errand *errand, int *fd)
{
    socklen_t length = sizeof(int);
    int domain;

    if (*fd < 0)
        return 0;
    if (getsockopt(*fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) < 0 || domain != AF_UNIX)
        return -EPROTO;
    errand->front_fd = fcntl(*fd, F_DUPFD_CLOEXEC, 0);
    if (errand->front_fd < 0)
        return -errno;
    errand->request.front_fd = TAKE_FD(*fd);
    return 0;
}

static int on_create(struct caller *caller, const struct message_create *create, int *front_fd)
{
    struct errand *errand;
    struct request *request;
    struct err err;
    int rc;

    if (create->name[0] && parse_name(create->name, &err) < 0)
        return -EPROTO; /* vgpu has checked it */
    errand = begin_errand(caller);
    if (!errand)
        return -EAGAIN;
    rc = take_front(errand, front_fd);
    if (rc < 0) {
        end_errand(errand);
        return rc;
    }
    request = &errand->request;
    request->kind = REQUEST_CREATE;
    request->done = on_created;
    request->queued = on_queued;
    request->gpu_mask = create->gpu_mask;
    request->on_loss = create->on_loss == REGION_CLOSED ? REGION_CLOSED : REGION_OPEN;
    request->is_kept = create->is_kept != 0;
    request->queue_ns = create->queue_ms == UINT32_MAX ? caller->daemon->config.queue_ns
                                                       : create->queue_ms * UINT64_C(1000000);
    request->limits = (struct message_set){.fields = create->fields,
                                           .gpu_mask = UINT32_MAX,
                                           .memory_bytes = create->memory_bytes,
                                           .memory_milli_percent = create->memory_milli_percent,
                                           .cap_milli_percent = create->cap_milli_percent,
                                           .weight = create->weight,
                                           .priority = create->priority};
    request->limits.fields &=
        MESSAGE_SET_MEMORY | MESSAGE_SET_COMPUTE | MESSAGE_SET_WEIGHT | MESSAGE_SET_PRIORITY;
    (void)str_format(request->name, sizeof(request->name), "%s", create->name); /* same size */
    requests_do(caller->daemon, request);
    return 0;
}

static void list_one(struct caller *caller, const struct keeper *keeper)
{
    struct message_name message = {.name = ""}; /* all of it goes to whoever asks */

    message_init(&message, MESSAGE_NAME, sizeof(message));
    (void)str_format(message.name, sizeof(message.name), "%s", keeper->tenant.name); /* same size */
    send_to(caller, &message.header);
}

static int on_list(struct caller *caller)
{
    LIST_EACH(at, &caller->daemon->keepers)
    list_one(caller, CONTAINER_OF(at, struct keeper, node));
    LIST_EACH(at, standalone_keepers(caller->daemon->standalone))
    {
        const struct keeper *keeper = CONTAINER_OF(at, struct keeper, node);

        if (keeper->has_status && keeper->tenant.uid != caller->peer.uid) /* who knows its own */
            list_one(caller, keeper);
    }
    reply(caller, 0, "");
    return 0;
}

static int on_select(struct caller *caller, const struct message_name *message)
{
    const struct keeper *keeper = node_find(caller->daemon, message->name);

    if (!keeper)
        keeper = standalone_find(caller->daemon->standalone, message->name);
    (void)str_format(caller->selected, sizeof(caller->selected), "%s",
                     message->name); /* same size */
    reply(caller, keeper ? 0 : -ENOENT, keeper ? "" : "there is no such tenant");
    return 0;
}

static int dispatch(struct caller *caller, int type, const void *message, int *fd)
{
    const struct keeper *observed = standalone_find(caller->daemon->standalone, caller->selected);

    if (observed && (type == MESSAGE_STATUS || type == MESSAGE_EXPLAIN || type == MESSAGE_SET ||
                     type == MESSAGE_END))
        return show_observed(caller, observed, type);
    switch (type) {
    case MESSAGE_CREATE:
        return on_create(caller, message, fd);
    case MESSAGE_LIST:
        return on_list(caller);
    case MESSAGE_SELECT:
        return on_select(caller, message);
    case MESSAGE_STATUS:
    case MESSAGE_EXPLAIN:
        return ask_supervisor(caller, message);
    case MESSAGE_SET:
        return ask_node(caller, REQUEST_CHANGE, message);
    case MESSAGE_END:
        return ask_node(caller, REQUEST_DELETE, message);
    case MESSAGE_RELOAD:
        return ask_node(caller, REQUEST_RELOAD, message);
    default:
        return -EPROTO;
    }
}

/* Returns whether there may be more. */
static bool receive_one(struct caller *caller)
{
    union {
        struct message_header header;
        char bytes[MESSAGE_SIZE_MAX];
    } message;
    struct sock_fds fds = {.count = 1, .close = closer_close, .uid = caller->peer.uid};
    ssize_t length = sock_receive(caller->fd, &message, sizeof(message), &fds, 0);
    int rc;

    if (length == -EAGAIN)
        return false;
    rc = length > 0 ? message_check(&message, (size_t)length) : -ECONNRESET;
    if (rc >= 0)
        rc = dispatch(caller, rc, &message, fds.count ? &fds.values[0] : &(int){-1});
    if (length > 0)
        sock_close_fds(&fds);
    if (rc >= 0 && closer_count(caller->peer.uid) > CLOSER_MANY)
        rc = -EMFILE; /* faster than they can be closed */
    if (rc >= 0)
        return !caller->is_closing;
    if (rc == -EPROTO)
        log_debug("control: process %d sent what is no message of version %u",
                  (int)caller->peer.pid, MESSAGE_VERSION);
    hang_up(caller);
    return false;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct caller *caller = poll->data;

    (void)events;
    for (int i = 0; status >= 0 && i < MESSAGES_A_TURN && receive_one(caller); i++)
        ;
    if (status < 0)
        hang_up(caller);
}

/* --- how they begin --- */

static bool is_welcome(const struct control_socket *socket, const struct sock_peer *peer)
{
    uint32_t count = 0;

    if (socket->count >= CONNECTIONS_MAX - (peer->uid ? KEPT_FOR_ROOT : 0))
        return false;
    if (closer_count(peer->uid) > CLOSER_MANY)
        return false;
    LIST_EACH(node, &socket->head)
    count += CONTAINER_OF(node, struct caller, node)->peer.uid == peer->uid;
    return peer->uid == 0 || count < OF_ONE_MOST;
}

static void welcome(struct control_socket *socket, int fd, const struct sock_peer *peer)
{
    struct caller *caller = calloc(1, sizeof(*caller));

    if (!caller || uv_poll_init(&socket->node->loop, &caller->poll, fd) < 0) {
        closer_end(&fd, peer->uid);
        free(caller);
        return;
    }
    caller->owner = socket;
    caller->daemon = socket->node;
    caller->fd = fd;
    caller->peer = *peer;
    sock_make_room(fd); /* for the names of all tenants */
    caller->poll.data = caller;
    list_append(&socket->head, &caller->node);
    socket->count++;
    (void)uv_poll_start(&caller->poll, UV_READABLE | UV_DISCONNECT, on_readable);
}

static void on_connect(uv_poll_t *poll, int status, int events);

static void on_pause_end(uv_timer_t *timer)
{
    struct control_socket *socket = timer->data;

    (void)uv_poll_start(&socket->listener, UV_READABLE, on_connect); /* fails for misuse only */
}

static void on_connect(uv_poll_t *poll, int status, int events)
{
    struct control_socket *socket = poll->data;
    struct sock_peer peer;
    int fd, rc = 0;

    (void)status;
    (void)events;
    for (int i = 0; i < ACCEPTS_A_TURN && !rc; i++) {
        rc = sock_accept(&fd, socket->fd, &peer);
        if (!rc && is_welcome(socket, &peer))
            welcome(socket, fd, &peer);
        else if (!rc)
            closer_end(&fd, peer.uid);
    }
    if (sock_is_exhausted(rc)) {
        (void)uv_poll_stop(poll);
        (void)uv_timer_start(&socket->pause, on_pause_end, PAUSE_MS, 0); /* cannot fail */
    }
}

/* Whether somebody listens there: also one that stands still, whose backlog is full. */
static bool is_served(const char *path)
{
    CLEANUP_CLOSE int fd = -1;
    int rc = sock_connect(&fd, path, PROBE_MS, NULL);

    return !rc || rc == -EAGAIN || rc == -EACCES;
}

/* Two that start at the same instant find nobody who serves: the one with the lock goes on. */
static int lock_place(struct control_socket *socket, struct err *err)
{
    char path[RUNTIME_PATH_MAX];
    int rc = -1;

    if (!str_format(path, sizeof(path), "%s/daemon.lock", socket->node->runtime.base))
        return err_say(err, ENAMETOOLONG, "'%s' is too long", socket->node->runtime.base);
    socket->lock_fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (socket->lock_fd < 0)
        return err_set(err, errno, "open '%s'", path);
    for (int i = 0; i < LOCK_TRIES && rc < 0 && !is_served(socket->path); i++) {
        if (i)
            clock_sleep_until_ns(clock_now_ns() + LOCK_RETRY_NS);
        rc = flock(socket->lock_fd, LOCK_EX | LOCK_NB);
        if (rc < 0 && errno != EWOULDBLOCK)
            return err_set(err, errno, "lock '%s'", path);
    }
    return rc < 0 ? err_say(err, EADDRINUSE, "another daemon serves '%s'", socket->path) : 0;
}

int control_socket_new(struct control_socket **ret_socket, struct node *node, struct err *err)
{
    struct control_socket *socket = calloc(1, sizeof(*socket));
    int rc;

    if (!socket)
        return err_set(err, ENOMEM, "allocate the control socket");
    socket->node = node;
    socket->fd = -1;
    socket->lock_fd = -1;
    list_init(&socket->head);
    if (!str_format(socket->path, sizeof(socket->path), "%s/control", node->runtime.base))
        rc = err_say(err, ENAMETOOLONG, "'%s' is too long for a socket", node->runtime.base);
    else
        rc = lock_place(socket, err);
    if (!rc)
        rc = sock_listen(&socket->fd, socket->path, err);
    /* Everybody may ask: what they are given is decided by who they are. */
    if (!rc && node->runtime.is_shared && chmod(socket->path, 0666) < 0)
        rc = err_set(err, errno, "open '%s' to others", socket->path);
    if (!rc && uv_poll_init(&node->loop, &socket->listener, socket->fd) < 0)
        rc = err_say(err, EIO, "watch '%s'", socket->path);
    if (rc < 0) {
        attr_close(&socket->fd);
        attr_close(&socket->lock_fd);
        free(socket);
        return rc;
    }
    (void)uv_timer_init(&node->loop, &socket->pause); /* cannot fail */
    socket->pause.data = socket;
    socket->listener.data = socket;
    socket->open_handles = 2;
    (void)uv_poll_start(&socket->listener, UV_READABLE, on_connect); /* fails for misuse only */
    *ret_socket = socket;
    return 0;
}

static void on_part_closed(uv_handle_t *handle)
{
    struct control_socket *socket = handle->data;

    if (--socket->open_handles)
        return;
    attr_close(&socket->fd);
    attr_close(&socket->lock_fd);
    free(socket);
}

void control_socket_free(struct control_socket *socket)
{
    if (!socket)
        return;
    LIST_EACH_SAFE(node, following, &socket->head)
    hang_up(CONTAINER_OF(node, struct caller, node));
    (void)unlink(socket->path); /* who looks for us shall find nobody */
    uv_close((uv_handle_t *)&socket->listener, on_part_closed);
    uv_close((uv_handle_t *)&socket->pause, on_part_closed);
}
