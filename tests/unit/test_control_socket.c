#include "tests/harness.h"
#include "tests/unit/node_world.h"
#include "tests/unit/observed_peer.h"

#include "hypervisor/standalone.h"
#include "utils/clock.h"
#include "utils/sock.h"
#include "utils/str.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOMEBODY 54321u

static struct node_world *world;

static union {
    struct message_header header;
    struct message_reply reply;
    struct message_name name;
    struct message_created created;
    struct message_status_tenant tenant;
    char bytes[MESSAGE_SIZE_MAX];
} got;

static void start(const char *behaviour)
{
    world = node_world_start(behaviour);
}

static int try_connect(void)
{
    char path[RUNTIME_PATH_MAX];
    int fd = -1;

    (void)str_format(path, sizeof(path), "%s/control", world->base);
    return sock_connect(&fd, path, 100, NULL) < 0 ? -1 : fd;
}

static int dial(void)
{
    int fd = try_connect();

    CHECK(fd >= 0);
    return fd;
}

/* As another user, where this one may be that. */
static int dial_as(uid_t uid)
{
    int fd;

    CHECK_EQ(seteuid(uid), 0);
    fd = dial();
    CHECK_EQ(seteuid(0), 0);
    return fd;
}

static bool is_readable(void *context)
{
    struct pollfd poll_fd = {.fd = *(int *)context, .events = POLLIN};

    return poll(&poll_fd, 1, 0) > 0;
}

/* The type of the next message, 0 where the connection was ended. */
static int receive(int fd)
{
    ssize_t length;

    if (!node_world_wait_for(is_readable, &fd))
        return -EAGAIN;
    memset(&got, 0x55, sizeof(got));
    length = sock_receive(fd, &got, sizeof(got), NULL, 0);
    return length <= 0 ? 0 : message_check(&got, (size_t)length);
}

/* 0 or the negative errno of the REPLY that is next. */
static int receive_reply(int fd)
{
    CHECK_EQ(receive(fd), MESSAGE_REPLY);
    return got.reply.status;
}

static void send_plain(int fd, enum message_type type)
{
    struct message_header message;

    message_init(&message, type, sizeof(message));
    CHECK_EQ(sock_send(fd, &message, sizeof(message), NULL, 0), 0);
}

static void send_select(int fd, const char *name)
{
    struct message_name message = {.name = ""};

    message_init(&message, MESSAGE_SELECT, sizeof(message));
    (void)str_format(message.name, sizeof(message.name), "%s", name);
    CHECK_EQ(sock_send(fd, &message, sizeof(message), NULL, 0), 0);
}

static struct message_create describe(const char *name, uint64_t memory_bytes)
{
    struct message_create message = {
        .gpu_mask = 1, .is_kept = 1, .fields = MESSAGE_SET_MEMORY, .memory_bytes = memory_bytes};

    message_init(&message, MESSAGE_CREATE, sizeof(message));
    (void)str_format(message.name, sizeof(message.name), "%s", name);
    return message;
}

static void send_create(int fd, const char *name, uint64_t memory_bytes, uint32_t queue_ms)
{
    struct message_create message = describe(name, memory_bytes);

    message.queue_ms = queue_ms;
    CHECK_EQ(sock_send(fd, &message, sizeof(message), NULL, 0), 0);
}

static int create(int fd, const char *name, uint64_t memory_bytes)
{
    send_create(fd, name, memory_bytes, 0);
    CHECK_EQ(receive(fd), MESSAGE_CREATED);
    return got.created.status;
}

static void send_set(int fd, uint64_t memory_bytes)
{
    struct message_set message = {
        .fields = MESSAGE_SET_MEMORY, .gpu_mask = UINT32_MAX, .memory_bytes = memory_bytes};

    message_init(&message, MESSAGE_SET, sizeof(message));
    CHECK_EQ(sock_send(fd, &message, sizeof(message), NULL, 0), 0);
}

static void run_for_ms(uint64_t span_ms)
{
    uint64_t end_ns = clock_now_ns() + span_ms * NS_PER_MS;

    while (clock_now_ns() < end_ns)
        (void)uv_run(node_loop(world->node), UV_RUN_ONCE);
}

/* Whether others are still served. */
static void check_service(void)
{
    int fd = dial();

    send_plain(fd, MESSAGE_LIST);
    while (receive(fd) == MESSAGE_NAME)
        ;
    CHECK_EQ(got.header.type, MESSAGE_REPLY);
    close(fd);
}

