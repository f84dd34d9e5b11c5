#include "sim/connection.h"

#include "sim/kernel.h"
#include "sim/service.h"
#include "sim/storage.h"
#include "sim/wire.h"
#include "utils/clock.h"
#include "utils/sock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define ROUND_MAX     128               /* requests of one round */
#define SENT_AGE_NS   UINT64_C(5000000) /* an older stamp than this is not believed */
#define AT_ONCE_NS    UINT64_C(10000)   /* a timer would not be on time for less */
#define FAULT_MAX     128
#define DOORBELLS_MAX 256

enum connection_state { STATE_IDLE, STATE_READY, STATE_ANSWERED, STATE_DEAD };

struct connection {
    struct connection_source source;
    struct list node;
    enum connection_state state;
    int fd;
    uint32_t pid, uid;
    size_t received; /* bytes of the request in buffer */
    struct wire_request request;
    struct wire_reply reply;
    uint64_t due_ns;
    int reply_fd;          /* goes with the reply, -1: none */
    bool is_reply_fd_ours; /* and is closed after */
    uint8_t buffer[WIRE_MESSAGE_MAX];
};

struct device_file {
    struct connection_source source;
    struct list node;
    struct open_file *file;
    int fd;
    bool is_closed;
};

#define BLOBS(connection) ((connection)->buffer + sizeof(struct wire_request))
#define BLOBS_MAX         (WIRE_MESSAGE_MAX - sizeof(struct wire_request))

void connections_init(struct connections *connections, struct machine *machine, int epoll_fd)
{
    *connections = (struct connections){.machine = machine, .epoll_fd = epoll_fd};
    list_init(&connections->processes);
    list_init(&connections->files);
}

bool connections_is_empty(const struct connections *connections)
{
    return list_is_empty(&connections->processes) && list_is_empty(&connections->files);
}

void connections_want_look(struct connections *connections)
{
    connections->is_look_wanted = true;
}

static int watch(const struct connections *connections, int fd, void *source)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = source};

    return epoll_ctl(connections->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

void connections_add(struct connections *connections, int fd)
{
    struct connection *connection = calloc(1, sizeof(*connection));
    struct sock_peer peer;

    if (!connection || sock_get_peer(&peer, fd, NULL) < 0 ||
        watch(connections, fd, connection) < 0) {
        free(connection);
        attr_close(&fd);
        return;
    }
    connection->source.kind = CONNECTION_PROCESS;
    connection->fd = fd;
    connection->pid = (uint32_t)peer.pid;
    connection->uid = peer.uid;
    connection->reply_fd = -1;
    list_append(&connections->processes, &connection->node);
}

static void drop_reply_fd(struct connection *connection)
{
    if (connection->is_reply_fd_ours)
        attr_close(&connection->reply_fd);
    connection->reply_fd = -1;
    connection->is_reply_fd_ours = false;
}

static void free_connection(struct connection *connection)
{
    drop_reply_fd(connection);
    attr_close(&connection->fd);
    list_remove(&connection->node);
    free(connection);
}

static void free_file(struct connections *connections, struct device_file *file)
{
    machine_close_file(connections->machine, file->file);
    attr_close(&file->fd);
    list_remove(&file->node);
    free(file);
}

void connections_fini(struct connections *connections)
{
    LIST_EACH_SAFE(node, following, &connections->processes)
    free_connection(CONTAINER_OF(node, struct connection, node));
    LIST_EACH_SAFE(node, following, &connections->files)
    free_file(connections, CONTAINER_OF(node, struct device_file, node));
}

static void read_request(struct connection *connection)
{
    ssize_t size = recv(connection->fd, connection->buffer, sizeof(connection->buffer),
                        MSG_DONTWAIT | MSG_TRUNC);

    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    /* The end, a second request before the answer to the first, or nothing that we could answer. */
    if (size < (ssize_t)sizeof(connection->request) || size > (ssize_t)sizeof(connection->buffer) ||
        connection->state != STATE_IDLE) {
        connection->state = STATE_DEAD;
        return;
    }
    connection->received = (size_t)size;
    memcpy(&connection->request, connection->buffer, sizeof(connection->request));
    connection->state = connection->request.magic == WIRE_MAGIC ? STATE_READY : STATE_DEAD;
}

static void read_doorbells(struct connections *connections, struct device_file *file,
                           uint32_t events)
{
    struct epoll_event none = {.data.ptr = &file->source};
    ssize_t size = 1;
    char byte;

    for (int i = 0; i < DOORBELLS_MAX && size > 0; i++) {
        size = recv(file->fd, &byte, sizeof(byte), MSG_DONTWAIT);
        connections->is_look_wanted = true;
    }
    /* Shut down for writing by a program: readable for ever. Its end we still hear. */
    if (size == 0)
        (void)epoll_ctl(connections->epoll_fd, EPOLL_CTL_MOD, file->fd, &none);
    if (events & (EPOLLHUP | EPOLLERR))
        file->is_closed = true;
}

void connections_ready(struct connections *connections, struct connection_source *source,
                       uint32_t events)
{
    if (source->kind == CONNECTION_PROCESS)
        read_request(CONTAINER_OF(source, struct connection, source));
    else
        read_doorbells(connections, CONTAINER_OF(source, struct device_file, source), events);
}

static uint32_t add_file(struct connections *connections, struct connection *connection,
                         const struct open_file *template)
{
    struct device_file *file = calloc(1, sizeof(*file));
    struct open_file copy = *template;
    int fds[2] = {-1, -1};
    struct stat status;

    if (!file)
        return ENOMEM;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0 ||
        fstat(fds[1], &status) < 0 || watch(connections, fds[0], file) < 0) {
        attr_close(&fds[0]);
        attr_close(&fds[1]);
        free(file);
        return EMFILE;
    }
    copy.inode = status.st_ino;
    copy.pid = connection->pid;
    copy.uid = connection->uid;
    if (machine_add_file(connections->machine, &file->file, &copy) < 0) {
        attr_close(&fds[0]);
        attr_close(&fds[1]);
        free(file);
        return ENOMEM;
    }
    file->source.kind = CONNECTION_FILE;
    file->fd = fds[0];
    list_append(&connections->files, &file->node);
    connection->reply_fd = fds[1];
    connection->is_reply_fd_ours = true;
    return 0;
}

