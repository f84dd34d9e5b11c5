#include "utils/closer.h"

#include "tests/harness.h"
#include "tests/unit/slow_file.h"
#include "utils/clock.h"
#include "utils/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_NS (10 * NS_PER_SEC)

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

/* Whether all of a user's are closed within the time in which no slow file closes by itself. */
static bool wait_closed(uid_t uid)
{
    uint64_t end_ns = clock_now_ns() + PATIENCE_NS;

    while (closer_count(uid) && clock_now_ns() < end_ns)
        clock_sleep_until_ns(clock_now_ns() + NS_PER_MS);
    return !closer_count(uid);
}

static int open_any(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

TEST(what_is_handed_over_is_closed)
{
    int fds[200], numbers[200], none = -1;

    for (int i = 0; i < 200; i++)
        fds[i] = numbers[i] = open_any();
    for (int i = 0; i < 200; i++) {
        closer_close(&fds[i], 7);
        CHECK_EQ(fds[i], -1);
    }
    closer_close(&none, 7);
    CHECK(wait_closed(7));
    for (int i = 0; i < 200; i++)
        CHECK(!is_open(numbers[i]));
}

TEST(one_user_s_slow_file_keeps_neither_us_nor_others)
{
    struct slow_file file = slow_file_make();
    uint64_t begin_ns = clock_now_ns();
    int fd = open_any(), other = open_any(), roots = open_any();

    closer_close(&file.fd, 7);
    closer_close(&fd, 7);
    closer_close(&other, 8);
    closer_close(&roots, 0);
    CHECK(wait_closed(8));
    CHECK(wait_closed(0));
    CHECK(clock_now_ns() - begin_ns < SLOW_FILE_NS / 2);
    CHECK(closer_count(7) > 0);
    slow_file_let_go(&file);
    CHECK(wait_closed(7));
}

TEST(more_users_than_there_are_threads_share_them_and_root_does_not)
{
    struct slow_file files[40];
    int fd = open_any();

    for (uid_t i = 0; i < 40; i++) {
        files[i] = slow_file_make();
        closer_close(&files[i].fd, 1000 + i);
    }
    closer_close(&fd, 0);
    CHECK(wait_closed(0));
    for (uid_t i = 0; i < 40; i++)
        slow_file_let_go(&files[i]);
    for (uid_t i = 0; i < 40; i++)
        CHECK(wait_closed(1000 + i));
}

/* --- sockets --- */

static void make_pair(int ends[2])
{
    CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
}

TEST(a_socket_with_nothing_in_it_is_closed_at_once)
{
    char byte;

    for (int i = 0; i < 4; i++) {
        int ends[2], number;

        make_pair(ends);
        number = ends[0];
        for (int sent = 0; sent < 100 && i > 0; sent++) /* empty ones, or not */
            CHECK_EQ(sock_send(ends[1], "x", i == 1 ? 0 : 1, NULL, 0), 0);
        if (i == 3)
            close(ends[1]); /* it has not read what it was sent, and is gone */
        closer_end(&ends[0], 7);
        CHECK_EQ(ends[0], -1);
        CHECK(!is_open(number));
        if (i < 3)
            CHECK_EQ(sock_receive(ends[1], &byte, 1, NULL, 0), 0);
        if (i < 3)
            close(ends[1]);
    }
}

TEST(descriptors_that_lie_unread_in_a_socket_keep_nobody)
{
    for (int before = 0; before < 3; before++) {
        struct slow_file file = slow_file_make();
        uint64_t begin_ns = clock_now_ns();
        int ends[2];
        char byte;

        make_pair(ends);
        for (int i = 0; i < 20 * before; i++)
            CHECK_EQ(sock_send(ends[1], "x", before - 1, NULL, 0), 0);
        CHECK_EQ(sock_send(ends[1], "x", before == 2, &file.fd, 1), 0);
        close(file.fd);
        closer_end(&ends[0], 7);
        CHECK_EQ(sock_receive(ends[1], &byte, 1, NULL, 0), 0); /* it is told all the same */
        CHECK(clock_now_ns() - begin_ns < SLOW_FILE_NS / 2);
        slow_file_let_go(&file);
        CHECK(wait_closed(7));
        close(ends[1]);
    }
}
