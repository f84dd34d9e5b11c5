#include "supervisor/guests.h"

#include "rm/control.h"
#include "supervisor/controller.h"
#include "supervisor/process.h"
#include "utils/clock.h"
#include "utils/log.h"
#include "utils/sock.h"
#include "utils/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define COMPLAINTS_MAX 20
#define TOLD_MAX       100 /* processes that come or go, in a span */
#define TELLING_NS     (10 * NS_PER_SEC)

void guests_init(struct guests *guests, struct region_control *control,
                 struct controller *controller)
{
    *guests = (struct guests){
        .ledger_fd = -1, .control_fd = -1, .control = control, .controller = controller};
    list_init(&guests->head);
}

bool guests_may_complain(struct guests *guests)
{
    if (guests->complaint_count == COMPLAINTS_MAX)
        return false;
    guests->complaint_count++;
    return true;
}

/* Programs that start and end as fast as they can do not fill the log. */
static void tell_coming(struct guests *guests, const struct guest *guest, const char *word)
{
    uint64_t now_ns = clock_now_ns();

    if (now_ns >= guests->telling_since_ns + TELLING_NS) {
        if (guests->untold_count)
            log_info("processes joined or left '%s' %u times more", guests->control->name,
                     guests->untold_count);
        guests->told_count = 0;
        guests->untold_count = 0;
        guests->telling_since_ns = now_ns;
    }
    if (guests->told_count == TOLD_MAX) {
        guests->untold_count++;
        return;
    }
    guests->told_count++;
    log_info("process %d (%s) %s '%s'", (int)guest->pid, guest->comm, word, guests->control->name);
}

/* --- coming --- */

static void reap_row(struct guests *guests, const struct ledger_row *row)
{
    int rc = ledger_reap(guests->ledger, row);

    if (rc < 0 && rc != -ESTALE && guests_may_complain(guests))
        log_warn("the ledger's row %u is not freed: %d", row->index, rc);
}

/* The guest with a connection that stands, or is not yet seen to have ended, whose row it is. */
static struct guest *find_holder(const struct guests *guests, const struct ledger_row *row)
{
    LIST_EACH(node, &guests->head)
    {
        struct guest *guest = CONTAINER_OF(node, struct guest, node);

        if (guest->socket_fd >= 0 && guest->has_row && guest->row.index == row->index &&
            guest->row.stamp == row->stamp)
            return guest;
    }
    return NULL;
}

/* Rows that a process with this pid had before: it comes again, or an earlier image left them. */
static bool find_rows(struct guests *guests, pid_t pid, uint64_t start_time, bool is_again,
                      struct ledger_row *ret_row)
{
    bool found = false;

    for (uint32_t i = 0; i < LEDGER_ROWS_MAX; i++) {
        struct ledger_owner owner;
        struct guest *holder;

        if (!ledger_get_owner(guests->ledger, i, &owner) || owner.pid != pid)
            continue;
        holder = find_holder(guests, &owner.row);
        if (is_again && !found && owner.start_time == start_time) {
            *ret_row = owner.row;
            found = true;
            if (holder)
                holder->has_row = false; /* it goes over */
        } else if (!holder) { /* a second connection gives nothing back of the first one's */
            reap_row(guests, &owner.row);
        }
    }
    return found;
}

static int attach(struct guests *guests, struct guest *guest, bool is_again)
{
    uint64_t start_time;
    int rc = process_start_time(guest->pid, &start_time);

    if (rc < 0)
        return rc;
    if (!find_rows(guests, guest->pid, start_time, is_again, &guest->row))
        rc = ledger_attach(guests->ledger, guest->pid, start_time, &guest->row);
    guest->has_row = rc == 0;
    return rc;
}

static int welcome(struct guests *guests, const struct guest *guest, int status)
{
    const int fds[] = {guests->control_fd, guests->ledger_fd};
    struct message_welcome message = {.status = status};

    message_init(&message, MESSAGE_WELCOME, sizeof(message));
    message.row = guest->row.index;
    message.pid_stamp = guest->row.stamp;
    return sock_send(guest->socket_fd, &message, sizeof(message), fds, status ? 0 : 2);
}

