#include "tests/harness.h"
#include "tests/unit/node_world.h"
#include "tests/unit/slow_file.h"

#include "utils/clock.h"
#include "utils/closer.h"
#include "utils/file.h"
#include "utils/sock.h"
#include "utils/str.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STRANGER   54321u
#define OF_ONE     64 /* connections of one user */
#define AT_ONCE    64 /* are accepted in a turn */
#define IN_MESSAGE 8

static struct node_world *world;

static int dial(void)
{
    char path[RUNTIME_PATH_MAX];
    int fd = -1;

    (void)str_format(path, sizeof(path), "%s/control", world->base);
    CHECK_EQ(sock_connect(&fd, path, 100, NULL), 0);
    return fd;
}

/* Of this thread alone: the others, of which one may be in a slow close, are not interrupted. */
static void become(uid_t uid)
{
    CHECK_EQ(syscall(SYS_setresuid, -1, uid, -1), 0);
}

/* As another user, where this one may be that. */
static int dial_as_stranger(void)
{
    int fd;

    if (geteuid() != 0)
        return dial();
    become(STRANGER);
    fd = dial();
    become(0);
    return fd;
}

static uid_t stranger(void)
{
    return geteuid() == 0 ? STRANGER : geteuid();
}

static bool is_readable(void *context)
{
    struct pollfd poll_fd = {.fd = *(int *)context, .events = POLLIN};

    return poll(&poll_fd, 1, 0) > 0;
}

static bool is_closed(void *context)
{
    (void)context;
    return !closer_count(stranger());
}

/* The thread of this user's is in a close, and nothing else waits. */
static bool is_closing(void *context)
{
    (void)context;
    return closer_count(stranger()) == 1;
}

/* The type of the next message, 0 where the connection was ended. */
static int receive(int fd)
{
    char bytes[MESSAGE_SIZE_MAX];
    ssize_t length;

    CHECK(node_world_wait_for(is_readable, &fd));
    length = sock_receive(fd, bytes, sizeof(bytes), NULL, 0);
    return length <= 0 ? 0 : message_check(bytes, (size_t)length);
}

static int send_list(int fd, const int *fds, size_t count)
{
    struct message_header list;

    message_init(&list, MESSAGE_LIST, sizeof(list));
    return sock_send(fd, &list, sizeof(list), fds, count);
}

static void check_service(void)
{
    int fd = dial();

    CHECK_EQ(send_list(fd, NULL, 0), 0);
    CHECK_EQ(receive(fd), MESSAGE_REPLY);
    close(fd);
}

static bool has_so_many_sockets(void *context)
{
    return node_world_count_sockets() == *(const uint32_t *)context;
}

TEST(descriptors_that_nobody_asked_for_are_closed)
{
    uint32_t before;

    world = node_world_start("answer");
    before = node_world_count_sockets();
    for (int i = 0; i < 50; i++) {
        int fd = dial();

        CHECK_EQ(send_list(fd, (int[]){fd, fd, fd}, 3), 0);
        CHECK_EQ(receive(fd), MESSAGE_REPLY);
        CHECK_EQ(sock_send(fd, "x", i % 2, (int[]){fd, fd}, 2), 0);
        CHECK_EQ(receive(fd), 0);
        close(fd);
    }
    CHECK(node_world_wait_for(has_so_many_sockets, &before));
    node_world_stop();
}

/* Something of a stranger's whose close takes long has come, and was not waited for. */
static void check_and_let_go(struct slow_file *file, uint64_t begin_ns)
{
    check_service();
    CHECK(clock_now_ns() - begin_ns < SLOW_FILE_NS / 2);
    slow_file_let_go(file);
    CHECK(node_world_wait_for(is_closed, NULL));
}

TEST(a_file_that_closes_slowly_stops_nobody_whatever_it_comes_with)
{
    struct message_create create = {.gpu_mask = 1};
    struct message_set set = {.fields = MESSAGE_SET_WEIGHT, .weight = 1};

    world = node_world_start("answer");
    message_init(&create, MESSAGE_CREATE, sizeof(create)); /* as a front */
    message_init(&set, MESSAGE_SET, sizeof(set));
    for (int i = 0; i < 5; i++) {
        struct slow_file file = slow_file_make();
        uint64_t begin_ns = clock_now_ns();
        int fd = dial_as_stranger(), rc;

        if (i == 0)
            rc = send_list(fd, &file.fd, 1);
        else if (i == 1)
            rc = sock_send(fd, "x", 0, &file.fd, 1);
        else if (i == 2)
            rc = sock_send(fd, "x", 1, &file.fd, 1);
        else if (i == 3)
            rc = sock_send(fd, &create, sizeof(create), &file.fd, 1);
        else
            rc = sock_send(fd, &set, sizeof(set), (int[]){fd, fd, file.fd}, 3);
        CHECK_EQ(rc, 0);
        close(file.fd);
        CHECK_EQ(receive(fd), i == 0 || i == 4 ? MESSAGE_REPLY : 0);
        check_and_let_go(&file, begin_ns);
        close(fd);
    }
    CHECK(list_is_empty(&world->node->keepers));
    node_world_stop();
}

