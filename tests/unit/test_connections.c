#include "supervisor/connections.h"

#include "tests/harness.h"
#include "tests/unit/slow_file.h"

#include "supervisor/guests.h"
#include "supervisor/tenant.h"
#include "utils/clock.h"
#include "utils/closer.h"
#include "utils/file.h"
#include "utils/sock.h"
#include "utils/str.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define TENANT_UID  54321u
#define ALL         1024 /* connections */
#define KEPT        64   /* of those for root */
#define OF_ONE      16   /* of one process */
#define AT_ONCE     64   /* are accepted in a turn */
#define PATIENCE_NS (10 * NS_PER_SEC)

/* What the linker calls instead, and what was there. */
int __wrap_sock_accept(int *ret_fd, int listen_fd, struct sock_peer *ret_peer);
int __real_sock_accept(int *ret_fd, int listen_fd, struct sock_peer *ret_peer);

static struct {
    uv_loop_t loop;
    char folder[32], path[64];
    int listen_fd;
    struct tenant tenant;
    struct guests guests;
    struct connections connections;
    struct sock_peer peer; /* whoever connects is this one */
    int fds[ALL + 2];
    int count;
} at;

int __wrap_sock_accept(int *ret_fd, int listen_fd, struct sock_peer *ret_peer)
{
    int rc = __real_sock_accept(ret_fd, listen_fd, ret_peer);

    *ret_peer = at.peer;
    return rc;
}

static void start(uid_t tenant_uid)
{
    struct connections_config config;
    struct err err;

    file_allow_many();
    memset(&at, 0, sizeof(at));
    (void)str_format(at.folder, sizeof(at.folder), "/tmp/vgunitXXXXXX");
    CHECK(mkdtemp(at.folder) != NULL);
    (void)str_format(at.path, sizeof(at.path), "%s/control", at.folder);
    CHECK_OK(sock_listen(&at.listen_fd, at.path, &err), &err);
    CHECK_EQ(uv_loop_init(&at.loop), 0);
    guests_init(&at.guests, NULL, NULL);
    at.tenant.uid = tenant_uid;
    at.peer = (struct sock_peer){.pid = 1000, .uid = tenant_uid};
    config = (struct connections_config){
        .loop = &at.loop, .listen_fd = at.listen_fd, .tenant = &at.tenant, .guests = &at.guests};
    connections_start(&at.connections, &config);
}

static void turn(void)
{
    (void)uv_run(&at.loop, UV_RUN_NOWAIT);
}

static void close_handle(uv_handle_t *handle, void *context)
{
    (void)context;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void stop(void)
{
    while (at.count)
        close(at.fds[--at.count]);
    while (at.connections.count)
        turn();
    turn();
    uv_walk(&at.loop, close_handle, NULL);
    while (uv_run(&at.loop, UV_RUN_DEFAULT))
        ;
    CHECK_EQ(uv_loop_close(&at.loop), 0);
    CHECK_EQ(close(at.listen_fd) + unlink(at.path) + rmdir(at.folder), 0);
}

static int dial(void)
{
    CHECK_EQ(sock_connect(&at.fds[at.count], at.path, 1000, NULL), 0);
    return at.fds[at.count++];
}

/* Whether it stands: one that is turned away has its end told. */
static bool is_ended(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    return poll(&poll_fd, 1, 0) > 0;
}

/* One that connects and is seen; whether it is let in. */
static bool is_let_in(void)
{
    int fd = dial();

    turn();
    return !is_ended(fd);
}

TEST(one_process_has_a_few_connections)
{
    start(TENANT_UID);
    for (int i = 0; i < OF_ONE; i++)
        CHECK(is_let_in());
    CHECK(!is_let_in());
    at.peer.pid++;
    CHECK(is_let_in());
    at.peer.uid = TENANT_UID + 1;
    CHECK(!is_let_in());
    stop();
}

TEST(a_tenant_cannot_keep_root_out)
{
    start(TENANT_UID);
    for (int i = 0; i < ALL - KEPT; i++) {
        at.peer.pid = 1000 + i / OF_ONE;
        CHECK(is_let_in());
    }
    at.peer.pid = 7;
    CHECK(!is_let_in());
    at.peer = (struct sock_peer){.pid = 5, .uid = 0}; /* the daemon, all of them */
    for (int i = 0; i < KEPT; i++)
        CHECK(is_let_in());
    CHECK(!is_let_in());
    stop();
}

TEST(root_s_own_tenant_is_counted_as_any)
{
    start(0);
    for (int i = 0; i < OF_ONE; i++)
        CHECK(is_let_in());
    CHECK(!is_let_in());
    stop();
}

TEST(a_crowd_at_the_door_is_let_in_a_few_at_a_time)
{
    start(TENANT_UID);
    at.peer.uid = 0;
    for (int i = 0; i < 2 * AT_ONCE - 1; i++)
        (void)dial();
    turn();
    CHECK_EQ(at.connections.count, AT_ONCE);
    turn();
    CHECK_EQ(at.connections.count, 2 * AT_ONCE - 1);
    stop();
}

TEST(without_descriptors_the_loop_waits_and_goes_on_afterwards)
{
    uint64_t end_ns = clock_now_ns() + 300 * NS_PER_MS;
    struct rlimit limit, none;
    uint32_t turns = 0;

    start(TENANT_UID);
    (void)dial();
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = (rlim_t)at.fds[0]; /* below what is open: not one more */
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    while (clock_now_ns() < end_ns) {
        (void)uv_run(&at.loop, UV_RUN_ONCE);
        turns++;
    }
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    CHECK(turns < 50); /* a try every 100 ms */
    CHECK_EQ(at.connections.count, 0);
    while (!at.connections.count && clock_now_ns() < end_ns + PATIENCE_NS)
        (void)uv_run(&at.loop, UV_RUN_ONCE);
    CHECK_EQ(at.connections.count, 1);
    stop();
}

TEST(a_file_that_closes_slowly_stops_no_loop)
{
    uint64_t begin_ns = clock_now_ns();
    struct slow_file file;

    for (int i = 0; i < 3; i++) {
        int fd;

        start(TENANT_UID);
        file = slow_file_make();
        fd = dial();
        for (int before = 0; before < i; before++) /* what is no message: what follows */
            CHECK_EQ(sock_send(fd, "x", 1, NULL, 0), 0);
        CHECK_EQ(sock_send(fd, "x", 1, &file.fd, 1), 0); /* is not even read */
        close(file.fd);
        while (!is_ended(fd) && clock_now_ns() < begin_ns + PATIENCE_NS)
            turn();
        CHECK(is_ended(fd));
        CHECK_EQ(at.connections.count, 0);
        CHECK(clock_now_ns() < begin_ns + SLOW_FILE_NS / 2);
        slow_file_let_go(&file);
        while (closer_count(TENANT_UID) && clock_now_ns() < begin_ns + PATIENCE_NS)
            clock_sleep_until_ns(clock_now_ns() + NS_PER_MS);
        CHECK_EQ(closer_count(TENANT_UID), 0);
        stop();
    }
}
