/*
 * The libFuzzer target of what the daemon reads over sockets: ipc/message, and what
 * hypervisor/control_socket takes from callers, and talk and keeper_status from supervisors.
 *
 * The input is a list of steps: a caller sends a packet, or the supervisor of the one tenant `t`
 * does, either hangs up, a request is done late. What the requests are to bring about is not done.
 * Afterwards no descriptor is left open.
 */
#include "hypervisor/control_socket.h"
#include "hypervisor/node_state.h"
#include "hypervisor/request.h"
#include "hypervisor/requests.h"
#include "hypervisor/standalone.h"
#include "tests/fuzz/scratch.h"
#include "utils/closer.h"
#include "utils/sock.h"
#include "utils/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PENDING_MAX 64
#define TURNS       3 /* of the loop, in which all that follows of one packet is done */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
void __wrap_requests_do(struct node *node, struct request *request);

struct input {
    const uint8_t *bytes;
    size_t left;
};

static struct node node;
static struct keeper keeper;
static struct keeper_status status;
static struct control_socket *control;
static const char *control_path, *supervisor_path;
static struct request *pending[PENDING_MAX];
static size_t pending_count;
static int listen_fd, supervisor_fd = -1, caller_fd = -1, some_fd;
static bool is_late;

static uint8_t next(struct input *input)
{
    if (!input->left)
        return 0;
    input->left--;
    return *input->bytes++;
}

/* --- the daemon's side --- */

static void finish(struct request *request)
{
    request->status = request->limits.weight % 2 ? -EINVAL : 0;
    (void)str_format(request->words, sizeof(request->words), "words"); /* fits */
    request->done(request);
}

static void finish_all(void)
{
    while (pending_count)
        finish(pending[--pending_count]);
}

/* What the linker has called instead of requests_do(). */
void __wrap_requests_do(struct node *asked, struct request *request)
{
    if (asked != &node || !memchr(request->name, '\0', sizeof(request->name)))
        abort();
    if (request->kind == REQUEST_CREATE && request->on_loss != REGION_OPEN &&
        request->on_loss != REGION_CLOSED)
        abort();
    if (request->front_fd >= 0)
        (void)close(request->front_fd);
    if (request->queued && is_late)
        request->queued(request, "wait");
    if (is_late && pending_count < PENDING_MAX)
        pending[pending_count++] = request;
    else
        finish(request);
}

static void take_news(void *context, const struct message_header *message)
{
    if (!keeper_status_take(&status, message))
        return;
    if (status.gpu_count > REGION_GPUS_MAX || status.process_count > status.process_room ||
        !memchr(status.tenant.name, '\0', sizeof(status.tenant.name)))
        abort();
    for (uint32_t i = 0; i < status.process_count; i++)
        if (!memchr(status.processes[i].comm, '\0', sizeof(status.processes[i].comm)))
            abort();
}

static void run_loop(void)
{
    for (int i = 0; i < TURNS; i++)
        (void)uv_run(&node.loop, UV_RUN_NOWAIT);
}

/* --- the peers --- */

static void hang_up(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

static void accept_supervisor(void)
{
    int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0)
        return;
    hang_up(&supervisor_fd);
    supervisor_fd = fd;
}

/* What the daemon says is well formed, whoever it is said to. */
static void hear(int fd)
{
    char message[MESSAGE_SIZE_MAX];
    ssize_t length;

    while (fd >= 0 && (length = recv(fd, message, sizeof(message), MSG_DONTWAIT)) > 0)
        if (message_check(message, (size_t)length) < 0)
            abort();
}

static void call(void)
{
    if (caller_fd < 0 && sock_connect(&caller_fd, control_path, 100, NULL) < 0)
        abort();
}