TEST(what_is_not_read_of_who_is_sent_away_stops_nobody_either)
{
    world = node_world_start("answer");
    for (int i = 0; i < 2; i++) {
        struct slow_file file = slow_file_make();
        uint64_t begin_ns = clock_now_ns();
        int fd = dial_as_stranger();

        CHECK_EQ(sock_send(fd, "x", 1, NULL, 0), 0);
        CHECK_EQ(send_list(fd, &file.fd, 1), 0);
        close(file.fd);
        if (i == 0)
            CHECK_EQ(receive(fd), 0);
        close(fd);
        check_and_let_go(&file, begin_ns);
    }
    node_world_stop();
}

TEST(what_comes_with_a_connection_that_is_refused_stops_nobody)
{
    struct slow_file file;
    uint64_t begin_ns;
    int fds[OF_ONE + 1];

    if (geteuid() != 0)
        return; /* root alone is never refused */
    world = node_world_start("answer");
    for (int i = 0; i < OF_ONE; i++)
        fds[i] = dial_as_stranger();
    file = slow_file_make();
    begin_ns = clock_now_ns();
    fds[OF_ONE] = dial_as_stranger();
    CHECK_EQ(send_list(fds[OF_ONE], &file.fd, 1), 0);
    close(file.fd);
    CHECK_EQ(receive(fds[OF_ONE]), 0);
    check_and_let_go(&file, begin_ns);
    for (int i = 0; i <= OF_ONE; i++)
        close(fds[i]);
    node_world_stop();
}

TEST(who_sends_faster_than_can_be_closed_is_turned_away_and_nobody_else)
{
    struct slow_file file = slow_file_make();
    int fd, again, fds[IN_MESSAGE], rc = 0;

    if (geteuid() != 0)
        return;
    world = node_world_start("answer");
    fd = dial_as_stranger();
    CHECK_EQ(send_list(fd, &file.fd, 1), 0);
    close(file.fd);
    CHECK_EQ(receive(fd), MESSAGE_REPLY);
    CHECK(node_world_wait_for(is_closing, NULL)); /* else what comes later is closed first */
    for (int i = 0; i < IN_MESSAGE; i++)
        fds[i] = file.reader;
    for (int i = 0; i < 2 * CLOSER_MANY / IN_MESSAGE && rc == 0; i++) {
        rc = send_list(fd, fds, IN_MESSAGE);
        if (rc == 0)
            rc = receive(fd) == MESSAGE_REPLY ? 0 : -ECONNRESET;
    }
    CHECK(rc < 0);
    CHECK(closer_count(STRANGER) > CLOSER_MANY);
    again = dial_as_stranger();
    CHECK_EQ(receive(again), 0);
    check_service();
    close(fd);
    close(again);
    CHECK_EQ(shutdown(file.reader, SHUT_RDWR), 0);
    slow_file_let_go(&file);
    CHECK(node_world_wait_for(is_closed, NULL));
    again = dial_as_stranger();
    CHECK_EQ(send_list(again, NULL, 0), 0);
    CHECK_EQ(receive(again), MESSAGE_REPLY); /* and welcome again */
    close(again);
    node_world_stop();
}

TEST(a_crowd_at_the_door_is_let_in_a_few_at_a_time)
{
    int fds[2 * AT_ONCE - 1];
    uint32_t before;

    world = node_world_start("answer");
    check_service();
    while (uv_run(node_loop(world->node), UV_RUN_NOWAIT) && !is_closed(NULL))
        ;
    for (int i = 0; i < 2 * AT_ONCE - 1; i++)
        fds[i] = dial();
    before = node_world_count_sockets();
    (void)uv_run(node_loop(world->node), UV_RUN_NOWAIT);
    CHECK_EQ(node_world_count_sockets(), before + AT_ONCE);
    (void)uv_run(node_loop(world->node), UV_RUN_NOWAIT);
    CHECK_EQ(node_world_count_sockets(), before + 2 * AT_ONCE - 1);
    for (int i = 0; i < 2 * AT_ONCE - 1; i++)
        close(fds[i]);
    node_world_stop();
}