static uint32_t do_open(struct connections *connections, struct connection *connection)
{
    const struct wire_request *request = &connection->request;
    struct open_file template = {0};
    const struct board *board;

    switch (request->node) {
    case WIRE_NODE_CONTROL:
        template.kind = MACHINE_CONTROL;
        break;
    case WIRE_NODE_UVM:
        template.kind = MACHINE_UVM;
        break;
    case WIRE_NODE_GPU:
        template.kind = MACHINE_GPU;
        template.board = request->index;
        board = machine_board(connections->machine, request->index);
        if (!board || board->is_lost)
            return board ? EIO : ENODEV;
        break;
    default:
        return EINVAL;
    }
    return add_file(connections, connection, &template);
}

static uint32_t do_ioctl(struct connections *connections, struct connection *connection)
{
    const struct wire_request *request = &connection->request;
    struct machine *machine = connections->machine;
    struct kernel_call call = {
        .machine = machine,
        .file = machine_find_file(machine, request->file),
        .pid = connection->pid,
        .uid = connection->uid,
        .now_ns = clock_now_ns(),
        .nr = _IOC_NR(request->request),
        .args_bytes = request->args_bytes,
        .params_bytes = request->params_bytes,
        .nested_bytes = request->nested_bytes,
    };
    uint8_t *blobs = BLOBS(connection);

    if (!call.file)
        return WIRE_NOT_OURS;
    if ((uint64_t)call.args_bytes + call.params_bytes + call.nested_bytes !=
        connection->received - sizeof(*request))
        return EINVAL;
    if (request->other_file != 0)
        call.other = machine_find_file(machine, request->other_file);
    call.when_ns = request->sent_ns > call.now_ns ? call.now_ns : request->sent_ns;
    if (call.now_ns - call.when_ns > SENT_AGE_NS)
        call.when_ns = call.now_ns;
    call.args = blobs;
    call.params = call.params_bytes > 0 ? blobs + call.args_bytes : NULL;
    call.nested = call.nested_bytes > 0 ? blobs + call.args_bytes + call.params_bytes : NULL;
    kernel_ioctl(&call);
    connection->due_ns = call.due_ns;
    connection->reply.args_bytes = call.args_bytes;
    connection->reply.params_bytes = call.params_bytes;
    connection->reply.nested_bytes = call.nested_bytes;
    return call.error;
}

static uint32_t do_mmap(struct connections *connections, struct connection *connection)
{
    const struct wire_request *request = &connection->request;
    struct open_file *file = machine_find_file(connections->machine, request->file);
    struct kernel_mapping mapping = {
        .offset = request->offset,
        .bytes = request->length,
        .is_writable = request->is_writable != 0,
    };
    int fd;

    if (!file)
        return WIRE_NOT_OURS;
    fd = kernel_mmap(file, &mapping);
    if (fd < 0)
        return (uint32_t)-fd;
    connection->reply_fd = fd;
    connection->reply.value = mapping.offset;
    return 0;
}

static uint32_t do_sync(struct connections *connections, struct connection *connection)
{
    uint64_t now_ns = clock_now_ns();
    const struct board *board = machine_board(connections->machine, connection->request.index);

    machine_advance(connections->machine, now_ns);
    if (!board)
        return ENODEV;
    connection->reply.value = board_clock_ns(board, now_ns);
    return board->is_lost ? EIO : 0;
}