static void send_arm(const struct guests *guests, const struct guest *guest)
{
    struct message_arm message = {.is_armed = guests->is_arming, .nonce = guests->nonce};

    message_init(&message, MESSAGE_ARM, sizeof(message));
    /* Where it does not arrive, the guest stays unarmed and is never switched off. */
    if (sock_send(guest->socket_fd, &message, sizeof(message), NULL, 0) < 0)
        log_debug("process %d was not told of leases", (int)guest->pid);
}

static void free_clients(struct guest *guest, int fd)
{
    for (uint32_t i = guest->client_count; i-- > 0;) {
        struct guest_client *client = &guest->clients[i];
        uint32_t status;

        if (client->fd != fd)
            continue;
        /* A forked child may hold the same open file: then only this gives its memory back. */
        if (control_free(client->fd, client->handle, client->handle, &status) < 0)
            log_debug("client 0x%x of process %d: free: status 0x%x", client->handle,
                      (int)guest->pid, status);
        *client = guest->clients[--guest->client_count];
    }
}

static void add_counters(struct message_counters *sum, const struct message_counters *one)
{
    sum->rm_calls += one->rm_calls;
    sum->rm_unparsed += one->rm_unparsed;
    sum->refusals += one->refusals;
    sum->messages_dropped += one->messages_dropped;
    sum->guard_enables += one->guard_enables;
}

static void close_files(struct guests *guests, struct guest *guest, bool is_freeing)
{
    for (size_t i = 0; i < GUEST_FILES_MAX; i++) {
        struct guest_file *file = &guest->files[i];

        if (file->fd < 0)
            continue;
        controller_remove_process(guests->controller, guest->pid, file->fd);
        if (is_freeing)
            free_clients(guest, file->fd);
        attr_close(&file->fd);
    }
}

static void forget(struct guests *guests, struct guest *guest)
{
    tell_coming(guests, guest, "left");
    add_counters(&guests->gone, &guest->counters);
    list_remove(&guest->node);
    guests->count--;
    attr_close(&guest->pid_fd);
    free(guest);
}

/* What is left of a former connection of the process that says HELLO now. */
static void settle_former(struct guests *guests, pid_t pid, bool is_again)
{
    LIST_EACH_SAFE(node, following, &guests->head)
    {
        struct guest *former = CONTAINER_OF(node, struct guest, node);

        if (former->pid != pid || former->socket_fd >= 0)
            continue;
        if (is_again) {
            close_files(guests, former, false);
            forget(guests, former); /* its row goes over to the new connection */
        } else {
            guests_leave(guests, former);
        }
    }
}

struct guest *guests_join(struct guests *guests, int socket_fd, int pid_fd, pid_t pid,
                          bool is_again)
{
    struct guest *guest = calloc(1, sizeof(*guest));
    int rc;

    if (!guest) {
        attr_close(&pid_fd);
        return NULL;
    }
    if (pid_fd >= 0)
        settle_former(guests, pid, is_again);
    guest->pid = pid;
    guest->socket_fd = socket_fd;
    guest->pid_fd = pid_fd;
    list_init(&guest->node);
    process_comm(pid, guest->comm, sizeof(guest->comm));
    for (size_t i = 0; i < GUEST_FILES_MAX; i++)
        guest->files[i].fd = -1;
    rc = guest->pid_fd < 0 ? guest->pid_fd : attach(guests, guest, is_again);
    if (rc < 0 && guests_may_complain(guests))
        log_warn("process %d of '%s' gets no row in the memory ledger: %d", (int)pid,
                 guests->control->name, rc);
    if (welcome(guests, guest, rc) < 0 || rc < 0) {
        if (guest->has_row)
            reap_row(guests, &guest->row);
        attr_close(&guest->pid_fd);
        free(guest);
        return NULL;
    }
    list_append(&guests->head, &guest->node);
    guests->count++;
    tell_coming(guests, guest, "joined");
    if (guests->is_arming)
        send_arm(guests, guest);
    return guest;
}