#define SIZE_OF(type, what) [type] = sizeof(struct what)
static const size_t sizes[MESSAGE_TYPE_END] = {
    SIZE_OF(MESSAGE_STATUS, message_header),
    SIZE_OF(MESSAGE_STATUS_TENANT, message_status_tenant),
    SIZE_OF(MESSAGE_STATUS_PROCESS, message_status_process),
    SIZE_OF(MESSAGE_STATUS_GPU, message_status_gpu),
    SIZE_OF(MESSAGE_SET, message_set),
    SIZE_OF(MESSAGE_REPLY, message_reply),
    SIZE_OF(MESSAGE_EXPLAIN, message_header),
    SIZE_OF(MESSAGE_EXPLAINED, message_explained),
    SIZE_OF(MESSAGE_WATCH, message_header),
    SIZE_OF(MESSAGE_END, message_end),
    SIZE_OF(MESSAGE_LIST, message_header),
    SIZE_OF(MESSAGE_NAME, message_name),
    SIZE_OF(MESSAGE_SELECT, message_name),
    SIZE_OF(MESSAGE_CREATE, message_create),
    SIZE_OF(MESSAGE_CREATED, message_created),
    SIZE_OF(MESSAGE_RELOAD, message_header),
};

/* A type, a number of bytes, and those: the last one is repeated up to the message's end. */
static void send_packet(struct input *input, int fd)
{
    union {
        struct message_header header;
        uint8_t bytes[MESSAGE_SIZE_MAX];
    } packet;
    uint8_t type = next(input), count = next(input), fd_count = (type >> 5) & 3;
    const int fds[] = {some_fd, some_fd, some_fd};
    size_t length, begin = sizeof(packet.header);

    type &= 31;
    length = type < MESSAGE_TYPE_END && sizes[type] ? sizes[type] : count;
    memset(&packet, 0, sizeof(packet));
    if (type && type < MESSAGE_TYPE_END)
        message_init(&packet, (enum message_type)type, length);
    else
        begin = 0; /* all of it is the input's, header too */
    for (size_t i = begin; i < length; i++)
        packet.bytes[i] = i - begin < count ? next(input) : packet.bytes[i - 1];
    if (fd >= 0 && length)
        (void)!sock_send(fd, &packet, length, fds, fd_count);
}

static void step(struct input *input)
{
    uint8_t what = next(input);

    is_late = what & 8;
    call();
    accept_supervisor();
    switch (what & 7) {
    case 0:
    case 1:
        send_packet(input, caller_fd);
        break;
    case 2:
    case 3:
        send_packet(input, supervisor_fd);
        break;
    case 4:
        (void)!talk_watch(keeper.line);
        break;
    case 5:
        hang_up(&supervisor_fd);
        break;
    case 6:
        hang_up(&caller_fd);
        break;
    default:
        finish_all();
        break;
    }
    run_loop();
    accept_supervisor();
    hear(caller_fd);
    hear(supervisor_fd);
}

/* --- the beginning --- */

static void start(void)
{
    struct err err;

    control_path = scratch_path("control");
    supervisor_path = scratch_path("supervisor");
    (void)str_format(node.runtime.base, sizeof(node.runtime.base), "%s", scratch_folder());
    list_init(&node.keepers);
    list_init(&node.waiting);
    some_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (some_fd < 0 || uv_loop_init(&node.loop) ||
        standalone_new(&node.standalone, &node.loop, node.runtime.base, &err) < 0 ||
        control_socket_new(&control, &node, &err) < 0 ||
        sock_listen(&listen_fd, supervisor_path, &err) < 0)
        abort();
    (void)str_format(keeper.tenant.name, sizeof(keeper.tenant.name), "t");
    list_append(&node.keepers, &keeper.node);
}

static int lowest_free_fd(void)
{
    int fd = dup(some_fd);

    (void)close(fd);
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct talk_config config = {.loop = &node.loop, .on_news = take_news};
    int before;

    if (!control)
        start();
    before = lowest_free_fd();
    config.path = supervisor_path;
    keeper.line = talk_new(&config);
    if (!keeper.line)
        abort();
    keeper_status_reset(&status);
    while (input.left)
        step(&input);
    hang_up(&caller_fd);
    finish_all();
    run_loop();
    talk_close(keeper.line);
    run_loop();
    accept_supervisor();
    hang_up(&supervisor_fd);
    while (closer_count(geteuid()))
        (void)usleep(100); /* what was sent is closed by a thread */
    if (pending_count || lowest_free_fd() != before)
        abort();
    return 0;
}