static uint32_t do_fault(struct connections *connections, struct connection *connection)
{
    uint32_t size = connection->request.args_bytes;
    char text[FAULT_MAX] = {0};

    if (size >= sizeof(text) || size != connection->received - sizeof(connection->request))
        return EINVAL;
    memcpy(text, BLOBS(connection), size);
    machine_advance(connections->machine, clock_now_ns());
    return machine_set_fault(connections->machine, text, NULL) == 0 ? 0 : EINVAL;
}

static void serve(struct connections *connections, struct connection *connection)
{
    struct wire_reply *reply = &connection->reply;

    *reply = (struct wire_reply){.magic = WIRE_MAGIC};
    connection->due_ns = 0;
    connection->state = STATE_ANSWERED;
    switch (connection->request.kind) {
    case WIRE_OPEN:
        reply->error = do_open(connections, connection);
        break;
    case WIRE_IOCTL:
        reply->error = do_ioctl(connections, connection);
        break;
    case WIRE_MMAP:
        reply->error = do_mmap(connections, connection);
        break;
    case WIRE_SYNC:
        reply->error = do_sync(connections, connection);
        break;
    case WIRE_QUERY:
        machine_advance(connections->machine, clock_now_ns());
        service_answer(connections->machine, &connection->request, reply, BLOBS(connection),
                       BLOBS_MAX);
        break;
    case WIRE_FAULT:
        reply->error = do_fault(connections, connection);
        break;
    default:
        reply->error = EINVAL;
        break;
    }
}

static void send_reply(struct connection *connection)
{
    const struct wire_reply *reply = &connection->reply;
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec parts[] = {
        {.iov_base = &connection->reply, .iov_len = sizeof(*reply)},
        {.iov_base = BLOBS(connection),
         .iov_len = (size_t)reply->args_bytes + reply->params_bytes + reply->nested_bytes},
    };
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = ARRAY_LENGTH(parts)};

    if (connection->reply_fd >= 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof(control.bytes);
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&control.header), &connection->reply_fd, sizeof(int));
    }
    /* A peer that does not take its one answer is gone, or plays with us. */
    connection->state = sendmsg(connection->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0
                            ? STATE_DEAD
                            : STATE_IDLE;
    drop_reply_fd(connection);
}

static int compare_sent(const void *a, const void *b)
{
    const struct connection *const *first = a, *const *second = b;
    uint64_t first_ns = (*first)->request.sent_ns, second_ns = (*second)->request.sent_ns;

    return (first_ns > second_ns) - (first_ns < second_ns);
}

static void serve_requests(struct connections *connections)
{
    struct connection *ready[ROUND_MAX] = {NULL};
    size_t count = 0;

    LIST_EACH(node, &connections->processes)
    {
        struct connection *connection = CONTAINER_OF(node, struct connection, node);

        if (connection->state == STATE_READY && count < ROUND_MAX)
            ready[count++] = connection;
    }
    qsort(ready, count, sizeof(ready) / ROUND_MAX, compare_sent);
    for (size_t i = 0; i < count; i++) {
        serve(connections, ready[i]);
        if (ready[i]->due_ns <= clock_now_ns() + AT_ONCE_NS)
            send_reply(ready[i]);
    }
}

static void close_files(struct connections *connections, uint64_t now_ns)
{
    LIST_EACH_SAFE(node, following, &connections->files)
    {
        struct device_file *file = CONTAINER_OF(node, struct device_file, node);

        if (!file->is_closed)
            continue;
        /* What the dead have used until now is on their account. */
        machine_advance(connections->machine, now_ns);
        free_file(connections, file);
        connections->is_look_wanted = true;
    }
}

void connections_serve(struct connections *connections, uint64_t now_ns)
{
    serve_requests(connections);
    close_files(connections, now_ns);
    if (connections->is_look_wanted)
        machine_advance(connections->machine, clock_now_ns());
    connections->is_look_wanted = false;
    now_ns = clock_now_ns();
    LIST_EACH_SAFE(node, following, &connections->processes)
    {
        struct connection *connection = CONTAINER_OF(node, struct connection, node);

        if (connection->state == STATE_ANSWERED && connection->due_ns <= now_ns + AT_ONCE_NS)
            send_reply(connection);
        if (connection->state == STATE_DEAD)
            free_connection(connection);
    }
}

uint64_t connections_due_ns(const struct connections *connections)
{
    uint64_t due_ns = UINT64_MAX;

    LIST_EACH(node, &connections->processes)
    {
        const struct connection *connection = CONTAINER_OF(node, struct connection, node);

        if (connection->state == STATE_READY)
            return 1; /* left over from a full round */
        if (connection->state == STATE_ANSWERED && connection->due_ns < due_ns)
            due_ns = connection->due_ns;
    }
    return due_ns;
}
