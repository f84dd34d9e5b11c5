#include "supervisor/server.h"

#include "ipc/ledger.h"
#include "supervisor/connections.h"
#include "supervisor/controller.h"
#include "supervisor/guests.h"
#include "supervisor/peers.h"
#include "supervisor/process.h"
#include "supervisor/runtime.h"
#include "utils/atomics.h"
#include "utils/closer.h"
#include "utils/log.h"
#include "utils/shm.h"
#include "utils/sock.h"
#include "utils/str.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#define UNSURE_MS 20 /* where a process was just executing a program */
#define TICK_MS   500
#define END_MS    5000 /* after SIGTERM, before SIGKILL */

#define WORDS_INERT                                                                                \
    "the GPU's scheduler does not obey on this machine: compute limits have no effect, the "       \
    "memory limit holds (see vgpu doctor)"

struct server {
    const struct server_config *config;
    struct tenant tenant;
    char state_path[RUNTIME_PATH_MAX], control_path[RUNTIME_PATH_MAX];
    uv_loop_t loop;
    uv_poll_t front, command, events;
    uv_timer_t tick, ending;
    int command_fd; /* pidfd of the command; -1: it has ended, or none is known */
    struct region_control *control;
    int control_fd;
    struct controller *controller;
    struct guests guests;
    struct peers *peers;
    struct connections connections;
    bool has_warned_engine, is_ending, is_end_asked, is_killed, is_front_open, knows_command;
};

/* --- the front and the command --- */

int server_tell(int front_fd, enum server_word word, const char *text)
{
    struct server_message message = {.word = (int32_t)word};

    if (front_fd < 0)
        return -ENOTCONN;
    (void)str_format(message.text, sizeof(message.text), "%s", text); /* cut at worst */
    return sock_send(front_fd, &message, sizeof(message), NULL, 0);
}

/* A process has left: whether the tenant has ended is looked at now and not at the next tick. */
static void look_for_end(void *context)
{
    struct server *server = context;

    if (server->command_fd < 0)
        (void)uv_timer_start(&server->tick, server->tick.timer_cb, 0, TICK_MS); /* cannot fail */
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
    uint64_t start_time;

    server->command.data = server;
    server->command_fd = process_open(pid);
    if (server->command_fd >= 0 && (process_start_time(pid, &start_time) < 0 ||
                                    start_time != server->tenant.command_start_time))
        attr_close(&server->command_fd); /* another has its number by now */
    if (server->command_fd < 0)
        look_for_end(server); /* it has ended already, and its front leaves in a moment */
    else if (uv_poll_init(&server->loop, &server->command, server->command_fd) == 0)
        (void)uv_poll_start(&server->command, UV_READABLE, on_command_end);
}

/*
 * The number is a front's word, and of its own pid namespace: it is the command's where that is the
 * front's child and the tenant's user's.
 */
static bool is_command(const struct server *server, pid_t pid)
{
    struct sock_peer front;
    uid_t uid;

    return sock_get_peer(&front, server->config->front_fd, NULL) == 0 && front.pid > 0 &&
           process_parent(pid) == front.pid && process_user(pid, &uid) == 0 &&
           uid == server->tenant.uid;
}

static void take_command(struct server *server, pid_t pid)
{
    struct err err;

    /* Whether it is there is asked last: a short command may end, and be reaped, in between. */
    if (!is_command(server, pid) && process_parent(pid) >= 0) {
        log_debug("tenant '%s': %d is not its command", server->tenant.name, (int)pid);
        return; /* it lives as long as its front, then, and as what joins it */
    }
    server->knows_command = true;
    server->tenant.command_pid = pid;
    if (process_start_time(pid, &server->tenant.command_start_time) < 0)
        server->tenant.command_pid = 0;
    if (tenant_save(&server->tenant, server->state_path, &err) < 0)
        log_warn("%s", err.text);
    watch_command(server, pid);
}

static void on_front(uv_poll_t *handle, int status, int events)
{
    struct server *server = handle->data;
    struct server_message message;
    struct sock_fds none = {.close = closer_close, .uid = server->tenant.uid};
    ssize_t length =
        status < 0 ? 0
                   : sock_receive(server->config->front_fd, &message, sizeof(message), &none, 0);

    (void)events;
    if (length == -EAGAIN)
        return;
    if (length == sizeof(message) && message.word == SERVER_COMMAND && !server->knows_command)
        take_command(server, message.pid);
    if (length <= 0) {
        (void)uv_poll_stop(handle); /* the front is gone: we go on without */
        server->is_front_open = false;
    }
}

/* --- the controller's events, and time --- */