/* --- telling --- */

static struct guest_file *find_file(struct guest *guest, uint64_t id)
{
    for (size_t i = 0; i < GUEST_FILES_MAX; i++)
        if (guest->files[i].fd >= 0 && guest->files[i].id == id)
            return &guest->files[i];
    return NULL;
}

static void forget_clients(struct guest *guest, int fd)
{
    for (uint32_t i = guest->client_count; i-- > 0;)
        if (guest->clients[i].fd == fd)
            guest->clients[i] = guest->clients[--guest->client_count];
}

static void drop_file(struct guests *guests, struct guest *guest, struct guest_file *file)
{
    controller_remove_process(guests->controller, guest->pid, file->fd);
    forget_clients(guest, file->fd);
    attr_close(&file->fd);
    guest->file_count--;
}

/* A guest can send as many as it likes: the log is not to be filled with them. */
static void say_too_much(struct guests *guests, struct guest *guest, const char *what)
{
    if (!guest->is_too_much_said && guests_may_complain(guests))
        log_warn("process %d of '%s' has more %s than can be governed; the rest are not",
                 (int)guest->pid, guests->control->name, what);
    guest->is_too_much_said = true;
}

static int take_file(struct guests *guests, struct guest *guest, const struct message_file *message,
                     int fd)
{
    struct guest_file *file = find_file(guest, message->file_id);

    if (fd < 0)
        return -EPROTO;
    if (file)
        drop_file(guests, guest, file); /* told anew: after a lost connection */
    for (size_t i = 0; i < GUEST_FILES_MAX; i++)
        if (guest->files[i].fd < 0) {
            guest->files[i] = (struct guest_file){.id = message->file_id, .fd = fd};
            guest->file_count++;
            return 0;
        }
    attr_close(&fd);
    say_too_much(guests, guest, "files of the driver");
    return 0;
}

static void note_client(struct guest *guest, int fd, uint32_t handle)
{
    for (uint32_t i = 0; i < guest->client_count; i++)
        if (guest->clients[i].fd == fd && guest->clients[i].handle == handle)
            return;
    if (guest->client_count < GUEST_CLIENTS_MAX)
        guest->clients[guest->client_count++] = (struct guest_client){.fd = fd, .handle = handle};
}

static int take_object(struct guests *guests, struct guest *guest,
                       const struct message_channel *message)
{
    const struct guest_file *file = find_file(guest, message->file_id);
    int slot = region_find_device(guests->control, message->device_instance), rc;
    struct controller_object object = {
        .pid = guest->pid,
        .client = message->client,
        .subdevice = message->subdevice,
        .group = message->group,
        .channel = message->channel,
        .engine = message->engine,
    };

    if (!file || slot < 0)
        return 0; /* of a file that was one too many, or of a GPU that came later */
    object.fd = file->fd;
    object.slot = (uint32_t)slot;
    note_client(guest, file->fd, message->client);
    rc = controller_add(guests->controller, &object);
    if (rc == -ENOSPC)
        say_too_much(guests, guest, "channels");
    guest->has_objects = true;
    return 0;
}

static int take_group(struct guests *guests, struct guest *guest,
                      const struct message_group *message)
{
    struct message_channel object = {
        .file_id = message->file_id,
        .client = message->client,
        .device_instance = message->device_instance,
        .subdevice = message->subdevice,
        .group = message->group,
        .engine = message->engine,
    };

    return take_object(guests, guest, &object);
}

static int take_freed(struct guests *guests, struct guest *guest,
                      const struct message_freed *message)
{
    const struct guest_file *file = find_file(guest, message->file_id);

    if (!file)
        return 0;
    controller_remove(guests->controller, guest->pid, file->fd, message->client, message->object);
    for (uint32_t i = guest->client_count; i-- > 0 && message->object == message->client;)
        if (guest->clients[i].fd == file->fd && guest->clients[i].handle == message->client)
            guest->clients[i] = guest->clients[--guest->client_count];
    return 0;
}

