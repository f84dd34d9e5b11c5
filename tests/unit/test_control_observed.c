#include "tests/harness.h"
#include "tests/unit/node_world.h"
#include "tests/unit/observed_peer.h"

#include "hypervisor/standalone.h"
#include "utils/sock.h"
#include "utils/str.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define SOMEBODY 54321u

static struct node_world *world;
static struct observed_peer peer;
static char shown[64]; /* what the peer's tenant is called */

static union {
    struct message_header header;
    struct message_reply reply;
    struct message_name name;
    struct message_status_tenant tenant;
    char bytes[MESSAGE_SIZE_MAX];
} got;

static bool is_shown(void *context)
{
    (void)context;
    observed_peer_serve(&peer);
    return standalone_find(world->node->standalone, shown) != NULL;
}

/* A daemon that has seen the one answer of a tenant of this user's. */
static void start(void)
{
    struct node_config config;

    world = node_world_start("answer");
    observed_peer_start(&peer, "mine");
    peer.pids[peer.pid_count++] = 77;
    config = world->config;
    config.standalone_patterns = peer.base;
    node_configure(world->node, &config);
    (void)str_format(shown, sizeof(shown), "mine@%u", geteuid());
    CHECK(node_world_wait_for(is_shown, NULL));
}

static void stop(void)
{
    node_world_stop();
    observed_peer_stop(&peer);
}

static int dial_as(uid_t uid)
{
    char path[RUNTIME_PATH_MAX];
    int fd = -1;

    (void)str_format(path, sizeof(path), "%s/control", world->base);
    CHECK_EQ(seteuid(uid), 0);
    CHECK_EQ(sock_connect(&fd, path, 100, NULL), 0);
    CHECK_EQ(seteuid(getuid()), 0);
    return fd;
}

static bool is_readable(void *context)
{
    struct pollfd poll_fd = {.fd = *(int *)context, .events = POLLIN};

    observed_peer_serve(&peer); /* one that stays silent is no longer shown */
    return poll(&poll_fd, 1, 0) > 0;
}

/* The type of the next message. */
static int receive(int fd)
{
    ssize_t length;

    CHECK(node_world_wait_for(is_readable, &fd));
    length = sock_receive(fd, &got, sizeof(got), NULL, 0);
    return length <= 0 ? 0 : message_check(&got, (size_t)length);
}

static int receive_reply(int fd)
{
    CHECK_EQ(receive(fd), MESSAGE_REPLY);
    return got.reply.status;
}

static void say(int fd, void *message, enum message_type type, size_t length)
{
    message_init(message, type, length);
    CHECK_EQ(sock_send(fd, message, length, NULL, 0), 0);
}

static void ask(int fd, enum message_type type)
{
    struct message_header message;

    say(fd, &message, type, sizeof(message));
}

static int choose(int fd, const char *name)
{
    struct message_name message = {.name = ""};

    (void)str_format(message.name, sizeof(message.name), "%s", name);
    say(fd, &message, MESSAGE_SELECT, sizeof(message));
    return receive_reply(fd);
}

TEST(another_user_s_tenant_is_listed_for_all_but_them_who_know_their_own)
{
    int fd;

    if (geteuid() != 0)
        skip();
    start();
    fd = dial_as(SOMEBODY);
    ask(fd, MESSAGE_LIST);
    CHECK_EQ(receive(fd), MESSAGE_NAME);
    CHECK_STR_EQ(got.name.name, shown);
    CHECK_EQ(receive_reply(fd), 0);
    (void)close(fd);
    fd = dial_as(0);
    ask(fd, MESSAGE_LIST);
    CHECK_EQ(receive_reply(fd), 0);
    (void)close(fd);
    stop();
}

TEST(it_is_shown_as_it_has_said_and_changed_by_nobody)
{
    struct message_set set = {.fields = MESSAGE_SET_MEMORY, .gpu_mask = UINT32_MAX};
    struct message_end end = {.is_forced = 1};
    int fd;

    start();
    fd = dial_as(geteuid());
    CHECK_EQ(choose(fd, "mine"), -ENOENT);
    CHECK_EQ(choose(fd, shown), 0);
    ask(fd, MESSAGE_STATUS);
    CHECK_EQ(receive(fd), MESSAGE_STATUS_TENANT);
    CHECK_STR_EQ(got.tenant.name, shown);
    CHECK_EQ(got.tenant.uid, geteuid());
    CHECK_EQ(receive(fd), MESSAGE_STATUS_PROCESS);
    CHECK_EQ(receive_reply(fd), 0);
    say(fd, &set, MESSAGE_SET, sizeof(set));
    CHECK_EQ(receive_reply(fd), -EPERM);
    ask(fd, MESSAGE_EXPLAIN);
    CHECK_EQ(receive_reply(fd), -EPERM);
    say(fd, &end, MESSAGE_END, sizeof(end));
    CHECK_EQ(receive_reply(fd), -EPERM);
    (void)close(fd);
    stop();
}
