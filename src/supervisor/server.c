#include "supervisor/server.h"

#include "ipc/ledger.h"
#include "ipc/message.h"
#include "supervisor/controller.h"
#include "supervisor/guests.h"
#include "supervisor/peers.h"
#include "supervisor/process.h"
#include "supervisor/runtime.h"
#include "supervisor/status.h"
#include "utils/atomics.h"
#include "utils/clock.h"
#include "utils/log.h"
#include "utils/shm.h"
#include "utils/sock.h"
#include "utils/str.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#define MESSAGES_A_TURN 64 /* of one connection, so that a flood starves nobody */
#define CONNECTIONS_MAX 1024
#define OF_ONE_MOST     16 /* connections of one process, so that none keeps the others out */
#define TICK_MS         500
#define EXPIRY_MS       10 /* while a guest is lost: most are dead, which shows at once */

#define WORDS_INERT                                                                                 \
    "the GPU's scheduler does not obey on this machine: compute limits have no effect, the memory " \
    "limit holds (see vgpu doctor)"

struct server {
    const struct server_config *config;
    struct tenant tenant;
    char state_path[RUNTIME_PATH_MAX], control_path[RUNTIME_PATH_MAX];
    uv_loop_t loop;
    uv_poll_t listener, front, command, events;
    uv_timer_t tick, expiry;
    int command_fd; /* pidfd of the command; -1: it has ended, or none is known */
    struct region_control *control;
    int control_fd;
    void *ledger_memory;
    uint64_t ledger_inode;
    struct controller *controller;
    struct guests guests;
    struct peers *peers;
    struct list connections;
    uint32_t connection_count;
    bool has_warned_engine, is_ending, is_front_open, knows_command;
};

/* One accepted socket: of whoever, until its HELLO or its first request says. */
struct connection {
    struct list node;
    struct server *server;
    int fd;
    struct sock_peer peer;
    uv_poll_t poll, death; /* death: the guest's pidfd */
    int open_handles;
    struct guest *guest; /* NULL: none (yet) */
    bool is_peer, is_closing, has_death;
};

/* --- connections --- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct connection *connection = handle->data;

    if (--connection->open_handles)
        return;
    attr_close(&connection->fd);
    free(connection);
}

static void close_connection(struct connection *connection)
{
    if (connection->is_closing)
        return;
    connection->is_closing = true;
    list_remove(&connection->node);
    connection->server->connection_count--;
    uv_close((uv_handle_t *)&connection->poll, on_handle_closed);
    if (connection->has_death)
        uv_close((uv_handle_t *)&connection->death, on_handle_closed);
}

/* A process has left: whether the tenant has ended is looked at now and not at the next tick. */
static void look_for_end(struct server *server)
{
    if (server->command_fd < 0)
        (void)uv_timer_start(&server->tick, server->tick.timer_cb, 0, TICK_MS); /* cannot fail */
}

static void on_expiry(uv_timer_t *timer)
{
    struct server *server = timer->data;

    if (guests_expire(&server->guests, clock_now_ns()))
        return;
    (void)uv_timer_stop(timer); /* cannot fail */
    look_for_end(server);
}

static void stop_watching_death(struct connection *connection)
{
    if (connection->has_death)
        (void)uv_poll_stop(&connection->death); /* before its descriptor is closed; cannot fail */
}