/* --- what it is for --- */

TEST(a_tenant_is_made_listed_chosen_asked_changed_and_ended)
{
    struct message_end end = {.is_forced = 0};
    char path[RUNTIME_PATH_MAX];
    int fd;

    start("answer");
    fd = dial();
    CHECK_EQ(create(fd, "a", 10 * GIB), 0);
    CHECK_STR_EQ(got.created.name, "a");
    CHECK_EQ(got.created.gpu_mask, 1);
    CHECK_STR_EQ(got.created.visible, "GPU-0");
    (void)str_format(path, sizeof(path), "%s/tenants/a/control", world->base);
    CHECK_STR_EQ(got.created.control_path, path);
    send_plain(fd, MESSAGE_LIST);
    CHECK_EQ(receive(fd), MESSAGE_NAME);
    CHECK_STR_EQ(got.name.name, "a");
    CHECK_EQ(receive_reply(fd), 0);
    send_select(fd, "nobody");
    CHECK_EQ(receive_reply(fd), -ENOENT);
    send_select(fd, "a");
    CHECK_EQ(receive_reply(fd), 0);
    send_plain(fd, MESSAGE_STATUS);
    CHECK_EQ(receive(fd), MESSAGE_STATUS_TENANT);
    while (receive(fd) != MESSAGE_REPLY)
        ;
    CHECK_EQ(got.reply.status, 0);
    send_set(fd, 20 * GIB);
    CHECK_EQ(receive_reply(fd), 0);
    send_set(fd, 81 * GIB);
    CHECK_EQ(receive_reply(fd), -EINVAL);
    message_init(&end, MESSAGE_END, sizeof(end));
    CHECK_EQ(sock_send(fd, &end, sizeof(end), NULL, 0), 0);
    CHECK_EQ(receive_reply(fd), 0);
    close(fd);
    node_world_stop();
}

TEST(all_gpus_are_visible_without_a_list)
{
    struct message_create message;
    int fd;

    start("answer");
    fd = dial();
    message = describe("a", GIB);
    message.gpu_mask = 3;
    CHECK_EQ(sock_send(fd, &message, sizeof(message), NULL, 0), 0);
    CHECK_EQ(receive(fd), MESSAGE_CREATED);
    CHECK_EQ(got.created.gpu_mask, 3);
    CHECK_STR_EQ(got.created.visible, "");
    close(fd);
    node_world_stop();
}

TEST(what_was_not_asked_of_anybody_is_answered_all_the_same)
{
    int fd;

    start("answer");
    fd = dial();
    send_plain(fd, MESSAGE_STATUS); /* nobody was chosen */
    CHECK_EQ(receive_reply(fd), -ENOENT);
    send_set(fd, GIB);
    CHECK_EQ(receive_reply(fd), -ENOENT);
    send_plain(fd, MESSAGE_RELOAD);
    CHECK_EQ(receive_reply(fd), 0);
    CHECK_EQ(world->reloads, 1);
    close(fd);
    node_world_stop();
}

TEST(nothing_of_the_daemon_s_memory_goes_with_a_name)
{
    int fd;

    start("answer");
    fd = dial();
    CHECK_EQ(create(fd, "a-name-that-is-longer-than-the-next", GIB), 0);
    CHECK_EQ(create(fd, "b", GIB), 0);
    send_plain(fd, MESSAGE_LIST);
    while (receive(fd) == MESSAGE_NAME) {
        size_t length = strlen(got.name.name), end = sizeof(got.name.name);

        if (str_equals(got.name.name, "b"))
            continue; /* what is behind it is the name before */
        for (size_t i = length; i < end; i++)
            CHECK_EQ(got.name.name[i], 0);
    }
    close(fd);
    node_world_stop();
}

TEST(a_wish_that_is_no_create_s_is_not_granted)
{
    struct message_create message;
    int fd;

    start("answer");
    fd = dial();
    message = describe("a", GIB);
    message.fields |= MESSAGE_SET_SUSPENDED | 0x80000000u;
    message.on_loss = 77;
    CHECK_EQ(sock_send(fd, &message, sizeof(message), NULL, 0), 0);
    CHECK_EQ(receive(fd), MESSAGE_CREATED);
    CHECK_EQ(got.created.status, 0);
    CHECK_EQ(node_find(world->node, "a")->tenant.is_suspended, 0);
    CHECK_EQ(node_find(world->node, "a")->tenant.on_loss, REGION_OPEN);
    close(fd);
    node_world_stop();
}

