#include "tests/harness.h"

#include "ipc/message.h"
#include "supervisor/clients.h"
#include "supervisor/connections.h"
#include "supervisor/controller.h"
#include "supervisor/gpus.h"
#include "supervisor/guests.h"
#include "supervisor/tenant.h"
#include "utils/clock.h"
#include "utils/sock.h"
#include "utils/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOMEBODY 54321u

/* A supervisor's socket and what is behind it, without its processes. */
static struct {
    char folder[32], control_path[64], state_path[64];
    uv_loop_t loop;
    struct tenant tenant;
    struct region_control control;
    struct controller *controller;
    struct guests guests;
    struct connections connections;
    struct connections_config config;
    struct sock_peer own, somebody;
    int ends[2], ended, end_answer;
    bool was_forced;
    union {
        struct message_header header;
        struct message_status_tenant tenant;
        struct message_explained explained;
        struct message_reply reply;
        char bytes[MESSAGE_SIZE_MAX];
    } got;
} at;

static int on_end(void *context, bool is_forced)
{
    (void)context;
    at.ended++;
    at.was_forced = is_forced;
    return at.end_answer;
}

static void start(void)
{
    const struct gpus_card *cards[2] = {&at.tenant.cards[0], &at.tenant.cards[1]};
    struct err err;

    memset(&at, 0, sizeof(at));
    (void)str_format(at.folder, sizeof(at.folder), "/tmp/vgunitXXXXXX");
    CHECK(mkdtemp(at.folder) != NULL);
    (void)str_format(at.state_path, sizeof(at.state_path), "%s/state", at.folder);
    (void)str_format(at.control_path, sizeof(at.control_path), "%s/control", at.folder);
    tenant_init(&at.tenant, "trainer");
    at.tenant.uid = SOMEBODY; /* the daemon keeps it for them */
    at.tenant.gpu_count = 2;
    at.control.gpu_count = 2;
    for (int i = 0; i < 2; i++) {
        at.tenant.quotas[i] = (struct tenant_quota){REGION_NO_LIMIT, 30000, 7, REGION_HIGH, i == 0};
        at.tenant.cards[i].memory_bytes = UINT64_C(80) << 30;
        (void)str_format(at.control.gpus[i].uuid, sizeof(at.control.gpus[i].uuid), "GPU-%d", i);
    }
    CHECK_OK(controller_new(&at.controller, &at.control, cards, &err), &err);
    guests_init(&at.guests, &at.control, at.controller);
    CHECK_EQ(uv_loop_init(&at.loop), 0);
    at.config = (struct connections_config){.loop = &at.loop,
                                            .listen_fd = -1,
                                            .tenant = &at.tenant,
                                            .state_path = at.state_path,
                                            .control = &at.control,
                                            .guests = &at.guests,
                                            .controller = at.controller,
                                            .on_end = on_end};
    tenant_apply(&at.tenant, &at.control, at.controller);
    at.own = (struct sock_peer){.pid = getpid(), .uid = geteuid()};
    at.somebody = (struct sock_peer){.pid = getpid(), .uid = SOMEBODY};
    CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, at.ends), 0);
}

static void end_handle(uv_handle_t *handle, void *context)
{
    (void)context;
    uv_close(handle, NULL);
}

static void stop(void)
{
    for (int i = 0; i < 3; i++)
        (void)uv_run(&at.loop, UV_RUN_NOWAIT); /* those that have gone are forgotten */
    uv_walk(&at.loop, end_handle, NULL);
    while (uv_run(&at.loop, UV_RUN_DEFAULT))
        ;
    CHECK_EQ(uv_loop_close(&at.loop), 0);
    controller_free(at.controller);
    close(at.ends[0]);
    close(at.ends[1]);
    if (at.config.listen_fd >= 0)
        close(at.config.listen_fd);
    (void)unlink(at.state_path);
    (void)unlink(at.control_path);
    CHECK_EQ(rmdir(at.folder), 0);
}

static int receive(int fd)
{
    ssize_t length = sock_receive(fd, &at.got, sizeof(at.got), NULL, 0);

    return length <= 0 ? (int)length : message_check(&at.got, (size_t)length);
}

