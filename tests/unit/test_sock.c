#include "utils/sock.h"

#include "tests/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void make_pair(int fds[2])
{
    CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
}

TEST(a_message_and_its_descriptor_arrive)
{
    struct sock_fds got = {.count = 2};
    int fds[2], sent;
    char text[16];

    make_pair(fds);
    sent = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK_EQ(sock_send(fds[0], "abc", 4, &sent, 1), 0);
    CHECK_EQ(sock_receive(fds[1], text, sizeof(text), &got, -1), 4);
    CHECK_STR_EQ(text, "abc");
    CHECK_EQ(got.count, 1);
    CHECK(fcntl(got.values[0], F_GETFD) & FD_CLOEXEC);
    CHECK_EQ(close(got.values[0]) + close(sent) + close(fds[0]) + close(fds[1]), 0);
}

TEST(unwanted_descriptors_are_closed)
{
    int fds[2], sent, before, after;
    char text[16];

    make_pair(fds);
    sent = open("/dev/null", O_RDONLY | O_CLOEXEC);
    before = dup(sent);
    CHECK_EQ(close(before), 0);
    CHECK_EQ(sock_send(fds[0], "abc", 4, &sent, 1), 0);
    CHECK_EQ(sock_receive(fds[1], text, sizeof(text), NULL, -1), 4);
    after = dup(sent);
    CHECK_EQ(after, before); /* the same lowest free number: nothing was left open */
    CHECK_EQ(close(after) + close(sent) + close(fds[0]) + close(fds[1]), 0);
}

TEST(a_long_message_is_refused_and_a_full_socket_says_so)
{
    int fds[2], rc = 0;
    char text[64] = "", small[4];

    make_pair(fds);
    CHECK_EQ(sock_send(fds[0], text, sizeof(text), NULL, 0), 0);
    CHECK_EQ(sock_receive(fds[1], small, sizeof(small), NULL, -1), -EMSGSIZE);
    for (int i = 0; i < 100000 && !rc; i++)
        rc = sock_send(fds[0], text, sizeof(text), NULL, 0);
    CHECK_EQ(rc, -EAGAIN);
    CHECK_EQ(close(fds[0]), 0);
    CHECK_EQ(sock_send(fds[1], text, sizeof(text), NULL, 0), -EPIPE);
    CHECK_EQ(close(fds[1]), 0);
}

TEST(nothing_to_receive_is_said_at_once_and_after_the_time)
{
    char text[4];
    int fds[2];

    make_pair(fds);
    CHECK_EQ(sock_receive(fds[0], text, sizeof(text), NULL, 0), -EAGAIN);
    CHECK_EQ(sock_receive(fds[0], text, sizeof(text), NULL, 5), -EAGAIN);
    CHECK_EQ(close(fds[1]), 0);
    CHECK_EQ(sock_receive(fds[0], text, sizeof(text), NULL, -1), 0);
    CHECK_EQ(close(fds[0]), 0);
}

TEST(a_listening_socket_is_private_and_tells_who_came)
{
    char dir[] = "/tmp/vgXXXXXX", path[64];
    struct sock_peer peer;
    struct stat status;
    struct err err;
    int listener, client, server;

    CHECK(mkdtemp(dir) != NULL);
    (void)snprintf(path, sizeof(path), "%s/s", dir);
    CHECK_OK(sock_listen(&listener, path, &err), &err);
    CHECK_EQ(stat(path, &status), 0);
    CHECK_EQ(status.st_mode & 0777, 0600);
    CHECK_OK(sock_connect(&client, path, 100, &err), &err);
    server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    CHECK(server >= 0);
    CHECK_OK(sock_get_peer(&peer, server, &err), &err);
    CHECK_EQ(peer.pid, getpid());
    CHECK_EQ(peer.uid, getuid());
    CHECK_EQ(close(server) + close(client) + close(listener), 0);
    CHECK_EQ(sock_connect(&client, path, 100, &err), -ECONNREFUSED);
    CHECK_EQ(unlink(path) + rmdir(dir), 0);
}