/* --- who asks --- */

TEST(everybody_may_ask_and_owns_what_they_made)
{
    char path[RUNTIME_PATH_MAX];
    struct stat status;
    int fd, root;

    if (geteuid() != 0)
        return; /* only root can be somebody else */
    start("answer");
    root = dial();
    CHECK_EQ(create(root, "root-s", GIB), 0);
    fd = dial_as(SOMEBODY);
    CHECK_EQ(create(fd, "mine", GIB), 0);
    CHECK_EQ(node_find(world->node, "mine")->tenant.uid, SOMEBODY);
    CHECK_EQ(stat(got.created.control_path, &status), 0);
    CHECK_EQ(status.st_uid, SOMEBODY);
    (void)str_format(path, sizeof(path), "%s/tenants/mine", world->base);
    CHECK_EQ(stat(path, &status), 0);
    CHECK_EQ(status.st_uid, 0);
    send_select(fd, "root-s");
    CHECK_EQ(receive_reply(fd), 0);
    send_set(fd, GIB / 2);
    CHECK_EQ(receive_reply(fd), -EPERM);
    send_select(fd, "mine");
    CHECK_EQ(receive_reply(fd), 0);
    send_set(fd, GIB / 2);
    CHECK_EQ(receive_reply(fd), 0);
    send_plain(fd, MESSAGE_RELOAD);
    CHECK_EQ(receive_reply(fd), -EPERM);
    CHECK_EQ(world->reloads, 0);
    close(fd);
    close(root);
    node_world_stop();
}

TEST(one_user_cannot_keep_the_others_out)
{
    int fds[65], count = 0, fd;

    if (geteuid() != 0)
        return;
    start("answer");
    while (count < 65)
        fds[count++] = dial_as(SOMEBODY);
    run_for_ms(1);
    send_plain(fds[63], MESSAGE_LIST);
    CHECK_EQ(receive_reply(fds[63]), 0);
    CHECK_EQ(receive(fds[64]), 0); /* ended */
    fd = dial_as(SOMEBODY + 1);
    send_plain(fd, MESSAGE_LIST);
    CHECK_EQ(receive_reply(fd), 0);
    close(fd);
    check_service();
    while (count)
        close(fds[--count]);
    node_world_stop();
}

/* --- who means no good --- */

TEST(garbage_ends_the_connection_and_nothing_else)
{
    uint64_t random = 88172645463325252u;
    char bytes[MESSAGE_SIZE_MAX + 8];

    start("answer");
    for (int i = 0; i < 60; i++) {
        size_t size = (size_t)(random % sizeof(bytes));
        int fd = dial();

        for (size_t at = 0; at < size; at++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            bytes[at] = (char)random;
        }
        if (i % 2 && size >= sizeof(struct message_header)) /* a header, and nonsense behind it */
            message_init(bytes, (enum message_type)(i / 2 % MESSAGE_TYPE_END), size);
        CHECK_EQ(sock_send(fd, bytes, size, NULL, 0), 0);
        CHECK_EQ(receive(fd), 0);
        close(fd);
    }
    check_service();
    node_world_stop();
}

TEST(what_only_a_supervisor_says_and_a_name_that_is_none_end_it_too)
{
    struct message_welcome message = {.status = 0};
    int fd;

    start("answer");
    fd = dial();
    message_init(&message, MESSAGE_WELCOME, sizeof(message));
    CHECK_EQ(sock_send(fd, &message, sizeof(message), NULL, 0), 0);
    CHECK_EQ(receive(fd), 0);
    close(fd);
    fd = dial();
    send_create(fd, "../../etc", GIB, 0);
    CHECK_EQ(receive(fd), 0);
    close(fd);
    node_world_stop();
}

TEST(a_front_of_a_tenant_that_is_refused_is_closed)
{
    struct message_create message;
    int fd, ends[2];
    char byte;

    start("answer");
    fd = dial();
    CHECK_EQ(create(fd, "a", 80 * GIB), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
        message = describe(i == 1 ? "a" : "b", i == 2 ? 0 : GIB);
        CHECK_EQ(sock_send(fd, &message, sizeof(message), &ends[0], 1), 0);
        close(ends[0]);
        CHECK_EQ(receive(fd), MESSAGE_CREATED);
        CHECK(got.created.status < 0);
        CHECK_EQ(sock_receive(ends[1], &byte, 1, NULL, 10000), 0);
        close(ends[1]);
    }
    close(fd);
    node_world_stop();
}