static int take(const struct sock_peer *peer, const void *message)
{
    return clients_take(&at.config, at.ends[0], peer, message);
}

static int take_plain(const struct sock_peer *peer, enum message_type type)
{
    struct message_header message;

    message_init(&message, type, sizeof(message));
    return take(peer, &message);
}

static int set_weight(const struct sock_peer *peer, uint32_t weight)
{
    struct message_set set = {
        .fields = MESSAGE_SET_WEIGHT, .gpu_mask = UINT32_MAX, .weight = weight};

    message_init(&set, MESSAGE_SET, sizeof(set));
    CHECK_EQ(take(peer, &set), 0);
    CHECK_EQ(receive(at.ends[1]), MESSAGE_REPLY);
    return at.got.reply.status;
}

static int ask_end(const struct sock_peer *peer, uint32_t is_forced)
{
    struct message_end end = {.is_forced = is_forced};

    message_init(&end, MESSAGE_END, sizeof(end));
    CHECK_EQ(take(peer, &end), 0);
    CHECK_EQ(receive(at.ends[1]), MESSAGE_REPLY);
    return at.got.reply.status;
}

/* --- who may what --- */

TEST(a_tenant_that_is_kept_for_somebody_is_not_changed_by_them)
{
    start();
    CHECK_EQ(set_weight(&at.somebody, 1000), -EPERM);
    CHECK(strstr(at.got.reply.text, "daemon"));
    CHECK_EQ(at.tenant.quotas[0].weight, 7);
    CHECK_EQ(ask_end(&at.somebody, 1), -EPERM);
    CHECK_EQ(at.ended, 0);
    CHECK(access(at.state_path, F_OK) < 0);
    stop();
}

TEST(its_supervisor_s_own_user_changes_it_and_that_is_written_down)
{
    struct tenant loaded;

    start();
    CHECK_EQ(set_weight(&at.own, 9), 0);
    CHECK_EQ(at.tenant.quotas[0].weight, 9);
    CHECK_EQ(tenant_load(&loaded, at.state_path, NULL), 0);
    CHECK_EQ(loaded.quotas[0].weight, 9);
    CHECK_EQ(set_weight(&at.own, 1001), -EINVAL);
    CHECK_EQ(at.tenant.quotas[0].weight, 9);
    stop();
}

TEST(a_change_that_cannot_be_written_down_holds_and_says_so)
{
    start();
    at.config.state_path = "/nowhere/state";
    CHECK(set_weight(&at.own, 9) < 0);
    CHECK(strstr(at.got.reply.text, "holds"));
    CHECK_EQ(at.tenant.quotas[0].weight, 9);
    stop();
}

TEST(the_end_is_asked_for_with_and_without_force)
{
    start();
    CHECK_EQ(ask_end(&at.own, 0), 0);
    CHECK(!at.was_forced);
    at.end_answer = -EBUSY;
    CHECK_EQ(ask_end(&at.own, 1), -EBUSY);
    CHECK(at.was_forced);
    CHECK_EQ(at.ended, 2);
    stop();
}

TEST(anybody_who_is_let_in_may_look)
{
    start();
    CHECK_EQ(take_plain(&at.somebody, MESSAGE_STATUS), 0);
    CHECK_EQ(receive(at.ends[1]), MESSAGE_STATUS_TENANT);
    CHECK_EQ(at.got.tenant.uid, SOMEBODY);
    CHECK_EQ(receive(at.ends[1]), MESSAGE_STATUS_GPU);
    CHECK_EQ(receive(at.ends[1]), MESSAGE_REPLY);
    CHECK_EQ(take_plain(&at.somebody, MESSAGE_EXPLAIN), 0);
    CHECK_EQ(receive(at.ends[1]), MESSAGE_EXPLAINED); /* of the GPU that it may use */
    CHECK_STR_EQ(at.got.explained.uuid, "GPU-0");
    CHECK_EQ(at.got.explained.cap_milli_percent, 30000);
    CHECK_EQ(at.got.explained.weight, 7);
    CHECK_EQ(receive(at.ends[1]), MESSAGE_REPLY);
    CHECK_EQ(receive(at.ends[1]), -EAGAIN);
    stop();
}