static int take_closed(struct guests *guests, struct guest *guest,
                       const struct message_file *message)
{
    struct guest_file *file = find_file(guest, message->file_id);

    if (file)
        drop_file(guests, guest, file); /* ours was the last but for a child's */
    return 0;
}

static int take_armed(struct guests *guests, struct guest *guest, const struct message_arm *message)
{
    if (message->nonce != guests->nonce)
        return 0; /* an answer to what is past */
    guest->is_armed = message->is_armed && guests->is_arming;
    controller_set_armed(guests->controller, guest->pid, guest->is_armed);
    return 0;
}

int guests_take(struct guests *guests, struct guest *guest, const void *message, int fd)
{
    const struct message_header *header = message;

    if (header->type == MESSAGE_FILE)
        return take_file(guests, guest, message, fd);
    attr_close(&fd); /* nothing else carries one */
    switch (header->type) {
    case MESSAGE_GROUP:
        return take_group(guests, guest, message);
    case MESSAGE_CHANNEL:
        return take_object(guests, guest, message);
    case MESSAGE_FREED:
        return take_freed(guests, guest, message);
    case MESSAGE_CLOSED:
        return take_closed(guests, guest, message);
    case MESSAGE_ARMED:
        return take_armed(guests, guest, message);
    case MESSAGE_COUNTERS:
        memcpy(&guest->counters, message, sizeof(guest->counters));
        return 0;
    default:
        return -EPROTO;
    }
}

/* --- going --- */

static bool has_other_connection(const struct guests *guests, const struct guest *guest)
{
    LIST_EACH(node, &guests->head)
    {
        const struct guest *other = CONTAINER_OF(node, struct guest, node);

        if (other != guest && other->pid == guest->pid)
            return true;
    }
    return false;
}

void guests_lose(struct guests *guests, struct guest *guest, uint64_t now_ns)
{
    for (size_t i = 0; i < GUEST_FILES_MAX; i++)
        if (guest->files[i].fd >= 0)
            controller_remove_process(guests->controller, guest->pid, guest->files[i].fd);
    if (!has_other_connection(guests, guest))
        controller_set_armed(guests->controller, guest->pid, false);
    guest->socket_fd = -1;
    guest->is_armed = false;
    guest->lost_ns = now_ns;
}

void guests_leave(struct guests *guests, struct guest *guest)
{
    close_files(guests, guest, true);
    if (!has_other_connection(guests, guest))
        controller_remove_process(guests->controller, guest->pid, -1);
    if (guest->has_row)
        reap_row(guests, &guest->row);
    forget(guests, guest);
}

bool guests_expire(struct guests *guests, uint64_t now_ns)
{
    bool is_any_lost = false;

    LIST_EACH_SAFE(node, following, &guests->head)
    {
        struct guest *guest = CONTAINER_OF(node, struct guest, node);

        if (guest->socket_fd >= 0)
            continue;
        if (process_has_ended(guest->pid_fd) || now_ns > guest->lost_ns + GUEST_LOST_NS)
            guests_leave(guests, guest);
        else
            is_any_lost = true;
    }
    return is_any_lost;
}

void guests_arm(struct guests *guests, bool is_arming)
{
    guests->is_arming = is_arming;
    guests->nonce++;
    LIST_EACH(node, &guests->head)
    {
        struct guest *guest = CONTAINER_OF(node, struct guest, node);

        if (!is_arming) {
            guest->is_armed = false;
            controller_set_armed(guests->controller, guest->pid, false);
        }
        if (guest->socket_fd >= 0)
            send_arm(guests, guest);
    }
}

void guests_reap_dead_rows(struct guests *guests)
{
    for (uint32_t i = 0; i < LEDGER_ROWS_MAX; i++) {
        struct ledger_owner owner;
        uint64_t start_time;

        if (!ledger_get_owner(guests->ledger, i, &owner))
            continue;
        if (process_start_time(owner.pid, &start_time) == 0 && start_time == owner.start_time)
            continue;
        reap_row(guests, &owner.row);
    }
}
