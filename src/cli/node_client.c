#include "cli/node_client.h"

#include "utils/atomics.h"
#include "utils/clock.h"
#include "utils/log.h"
#include "utils/sock.h"
#include "utils/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONNECT_MS 500
#define ANSWER_MS  2000
#define CREATE_MS  15000 /* so long a supervisor may take to begin on a busy machine */
#define SILENCE_NS (5 * NS_PER_SEC)
#define NODE_BASE  "/run/vgpu"

static struct {
    _Atomic uint64_t silent_ns; /* when it did not answer; relaxed: it guards no other data */
} state;

union packet {
    struct message_header header;
    struct message_name name;
    struct message_reply reply;
    struct message_created created;
    char bytes[MESSAGE_SIZE_MAX];
};

static int no_daemon(struct err *err)
{
    return err_say(err, ENOENT, "there is no daemon (vgpu-hypervisor) on this machine");
}

const char *node_client_base(void)
{
    const char *given = getenv("VGPU_RUNTIME_DIR");

    return given && *given ? given : NODE_BASE;
}

/* Nobody waits for it twice within that time, and one late answer is not held against it after. */
static bool is_silent(void)
{
    uint64_t silent_ns = load_relaxed(&state.silent_ns);

    return silent_ns && clock_now_ns() - silent_ns < SILENCE_NS;
}

int node_client_connect(int *ret_fd, struct err *err)
{
    CLEANUP_CLOSE int fd = -1;
    struct sock_peer peer;
    char path[112];

    if (is_silent() || !str_format(path, sizeof(path), "%s/control", node_client_base()) ||
        sock_connect(&fd, path, CONNECT_MS, NULL) < 0)
        return no_daemon(err);
    /* Of a listening socket these are of whoever listened. */
    if (sock_get_peer(&peer, fd, err) < 0 || (peer.uid != 0 && peer.uid != geteuid()))
        return no_daemon(err);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* The type of what came; an error with words. */
static int receive(int fd, union packet *packet, int timeout_ms, struct err *err)
{
    ssize_t length = sock_receive(fd, packet, sizeof(*packet), NULL, timeout_ms);
    int type;

    if (length == -EAGAIN)
        return err_say(err, EAGAIN, "the daemon does not answer");
    if (length <= 0)
        return err_say(err, ECONNRESET, "the daemon ended the connection");
    type = message_check(packet, (size_t)length);
    return type < 0 ? err_say(err, EPROTO, "the daemon is of another version") : type;
}

static int ask(int fd, const void *message, size_t size, struct err *err)
{
    int rc = sock_send(fd, message, size, NULL, 0);

    return rc < 0 ? err_set(err, -rc, "ask the daemon") : 0;
}

static int wait_reply(int fd, struct err *err)
{
    union packet packet;
    int type = receive(fd, &packet, ANSWER_MS, err);

    if (type == -EAGAIN)
        store_relaxed(&state.silent_ns, clock_now_ns());
    if (type < 0)
        return type;
    if (type != MESSAGE_REPLY)
        return err_say(err, EPROTO, "the daemon answered something else");
    return packet.reply.status < 0 ? err_say(err, -packet.reply.status, "%s", packet.reply.text)
                                   : 0;
}

int node_client_select(int *ret_fd, const char *name, struct err *err)
{
    struct message_name message;
    CLEANUP_CLOSE int fd = -1;
    int rc = node_client_connect(&fd, err);

    if (rc < 0)
        return rc;
    message_init(&message, MESSAGE_SELECT, sizeof(message));
    if (!str_format(message.name, sizeof(message.name), "%s", name))
        return err_say(err, ENOENT, "there is no tenant '%s'", name);
    rc = ask(fd, &message, sizeof(message), err);
    if (!rc)
        rc = wait_reply(fd, err);
    if (rc < 0)
        return rc;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int node_client_create(int fd, const struct message_create *create, int *front_fd,
                       struct message_created *ret_created, struct err *err)
{
    CLEANUP_CLOSE int front = TAKE_FD(*front_fd);
    union packet packet;
    int rc = sock_send(fd, create, sizeof(*create), &front, 1);

    if (rc < 0)
        return err_set(err, -rc, "ask the daemon for a tenant");
    rc = receive(fd, &packet, CREATE_MS, err);
    if (rc == MESSAGE_REPLY && packet.reply.status == -EAGAIN) {
        log_warn("waiting for room: %s (vgpu ps shows who has it)", packet.reply.text);
        rc = receive(fd, &packet, -1, err);
    }
    if (rc < 0)
        return rc;
    if (rc != MESSAGE_CREATED)
        return err_say(err, EPROTO, "the daemon answered something else");
    packet.created.name[sizeof(packet.created.name) - 1] = '\0';
    packet.created.control_path[sizeof(packet.created.control_path) - 1] = '\0';
    packet.created.visible[sizeof(packet.created.visible) - 1] = '\0';
    if (packet.created.status < 0)
        return err_say(err, -packet.created.status, "%s", packet.created.text);
    *ret_created = packet.created;
    return 0;
}

int node_client_list(node_client_visit *visit, void *context, struct err *err)
{
    struct message_header message;
    CLEANUP_CLOSE int fd = -1;
    union packet packet;
    int rc = node_client_connect(&fd, err);

    if (rc < 0)
        return rc;
    message_init(&message, MESSAGE_LIST, sizeof(message));
    rc = ask(fd, &message, sizeof(message), err);
    while (!rc) {
        rc = receive(fd, &packet, ANSWER_MS, err);
        if (rc == MESSAGE_NAME)
            visit(context, packet.name.name);
        else if (rc == MESSAGE_REPLY)
            return 0;
        else if (rc == -EAGAIN)
            store_relaxed(&state.silent_ns, clock_now_ns());
        rc = rc < 0 ? rc : 0;
    }
    return rc;
}

int node_client_reload(struct err *err)
{
    struct message_header message;
    CLEANUP_CLOSE int fd = -1;
    int rc = node_client_connect(&fd, err);

    message_init(&message, MESSAGE_RELOAD, sizeof(message));
    if (!rc)
        rc = ask(fd, &message, sizeof(message), err);
    return rc ? rc : wait_reply(fd, err);
}