TEST(a_path_that_is_too_long_or_not_there_is_refused)
{
    char path[200];
    struct err err;
    int fd;

    memset(path, 'x', sizeof(path) - 1);
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    CHECK_EQ(sock_listen(&fd, path, &err), -ENAMETOOLONG);
    CHECK_EQ(sock_connect(&fd, path, 100, &err), -ENAMETOOLONG);
    CHECK_EQ(sock_listen(&fd, "/tmp/none/of/these/s", &err), -ENOENT);
    CHECK_EQ(sock_connect(&fd, "/tmp/none/of/these/s", 100, &err), -ENOENT);
}

TEST(more_descriptors_than_fit_a_message_are_not_sent)
{
    int fds[2], sent[SOCK_FDS_MAX + 1] = {0};

    make_pair(fds);
    CHECK_EQ(sock_send(fds[0], "abc", 4, sent, ARRAY_LENGTH(sent)), -EINVAL);
    CHECK_EQ(close(fds[0]) + close(fds[1]), 0);
}

/* What the kernel allows in a message, all of the same file. */
static int send_many(int fd, const char *message, size_t size, int file)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int) * 253)];
        struct cmsghdr align;
    } control = {.bytes = ""};
    char byte = size ? *message : '\0';
    struct iovec part = {.iov_base = &byte, .iov_len = size};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof(control.bytes)};

    control.align.cmsg_level = SOL_SOCKET;
    control.align.cmsg_type = SCM_RIGHTS;
    control.align.cmsg_len = CMSG_LEN(sizeof(int) * 253);
    for (size_t i = 0; i < 253; i++)
        memcpy(CMSG_DATA(&control.align) + i * sizeof(int), &file, sizeof(file));
    return sendmsg(fd, &header, MSG_DONTWAIT) < 0 ? -errno : 0;
}

static struct {
    int count;
    uid_t uid;
} closed;

static void count_closed(int *fd, uid_t uid)
{
    closed.count++;
    closed.uid = uid;
    CHECK_EQ(close(*fd), 0);
    *fd = -1;
}

TEST(a_stranger_s_descriptors_are_closed_as_the_receiver_says)
{
    struct sock_fds got = {.count = 2, .close = count_closed, .uid = 77};
    char text[4];
    int ends[2];

    make_pair(ends);
    for (size_t size = 0; size < 2; size++) { /* an empty message, and one of a byte */
        closed.count = 0;
        got.count = 2;
        CHECK_EQ(send_many(ends[0], "x", size, ends[0]), 0);
        CHECK_EQ(sock_receive(ends[1], text, sizeof(text), &got, 0), size);
        CHECK_EQ(got.count, size ? 2 : 0);
        CHECK_EQ(closed.count, size ? 251 : 253);
        CHECK_EQ(closed.uid, 77);
    }
    sock_close_fds(&got);
    CHECK_EQ(got.count, 0);
    CHECK_EQ(closed.count, 253);
    CHECK_EQ(close(ends[0]) + close(ends[1]), 0);
}

static int count_fds(void)
{
    int count = 0;

    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

TEST(descriptors_of_an_empty_message_are_closed)
{
    struct sock_fds fds = {.count = 1};
    char buffer[8];
    int ends[2], before;

    CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    before = count_fds();
    CHECK_EQ(sock_send(ends[0], "", 0, &ends[0], 1), 0);
    CHECK_EQ(sock_receive(ends[1], buffer, sizeof(buffer), &fds, 0), 0);
    CHECK_EQ(fds.count, 0);
    CHECK_EQ(count_fds(), before);
    close(ends[0]);
    close(ends[1]);
}

TEST(a_burst_of_hundreds_of_messages_finds_room)
{
    char message[168] = {0};
    int ends[2], sent = 0;

    CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    sock_make_room(ends[0]);
    while (sent < 5000 && sock_send(ends[0], message, sizeof(message), NULL, 0) == 0)
        sent++;
    CHECK(sent >= 500);
    close(ends[0]);
    close(ends[1]);
}
