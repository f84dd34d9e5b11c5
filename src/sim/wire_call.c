#include "sim/wire_call.h"

#include "utils/atomics.h"
#include "utils/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CONNECTIONS_MAX 64
/* Above what careless programs use, and in the table of 64 that each process begins with. */
#define FD_MIN          44
#define REPLY_PARTS_MAX (WIRE_CALL_PARTS_MAX + 1)

/* Whoever has is_taken owns the rest; nothing here is waited for. */
struct connection {
    _Atomic bool is_taken;
    bool is_open;
    int fd;
    pid_t pid;   /* of who connected: another's connection is not ours to use */
    ino_t inode; /* the fd is ours only while it still has this */
};

static struct {
    pthread_once_t once;
    struct sockaddr_un address;
    bool is_simulated;
    struct connection connections[CONNECTIONS_MAX];
} state = {.once = PTHREAD_ONCE_INIT};

static bool is_same(const struct connection *connection)
{
    struct stat status;

    return fstat(connection->fd, &status) == 0 && S_ISSOCK(status.st_mode) &&
           status.st_ino == connection->inode;
}

static void drop(struct connection *connection)
{
    if (connection->is_open && is_same(connection))
        (void)close(connection->fd); /* there is nothing to do about a failure */
    connection->is_open = false;
}

/* A child holds its parent's connections open, and those threads that used them are not in it. */
static void forget_after_fork(void)
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        drop(&state.connections[i]);
        store_relaxed(&state.connections[i].is_taken, false);
    }
}

static void start(void)
{
    const char *path = getenv(WIRE_SOCKET_VARIABLE);

    if (!path || !path[0] || strlen(path) >= sizeof(state.address.sun_path))
        return;
    state.address.sun_family = AF_UNIX;
    memcpy(state.address.sun_path, path, strlen(path) + 1);
    state.is_simulated = pthread_atfork(NULL, NULL, forget_after_fork) == 0;
}

bool wire_call_is_possible(void)
{
    (void)pthread_once(&state.once, start); /* cannot fail with these arguments */
    return state.is_simulated;
}

/* -ENODEV: nobody listens. */
static int open_connection(struct connection *connection)
{
    struct stat status;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    int high;

    if (fd < 0)
        return -ENODEV;
    high = fcntl(fd, F_DUPFD_CLOEXEC, FD_MIN);
    if (high >= 0) {
        (void)close(fd); /* the duplicate is what we use */
        fd = high;
    }
    while (connect(fd, (const struct sockaddr *)&state.address, sizeof(state.address)) < 0) {
        if (errno != EINTR) {
            (void)close(fd); /* it leads nowhere */
            return -ENODEV;
        }
    }
    if (fstat(fd, &status) < 0) {
        (void)close(fd); /* it was taken from us */
        return -ENODEV;
    }
    connection->fd = fd;
    connection->inode = status.st_ino;
    connection->pid = getpid();
    connection->is_open = true;
    return 0;
}

/* Pairs with give(): what the last owner wrote is seen by the next. */
static struct connection *take(struct connection *spare)
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        bool is_taken = false;

        if (cas_ordered(&state.connections[i].is_taken, &is_taken, true))
            return &state.connections[i];
    }
    return spare; /* more threads at once than we keep connections: one for this call */
}

static void give(struct connection *connection, struct connection *spare)
{
    if (connection == spare)
        drop(connection);
    else
        store_release(&connection->is_taken, false); /* pairs with take() */
}

static int send_request(struct connection *connection, struct wire_call *call)
{
    struct iovec parts[1 + WIRE_CALL_PARTS_MAX] = {
        {.iov_base = &call->request, .iov_len = sizeof(call->request)},
    };
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 1 + (size_t)call->part_count};
    ssize_t size;

    memcpy(parts + 1, call->parts, (size_t)call->part_count * sizeof(*parts));
    do {
        call->request.sent_ns = clock_now_ns();
        size = sendmsg(connection->fd, &message, MSG_NOSIGNAL);
    } while (size < 0 && errno == EINTR);
    return size < 0 ? -errno : 0;
}