static void on_event(uv_poll_t *handle, int status, int events)
{
    struct server *server = handle->data;
    uint64_t count;
    bool is_wanted;

    (void)status;
    (void)events;
    if (read(controller_event_fd(server->controller), &count, sizeof(count)) < 0)
        return;
    /* What changes from here on raises the event anew. */
    is_wanted = controller_wants_armed(server->controller);
    if (is_wanted != server->guests.is_arming)
        guests_arm(&server->guests, is_wanted);
    for (uint32_t i = 0; i < server->tenant.gpu_count; i++) {
        struct controller_state state;

        controller_get_state(server->controller, i, &state);
        if (state.engine != REGION_ENGINE_MEMORY_ONLY || server->has_warned_engine)
            continue;
        connections_tell(&server->connections);
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
    enum process_presence presence;

    if (server->is_ending || (server->command_fd >= 0 && !server->is_killed))
        return;
    if (server->is_front_open && !server->knows_command && !server->is_end_asked)
        return; /* the front has not yet started it */
    if (server->tenant.is_kept)
        return;
    if (server->guests.count)
        return;
    presence = process_find_tenant(server->control_path);
    if (presence == PROCESS_ABSENT)
        end(server);
    else if (presence == PROCESS_UNSURE) /* a front waits for our end, but not for long */
        (void)uv_timer_start(&server->tick, on_tick, UNSURE_MS, TICK_MS);
}

/* What was started in it, and what has joined it by other ways: as its user might by himself. */
static void signal_all(const struct server *server, int number)
{
    uid_t uid = server->tenant.uid;

    process_signal_tenant(server->control_path, uid, number);
    LIST_EACH(node, &server->guests.head)
    {
        const struct guest *guest = CONTAINER_OF(node, struct guest, node);

        (void)!process_signal_of(guest->pid_fd, guest->pid, uid, number);
    }
    if (server->command_fd >= 0)
        (void)!process_signal_of(server->command_fd, server->tenant.command_pid, uid, number);
}

static void on_ending(uv_timer_t *timer)
{
    struct server *server = timer->data;

    signal_all(server, SIGKILL);
    server->is_killed =
        true; /* what is left of the command is not ours to end, or ends by itself */
}

static int on_end_asked(void *context, bool is_forced)
{
    struct server *server = context;
    bool has_processes =
        server->command_fd >= 0 || server->guests.count || process_has_tenant(server->control_path);
    struct err err;

    if (has_processes && !is_forced)
        return -EBUSY;
    server->is_end_asked = true;
    server->tenant.is_kept = false;
    /* A successor is not to keep it again. */
    if (tenant_save(&server->tenant, server->state_path, &err) < 0)
        log_warn("%s", err.text);
    log_info("tenant '%s' is ended", server->tenant.name);
    signal_all(server, SIGTERM);
    if (has_processes)
        (void)uv_timer_start(&server->ending, on_ending, END_MS, TICK_MS); /* cannot fail */
    look_for_end(server);
    return 0;
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
    void *memory;
    int rc;

    if (server->config->ledger_fd < 0)
        return 0; /* an adopter's comes with the first guest */
    rc = shm_map(&memory, server->config->ledger_fd, ledger_size(), true, err);
    if (rc < 0)
        return rc;
    server->guests.ledger_fd = server->config->ledger_fd;
    if (!server->config->is_successor) {
        server->guests.ledger = ledger_init(memory);
        return 0;
    }
    rc = ledger_open(&server->guests.ledger, memory, err);
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
    tenant_apply(&server->tenant, server->control, server->controller);
    return 0;
}

static void watch(struct server *server, uv_poll_t *poll, int fd, uv_poll_cb callback)
{
    poll->data = server;
    if (fd >= 0 && uv_poll_init(&server->loop, poll, fd) == 0)
        (void)uv_poll_start(poll, UV_READABLE, callback); /* fails for misuse only */
}

static void on_peer(void *context)
{
    const struct server *server = context;

    peers_look(server->peers);
}

static void start_connections(struct server *server)
{
    const struct connections_config config = {
        .loop = &server->loop,
        .listen_fd = server->config->listen_fd,
        .tenant = &server->tenant,
        .state_path = server->state_path,
        .control = server->control,
        .guests = &server->guests,
        .controller = server->controller,
        .on_departure = look_for_end,
        .on_peer = on_peer,
        .on_end = on_end_asked,
        .context = server,
    };

    connections_start(&server->connections, &config);
}

static void start_loop(struct server *server)
{
    start_connections(server);
    watch(server, &server->front, server->config->front_fd, on_front);
    watch(server, &server->events, controller_event_fd(server->controller), on_event);
    server->is_front_open = server->config->front_fd >= 0;
    (void)uv_timer_init(&server->loop, &server->tick); /* cannot fail */
    server->tick.data = server;
    (void)uv_timer_init(&server->loop, &server->ending);
    server->ending.data = server;
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

    server->command_fd = -1;
    server->knows_command = server->tenant.command_start_time != 0;
    server->tenant.generation++;
    server->tenant.supervisor_pid = getpid();
    rc = process_start_time(getpid(), &server->tenant.supervisor_start_time);
    if (rc < 0)
        return err_set(err, -rc, "read when this process began");
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

static int start_peers(struct server *server, struct err *err)
{
    const struct peers_config config = {
        .loop = &server->loop,
        .runtime = server->config->runtime,
        .own_name = server->tenant.name,
        .controller = server->controller,
    };

    return peers_new(&server->peers, &config, err);
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
        rc = start_peers(server, err);
    if (rc < 0)
        return rc; /* the process ends with this: nothing is freed one by one */
    start_loop(server);
    if (server_tell(config->front_fd, SERVER_READY, "") < 0)
        log_debug("tenant '%s' has no front any more", server->tenant.name);
    log_info("tenant '%s' has its supervisor number %u", server->tenant.name,
             server->tenant.generation);
    (void)uv_run(&server->loop, UV_RUN_DEFAULT);
    log_info("tenant '%s' has no process left", server->tenant.name);
    /*
     * And so no channel that could be off: nothing else is undone, since somebody waits for this
     * process to end.
     */
    runtime_remove(config->runtime, server->tenant.name);
    return 0;
}