TEST(who_does_not_read_loses_the_connection)
{
    struct message_header list;
    int fd, rc = 0;

    start("answer");
    fd = dial();
    message_init(&list, MESSAGE_LIST, sizeof(list));
    for (int i = 0; i < 100000 && rc != -EPIPE; i++) {
        rc = sock_send(fd, &list, sizeof(list), NULL, 0);
        if (rc == -EAGAIN)
            (void)uv_run(node_loop(world->node), UV_RUN_NOWAIT);
    }
    CHECK_EQ(rc, -EPIPE);
    check_service();
    close(fd);
    node_world_stop();
}

TEST(who_asks_more_than_is_answered_loses_the_connection)
{
    int fd;

    start("answer");
    fd = dial();
    CHECK_EQ(create(fd, "a", GIB), 0);
    send_select(fd, "a");
    CHECK_EQ(receive_reply(fd), 0);
    (void)kill(node_find(world->node, "a")->process.pid, SIGSTOP);
    for (int i = 0; i < 17; i++)
        send_plain(fd, MESSAGE_STATUS);
    CHECK_EQ(receive(fd), 0);
    check_service();
    close(fd);
    node_world_stop();
}

TEST(without_descriptors_the_loop_waits_and_goes_on_afterwards)
{
    struct rlimit limit, none;
    uint32_t turns = 0;
    uint64_t end_ns;
    int fd;

    start("answer");
    fd = dial(); /* waits to be accepted */
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = (rlim_t)fd; /* below what is open: not one more */
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    end_ns = clock_now_ns() + 300 * NS_PER_MS;
    while (clock_now_ns() < end_ns) {
        (void)uv_run(node_loop(world->node), UV_RUN_ONCE);
        turns++;
    }
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    CHECK(turns < 200); /* looks every 20 ms, and a try every 100 */
    send_plain(fd, MESSAGE_LIST);
    CHECK_EQ(receive_reply(fd), 0);
    close(fd);
    node_world_stop();
}

/* --- who vanishes --- */

static bool has_no_waiters(void *context)
{
    (void)context;
    return list_is_empty(&world->node->waiting);
}

static bool has_waiters(void *context)
{
    (void)context;
    return !has_no_waiters(NULL);
}

TEST(who_vanishes_waits_no_more)
{
    int fd, other;

    start("answer");
    other = dial();
    CHECK_EQ(create(other, "full", 80 * GIB), 0);
    fd = dial();
    send_create(fd, "b", GIB, 100000);
    send_create(fd, "c", GIB, 100000);
    CHECK(node_world_wait_for(has_waiters, NULL));
    close(fd);
    CHECK(node_world_wait_for(has_no_waiters, NULL));
    CHECK(!node_find(world->node, "b"));
    close(other);
    check_service();
    node_world_stop();
}

/* Found out while those that wait are walked over, of which it has two. */
TEST(who_does_not_hear_its_refusal_waits_no_more_either)
{
    int fd, other;

    start("answer");
    other = dial();
    CHECK_EQ(create(other, "full", 80 * GIB), 0);
    fd = dial();
    send_create(fd, "b", GIB, 1);
    send_create(fd, "c", GIB, 100000);
    send_create(fd, "d", GIB, 100000);
    CHECK_EQ(shutdown(fd, SHUT_RD), 0); /* nothing can be sent to it any more */
    run_for_ms(20);
    CHECK(node_world_wait_for(has_no_waiters, NULL));
    CHECK(!node_find(world->node, "c"));
    close(fd);
    close(other);
    check_service();
    node_world_stop();
}

TEST(an_answer_for_who_has_vanished_is_dropped)
{
    const struct keeper *keeper;
    int fd;

    start("answer");
    fd = dial();
    CHECK_EQ(create(fd, "a", GIB), 0);
    send_select(fd, "a");
    CHECK_EQ(receive_reply(fd), 0);
    keeper = node_find(world->node, "a");
    (void)kill(keeper->process.pid, SIGSTOP);
    for (int i = 0; i < 5; i++)
        send_plain(fd, MESSAGE_STATUS);
    send_set(fd, 2 * GIB);
    (void)uv_run(node_loop(world->node), UV_RUN_NOWAIT);
    close(fd);
    run_for_ms(100); /* its supervisor is replaced meanwhile */
    check_service();
    node_world_stop();
}