static int take_fd(struct msghdr *message)
{
    int fd = -1;

    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
         header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
            memcpy(&fd, CMSG_DATA(header), sizeof(fd));
    }
    return fd;
}

static int receive_reply(struct connection *connection, struct wire_call *call)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec parts[REPLY_PARTS_MAX] = {
        {.iov_base = &call->reply, .iov_len = sizeof(call->reply)},
    };
    struct msghdr message = {
        .msg_iov = parts,
        .msg_iovlen = 1 + (size_t)call->part_count,
        .msg_control = control.bytes,
        .msg_controllen = sizeof(control.bytes),
    };
    ssize_t size;

    memcpy(parts + 1, call->parts, (size_t)call->part_count * sizeof(*parts));
    if (call->rows.iov_len > 0) {
        parts[1] = call->rows;
        message.msg_iovlen = 2;
    }
    do
        size = recvmsg(connection->fd, &message, MSG_CMSG_CLOEXEC);
    while (size < 0 && errno == EINTR);
    if (size < 0)
        return errno == EFAULT ? -EFAULT : -ENODEV;
    call->fd = take_fd(&message);
    if (size < (ssize_t)sizeof(call->reply) || call->reply.magic != WIRE_MAGIC)
        return -ENODEV;
    return 0;
}

/* One attempt on a connection that is open and still ours; -EPIPE: worth another with a new one. */
static int exchange(struct connection *connection, struct wire_call *call)
{
    int rc = send_request(connection, call);

    if (rc == 0)
        return receive_reply(connection, call);
    if (rc == -EFAULT || rc == -EMSGSIZE)
        return rc;
    return -EPIPE;
}

static int ask_on(struct connection *connection, struct wire_call *call)
{
    int rc = -EPIPE;

    for (int attempt = 0; attempt < 2 && rc == -EPIPE; attempt++) {
        if (connection->is_open && (connection->pid != getpid() || !is_same(connection)))
            drop(connection);
        if (!connection->is_open && open_connection(connection) < 0)
            return -ENODEV;
        rc = exchange(connection, call);
        if (rc < 0 && rc != -EFAULT && rc != -EMSGSIZE)
            drop(connection);
    }
    return rc == -EPIPE ? -ENODEV : rc;
}

int wire_call_ask(struct wire_call *call)
{
    struct connection spare = {.fd = -1};
    struct connection *connection;
    size_t bytes = sizeof(call->request);
    int saved_errno = errno;
    int rc;

    call->fd = -1;
    if (!wire_call_is_possible())
        return -ENODEV;
    for (int i = 0; i < call->part_count; i++)
        bytes += call->parts[i].iov_len;
    if (bytes > WIRE_MESSAGE_MAX)
        return -EMSGSIZE;
    call->request.magic = WIRE_MAGIC;
    connection = take(&spare);
    rc = ask_on(connection, call);
    give(connection, &spare);
    errno = saved_errno;
    return rc;
}

int wire_call_query(uint32_t query, uint32_t index, void *rows, size_t bytes)
{
    struct wire_call call = {
        .request = {.kind = WIRE_QUERY, .query = query, .index = index},
        .rows = {.iov_base = rows, .iov_len = bytes},
    };
    int rc = wire_call_ask(&call);

    if (rc < 0)
        return rc;
    attr_close(&call.fd);
    if (call.reply.error != 0)
        return -(int)call.reply.error;
    return call.reply.args_bytes <= bytes ? (int)call.reply.count : -EMSGSIZE;
}

void wire_call_sync(uint32_t index)
{
    struct wire_call call = {.request = {.kind = WIRE_SYNC, .index = index}};

    if (wire_call_ask(&call) == 0)
        attr_close(&call.fd);
}