TEST(what_is_no_question_ends_the_connection)
{
    static const enum message_type types[] = {MESSAGE_REPLY, MESSAGE_LIST, MESSAGE_RELOAD};

    start();
    for (size_t i = 0; i < 3; i++)
        CHECK_EQ(take_plain(&at.own, types[i]), -EPROTO);
    stop();
}

/* --- watchers --- */

static void listen_here(void)
{
    struct err err;

    CHECK_OK(sock_listen(&at.config.listen_fd, at.control_path, &err), &err);
    connections_start(&at.connections, &at.config);
}

static int dial(enum message_type type)
{
    struct message_header message;
    int fd = -1;

    CHECK_EQ(sock_connect(&fd, at.control_path, 100, NULL), 0);
    message_init(&message, type, sizeof(message));
    CHECK_EQ(sock_send(fd, &message, sizeof(message), NULL, 0), 0);
    for (int i = 0; i < 3; i++)
        (void)uv_run(&at.loop, UV_RUN_NOWAIT);
    return fd;
}

/* Runs the loop until what is to be told was told. */
static void tell(void)
{
    connections_tell(&at.connections);
    while (uv_is_active((uv_handle_t *)&at.connections.news))
        (void)uv_run(&at.loop, UV_RUN_NOWAIT); /* 10 ms at most */
    (void)uv_run(&at.loop, UV_RUN_NOWAIT);     /* what closes */
}

static uint32_t count_replies(int fd)
{
    uint32_t count = 0;
    int type;

    while ((type = receive(fd)) > 0)
        count += type == MESSAGE_REPLY;
    return count;
}

TEST(who_watches_is_told_at_once_and_of_each_change_once)
{
    int watcher, other;

    start();
    listen_here();
    watcher = dial(MESSAGE_WATCH);
    other = dial(MESSAGE_STATUS);
    CHECK_EQ(count_replies(watcher), 1);
    CHECK_EQ(count_replies(other), 1);
    for (int i = 0; i < 5; i++)
        connections_tell(&at.connections);
    tell();
    CHECK_EQ(count_replies(watcher), 1); /* what changes together is told once */
    CHECK_EQ(count_replies(other), 0);
    tell();
    CHECK_EQ(count_replies(watcher), 1);
    close(watcher);
    close(other);
    stop();
}

TEST(a_watcher_that_does_not_read_is_dropped_and_the_others_are_told)
{
    uint64_t end_ns = clock_now_ns() + 60 * NS_PER_SEC;
    int slow, reader;

    start();
    listen_here();
    slow = dial(MESSAGE_WATCH);
    reader = dial(MESSAGE_WATCH);
    CHECK_EQ(at.connections.count, 2);
    tell();
    CHECK_EQ(count_replies(reader), 2);
    while (at.connections.count == 2 && clock_now_ns() < end_ns) {
        /* at once, where it would be a moment later */
        CHECK_EQ(uv_timer_start(&at.connections.news, at.connections.news.timer_cb, 0, 0), 0);
        tell();
        CHECK_EQ(count_replies(reader), 1);
    }
    CHECK_EQ(at.connections.count, 1);
    tell();
    CHECK_EQ(count_replies(reader), 1);
    close(slow);
    close(reader);
    stop();
}

TEST(watchers_that_vanish_are_forgotten)
{
    int fds[10];

    start();
    listen_here();
    for (int i = 0; i < 10; i++)
        fds[i] = dial(MESSAGE_WATCH);
    CHECK_EQ(at.connections.count, 10);
    for (int i = 0; i < 10; i += 2)
        close(fds[i]);
    tell(); /* five fail in one walk */
    for (int i = 0; i < 3; i++)
        (void)uv_run(&at.loop, UV_RUN_NOWAIT);
    CHECK_EQ(at.connections.count, 5);
    for (int i = 1; i < 10; i += 2)
        close(fds[i]);
    stop();
}