TEST(a_tenant_whose_maker_vanished_before_it_began_is_let_be)
{
    int fd;

    start("silent");
    fd = dial();
    send_create(fd, "a", GIB, 0);
    for (int i = 0; i < 5; i++)
        (void)uv_run(node_loop(world->node), UV_RUN_ONCE);
    CHECK(node_find(world->node, "a"));
    close(fd);
    run_for_ms(20);
    check_service();
    node_world_stop(); /* its request is answered now, to nobody */
}

TEST(callers_that_are_there_when_the_daemon_ends_are_told)
{
    int fd, other;

    start("answer");
    fd = dial();
    other = dial();
    CHECK_EQ(create(other, "full", 80 * GIB), 0);
    send_create(fd, "b", GIB, 100000);
    CHECK_EQ(receive_reply(fd), -EAGAIN); /* it is told that it waits */
    CHECK(strstr(got.reply.text, "left to guarantee"));
    CHECK(node_world_wait_for(has_waiters, NULL));
    node_world_end_node();
    CHECK_EQ(sock_receive(fd, &got, sizeof(got), NULL, 0), sizeof(got.created));
    CHECK_EQ(got.created.status, -ECONNRESET);
    CHECK_EQ(try_connect(), -1);
    node_world_stop();
}

/* --- other users' vgpu run --- */

static struct observed_peer peer;

static bool is_shown(void *context)
{
    observed_peer_serve(&peer);
    return standalone_find(world->node->standalone, context) != NULL;
}

static void start_observed(char *shown, size_t size)
{
    struct node_config config;

    start("answer");
    observed_peer_start(&peer, "mine");
    peer.pids[peer.pid_count++] = 77;
    config = world->config;
    config.standalone_patterns = peer.base;
    node_configure(world->node, &config);
    (void)str_format(shown, size, "mine@%u", geteuid());
    CHECK(node_world_wait_for(is_shown, shown));
    peer.is_silent = true; /* what it has said is known */
}

static void stop_observed(void)
{
    node_world_stop();
    observed_peer_stop(&peer);
}

TEST(another_user_s_tenant_is_listed_for_all_but_them_who_know_their_own)
{
    char shown[64];
    int fd;

    if (geteuid() != 0)
        skip();
    start_observed(shown, sizeof(shown));
    fd = dial_as(SOMEBODY);
    send_plain(fd, MESSAGE_LIST);
    CHECK_EQ(receive(fd), MESSAGE_NAME);
    CHECK_STR_EQ(got.name.name, shown);
    CHECK_EQ(receive_reply(fd), 0);
    close(fd);
    fd = dial();
    send_plain(fd, MESSAGE_LIST);
    CHECK_EQ(receive_reply(fd), 0);
    close(fd);
    stop_observed();
}

TEST(it_is_shown_as_it_has_said_and_changed_by_nobody)
{
    struct message_end end = {.is_forced = 1};
    char shown[64];
    int fd;

    start_observed(shown, sizeof(shown));
    fd = dial();
    send_select(fd, "mine");
    CHECK_EQ(receive_reply(fd), -ENOENT);
    send_select(fd, shown);
    CHECK_EQ(receive_reply(fd), 0);
    send_plain(fd, MESSAGE_STATUS);
    CHECK_EQ(receive(fd), MESSAGE_STATUS_TENANT);
    CHECK_STR_EQ(got.tenant.name, shown);
    CHECK_EQ(got.tenant.uid, geteuid());
    CHECK_EQ(receive(fd), MESSAGE_STATUS_PROCESS);
    CHECK_EQ(receive_reply(fd), 0);
    send_set(fd, GIB);
    CHECK_EQ(receive_reply(fd), -EPERM);
    send_plain(fd, MESSAGE_EXPLAIN);
    CHECK_EQ(receive_reply(fd), -EPERM);
    message_init(&end, MESSAGE_END, sizeof(end));
    CHECK_EQ(sock_send(fd, &end, sizeof(end), NULL, 0), 0);
    CHECK_EQ(receive_reply(fd), -EPERM);
    close(fd);
    stop_observed();
}