/* The connection has ended, or is ended for what came over it. */
static void end_connection(struct connection *connection)
{
    struct server *server = connection->server;

    stop_watching_death(connection);
    if (connection->guest) {
        guests_lose(&server->guests, connection->guest, clock_now_ns());
        (void)uv_timer_start(&server->expiry, on_expiry, 1, EXPIRY_MS);
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
        guests_leave(&connection->server->guests, connection->guest);
    look_for_end(connection->server);
    connection->guest = NULL;
    close_connection(connection);
}

static void watch_death(struct connection *connection)
{
    connection->death.data = connection;
    if (uv_poll_init(&connection->server->loop, &connection->death, connection->guest->pid_fd) < 0)
        return; /* the end of its socket tells as well, a little later */
    connection->has_death = true;
    connection->open_handles++;
    (void)uv_poll_start(&connection->death, UV_READABLE,
                        on_guest_death); /* fails for misuse only */
}

/* --- HELLO --- */

/* The ledger that a former supervisor's guests bring; all have to bring the same. */
static int adopt_ledger(struct server *server, int fd)
{
    struct err err;
    int rc = shm_map(&server->ledger_memory, fd, ledger_size(), true, &err);

    if (!rc)
        rc = ledger_open(&server->guests.ledger, server->ledger_memory, &err);
    if (rc < 0) {
        log_warn("'%s': a process brought a ledger that is none: %s", server->tenant.name,
                 err.text);
        shm_unmap(server->ledger_memory, ledger_size());
        server->ledger_memory = NULL;
        return rc;
    }
    server->guests.ledger_fd = dup(fd); /* made close-on-exec below; nothing is executed here */
    guests_reap_dead_rows(&server->guests);
    return server->guests.ledger_fd < 0 ? -errno : 0;
}

static int make_ledger(struct server *server, struct err *err)
{
    int fd = shm_create(&server->ledger_memory, "vgpu-ledger", ledger_size(), false, err);

    if (fd < 0)
        return fd;
    server->guests.ledger = ledger_init(server->ledger_memory);
    server->guests.ledger_fd = fd;
    return 0;
}

static int need_ledger(struct server *server, const struct sock_fds *fds)
{
    struct err err;

    if (server->guests.ledger)
        return 0;
    return fds->count == 2 ? adopt_ledger(server, fds->values[1]) : make_ledger(server, &err);
}

static int on_guest_hello(struct connection *connection, const struct sock_fds *fds)
{
    struct server *server = connection->server;

    if (need_ledger(server, fds) < 0)
        return -EPROTO;
    connection->guest =
        guests_join(&server->guests, connection->fd, connection->peer.pid, fds->count == 2);
    if (!connection->guest)
        return -ECONNRESET; /* gone already, or guests_join() has said what is wrong */
    watch_death(connection);
    return 0;
}

static int on_peer_hello(struct connection *connection)
{
    struct message_welcome message = {.status = 0};

    message_init(&message, MESSAGE_WELCOME, sizeof(message));
    connection->is_peer = true;
    return sock_send(connection->fd, &message, sizeof(message), &connection->server->control_fd, 1);
}

static int on_hello(struct connection *connection, const struct message_hello *hello,
                    const struct sock_fds *fds)
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

/* --- clients --- */

static int reply(const struct connection *connection, int status, const char *text)
{
    struct message_reply message = {.status = status};

    message_init(&message, MESSAGE_REPLY, sizeof(message));
    (void)str_format(message.text, sizeof(message.text), "%s", text); /* cut at worst */
    return sock_send(connection->fd, &message, sizeof(message), NULL, 0);
}

static void apply_quotas(struct server *server)
{
    for (uint32_t i = 0; i < server->tenant.gpu_count; i++) {
        const struct tenant_quota *quota = &server->tenant.quotas[i];
        struct controller_quota part = {quota->cap_milli_percent, quota->weight,
                                        (enum region_priority)quota->priority};

        store_relaxed(&server->control->gpus[i].memory_limit_bytes, quota->memory_bytes);
        controller_set_quota(server->controller, i, &part);
    }
}

static int on_set(struct connection *connection, const struct message_set *set)
{
    struct server *server = connection->server;
    struct err err = {0};
    int rc = tenant_change(&server->tenant, set, &err);

    if (rc < 0)
        return reply(connection, rc, err.text);
    apply_quotas(server);
    log_info("tenant '%s': process %d changed its limits", server->tenant.name,
             (int)connection->peer.pid);
    rc = tenant_save(&server->tenant, server->state_path, &err);
    if (rc < 0)
        (void)err_wrap(&err, "the change holds, but is lost with this supervisor");
    return reply(connection, rc, err.text);
}

static int on_status(const struct connection *connection)
{
    struct server *server = connection->server;
    struct status_source source = {
        .tenant = &server->tenant, .guests = &server->guests, .controller = server->controller};
    int rc = status_send(connection->fd, &source);

    return rc < 0 ? rc : reply(connection, 0, "");
}

static int dispatch(struct connection *connection, int type, const void *message,
                    struct sock_fds *fds)
{
    if (type == MESSAGE_HELLO)
        return on_hello(connection, message, fds);
    if (connection->guest)
        return guests_take(&connection->server->guests, connection->guest, message,
                           fds->count ? TAKE_FD(fds->values[0]) : -1);
    if (connection->is_peer)
        return -EPROTO;
    if (type == MESSAGE_SET)
        return on_set(connection, message);
    return type == MESSAGE_STATUS ? on_status(connection) : -EPROTO;
}

/* Returns whether there may be more. */
static bool receive_one(struct connection *connection)
{
    union {
        struct message_header header;
        char bytes[MESSAGE_SIZE_MAX];
    } message;
    struct sock_fds fds = {.count = 2};
    ssize_t length = sock_receive(connection->fd, &message, sizeof(message), &fds, 0);
    int type, rc;

    if (length == -EAGAIN)
        return false;
    type = length > 0 ? message_check(&message, (size_t)length) : -ECONNRESET;
    rc = type < 0 ? type : dispatch(connection, type, &message, &fds);
    for (size_t i = 0; length > 0 && i < fds.count; i++)
        attr_close(&fds.values[i]);
    if (rc >= 0)
        return true;
    /* Not where it is only gone. */
    if ((length == -EMSGSIZE || (length > 0 && rc == -EPROTO)) &&
        guests_may_complain(&connection->server->guests))
        log_warn("process %d sent '%s' what is no message of version %u; its connection is ended",
                 (int)connection->peer.pid, connection->server->tenant.name, MESSAGE_VERSION);
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

static void open_connection(struct server *server, int fd, const struct sock_peer *peer)
{
    struct connection *connection = calloc(1, sizeof(*connection));

    if (!connection || uv_poll_init(&server->loop, &connection->poll, fd) < 0) {
        attr_close(&fd);
        free(connection);
        return;
    }
    connection->server = server;
    connection->fd = fd;
    connection->peer = *peer;
    connection->open_handles = 1;
    connection->poll.data = connection;
    connection->death.data = connection;
    list_append(&server->connections, &connection->node);
    server->connection_count++;
    (void)uv_poll_start(&connection->poll, UV_READABLE | UV_DISCONNECT, on_readable);
}

static bool is_welcome(const struct server *server, const struct sock_peer *peer)
{
    uint32_t count = 0;

    if ((peer->uid != geteuid() && peer->uid != 0) || server->connection_count >= CONNECTIONS_MAX)
        return false;
    LIST_EACH(node, &server->connections)
    count += CONTAINER_OF(node, struct connection, node)->peer.pid == peer->pid;
    return count < OF_ONE_MOST;
}

static void on_connect(uv_poll_t *handle, int status, int events)
{
    struct server *server = handle->data;
    int fd;

    (void)status;
    (void)events;
    while ((fd = accept4(server->config->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >=
           0) {
        struct sock_peer peer;

        if (sock_get_peer(&peer, fd, NULL) < 0 || !is_welcome(server, &peer))
            attr_close(&fd);
        else
            open_connection(server, fd, &peer);
    }
}

/* --- the front and the command --- */

int server_tell(int front_fd, enum server_word word, const char *text)
{
    struct server_message message = {.word = (int32_t)word};

    if (front_fd < 0)
        return -ENOTCONN;
    (void)str_format(message.text, sizeof(message.text), "%s", text); /* cut at worst */
    return sock_send(front_fd, &message, sizeof(message), NULL, 0);
}

static void on_command_end(uv_poll_t *handle, int status, int events)
{
    struct server *server = handle->data;

    (void)status;
    (void)events;
    (void)uv_poll_stop(handle);
    attr_close(&server->command_fd);
    server->tenant.command_pid = 0;
    look_for_end(server);
}

static void watch_command(struct server *server, pid_t pid)
{
    struct err err;

    server->command_fd = process_open(pid);
    server->knows_command = true;
    server->tenant.command_pid = pid;
    if (process_start_time(pid, &server->tenant.command_start_time) < 0)
        server->tenant.command_pid = 0;
    if (tenant_save(&server->tenant, server->state_path, &err) < 0)
        log_warn("%s", err.text);
    if (server->command_fd < 0) {
        look_for_end(server); /* it has ended already, and its front leaves in a moment */
        return;
    }
    server->command.data = server;
    if (uv_poll_init(&server->loop, &server->command, server->command_fd) == 0)
        (void)uv_poll_start(&server->command, UV_READABLE, on_command_end);
}

static void on_front(uv_poll_t *handle, int status, int events)
{
    struct server *server = handle->data;
    struct server_message message;
    ssize_t length =
        status < 0 ? 0 : sock_receive(server->config->front_fd, &message, sizeof(message), NULL, 0);

    (void)events;
    if (length == -EAGAIN)
        return;
    if (length == sizeof(message) && message.word == SERVER_COMMAND && server->command_fd < 0)
        watch_command(server, message.pid);
    if (length <= 0) {
        (void)uv_poll_stop(handle); /* the front is gone: we go on without */
        server->is_front_open = false;
    }
}

/* --- the controller's events, and time --- */

static void on_event(uv_poll_t *handle, int status, int events)
{
    struct server *server = handle->data;
    bool is_wanted = controller_wants_armed(server->controller);
    uint64_t count;

    (void)status;
    (void)events;
    if (read(controller_event_fd(server->controller), &count, sizeof(count)) < 0)
        return;
    if (is_wanted != server->guests.is_arming)
        guests_arm(&server->guests, is_wanted);
    for (uint32_t i = 0; i < server->tenant.gpu_count; i++) {
        struct controller_state state;

        controller_get_state(server->controller, i, &state);
        if (state.engine != REGION_ENGINE_MEMORY_ONLY || server->has_warned_engine)
            continue;
        server->has_warned_engine = true;
        server->tenant.engine = REGION_ENGINE_MEMORY_ONLY;
        store_relaxed(&server->control->engine, REGION_ENGINE_MEMORY_ONLY);
        if (server_tell(server->config->front_fd, SERVER_WARNING, WORDS_INERT) < 0)
            log_warn("%s", WORDS_INERT);
    }
}

static void end(struct server *server)
{
    if (server->is_ending)
        return;
    server->is_ending = true;
    uv_stop(&server->loop);
}

/* The tenant lives as long as its command, a connected process, or one that was started in it. */
static void on_tick(uv_timer_t *timer)
{
    struct server *server = timer->data;

    if (server->command_fd >= 0 || server->is_ending)
        return;
    if (server->is_front_open && !server->knows_command)
        return; /* the front has not yet started it */
    if (!server->guests.count && !process_has_tenant(server->control_path))
        end(server);
}

/* --- begin and end --- */

static int make_control_page(struct server *server, struct err *err)
{
    void *memory;
    int fd = shm_create(&memory, "vgpu-control", sizeof(*server->control), true, err);

    if (fd < 0)
        return fd;
    server->control_fd = fd;
    server->control = memory;
    server->control->magic = REGION_MAGIC;
    server->control->version = REGION_VERSION;
    server->control->length = sizeof(*server->control);
    server->control->gpu_count = server->tenant.gpu_count;
    (void)str_format(server->control->name, sizeof(server->control->name), "%s",
                     server->tenant.name); /* same size */
    store_relaxed(&server->control->on_loss, server->tenant.on_loss);
    store_relaxed(&server->control->engine, server->tenant.engine);
    store_relaxed(&server->control->generation, server->tenant.generation);
    store_relaxed(&server->control->supervisor_pid, (uint64_t)getpid());
    for (uint32_t i = 0; i < server->tenant.gpu_count; i++) {
        struct region_gpu *gpu = &server->control->gpus[i];
        const struct gpus_card *card = &server->tenant.cards[i];

        (void)str_format(gpu->uuid, sizeof(gpu->uuid), "%s", card->uuid); /* same size */
        gpu->device_instance = card->device_instance;
        gpu->nvml_index = card->nvml_index;
        gpu->minor = card->minor;
        gpu->is_allowed = server->tenant.quotas[i].is_allowed;
        gpu->card_bytes = card->memory_bytes;
    }
    return 0;
}

static int open_ledger(struct server *server, struct err *err)
{
    int rc;

    if (server->config->ledger_fd < 0)
        return 0; /* an adopter's comes with the first guest */
    rc = shm_map(&server->ledger_memory, server->config->ledger_fd, ledger_size(), true, err);
    if (rc < 0)
        return rc;
    server->guests.ledger_fd = server->config->ledger_fd;
    if (!server->config->is_successor) {
        server->guests.ledger = ledger_init(server->ledger_memory);
        return 0;
    }
    rc = ledger_open(&server->guests.ledger, server->ledger_memory, err);
    if (!rc)
        guests_reap_dead_rows(&server->guests);
    return rc;
}

static int start_controller(struct server *server, struct err *err)
{
    const struct gpus_card *cards[REGION_GPUS_MAX];
    int rc;

    for (uint32_t i = 0; i < server->tenant.gpu_count; i++)
        cards[i] = &server->tenant.cards[i];
    rc = controller_new(&server->controller, server->control, cards, err);
    if (rc < 0)
        return rc;
    guests_init(&server->guests, server->control, server->controller);
    server->guests.control_fd = server->control_fd;
    apply_quotas(server);
    return 0;
}

static void watch(struct server *server, uv_poll_t *poll, int fd, uv_poll_cb callback)
{
    poll->data = server;
    if (fd >= 0 && uv_poll_init(&server->loop, poll, fd) == 0)
        (void)uv_poll_start(poll, UV_READABLE, callback); /* fails for misuse only */
}

static void start_loop(struct server *server)
{
    watch(server, &server->listener, server->config->listen_fd, on_connect);
    watch(server, &server->front, server->config->front_fd, on_front);
    watch(server, &server->events, controller_event_fd(server->controller), on_event);
    server->is_front_open = server->config->front_fd >= 0;
    (void)uv_timer_init(&server->loop, &server->tick); /* cannot fail */
    server->tick.data = server;
    (void)uv_timer_init(&server->loop, &server->expiry);
    server->expiry.data = server;
    (void)uv_timer_start(&server->tick, on_tick, TICK_MS, TICK_MS);
    if (server->config->is_successor && server->tenant.command_pid) {
        uint64_t start_time;
        pid_t pid = server->tenant.command_pid;

        if (process_start_time(pid, &start_time) == 0 &&
            start_time == server->tenant.command_start_time)
            watch_command(server, pid);
    }
}

static int begin(struct server *server, struct err *err)
{
    const struct runtime *runtime = server->config->runtime;
    int rc;

    list_init(&server->connections);
    server->command_fd = -1;
    server->knows_command = server->tenant.command_start_time != 0;
    server->tenant.generation++;
    rc = runtime_path(runtime, server->tenant.name, "state", server->state_path, err);
    if (!rc)
        rc = runtime_path(runtime, server->tenant.name, "control", server->control_path, err);
    if (!rc)
        rc = make_control_page(server, err);
    if (!rc)
        rc = start_controller(server, err);
    if (!rc)
        rc = open_ledger(server, err);
    /* On a full disk what was written last still holds, but for the generation. */
    if (!rc && tenant_save(&server->tenant, server->state_path, err) < 0)
        log_info("tenant '%s': %s", server->tenant.name, err->text);
    if (!rc && uv_loop_init(&server->loop) < 0)
        rc = err_say(err, EIO, "the event loop does not start");
    return rc;
}

int server_run(const struct server_config *config, struct err *err)
{
    struct server *server = calloc(1, sizeof(*server));
    int rc;

    if (!server)
        return err_set(err, ENOMEM, "allocate the supervisor");
    server->config = config;
    server->tenant = config->tenant;
    rc = begin(server, err);
    if (!rc)
        rc = peers_new(&server->peers, &server->loop, config->runtime, server->tenant.name,
                       server->controller, err);
    if (rc < 0)
        return rc; /* the process ends with this: nothing is freed one by one */
    start_loop(server);
    if (server_tell(config->front_fd, SERVER_READY, "") < 0)
        log_debug("tenant '%s' has no front any more", server->tenant.name);
    log_info("tenant '%s' has its supervisor number %u", server->tenant.name,
             server->tenant.generation);
    (void)uv_run(&server->loop, UV_RUN_DEFAULT);
    log_info("tenant '%s' has no process left", server->tenant.name);
    controller_free(server->controller); /* puts every channel back */
    runtime_remove(config->runtime, server->tenant.name);
    return 0;
}
