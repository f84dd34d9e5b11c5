#include "tests/harness.h"

#include "cli/node_client.h"
#include "utils/clock.h"
#include "utils/sock.h"
#include "utils/str.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * What is tested remembers for a while whether the daemon is silent: each test is a process of its
 * own, with a daemon in another.
 */
static struct {
    char folder[32], path[64];
    int listen_fd;
    pid_t daemon;
    int names;
    uint32_t question; /* the daemon's: the message that came */
    uint64_t later_ns; /* of the asking process: how far its clock goes before */
} at;

uint64_t __real_clock_now_ns(void);
uint64_t __wrap_clock_now_ns(void);

uint64_t __wrap_clock_now_ns(void)
{
    return __real_clock_now_ns() + at.later_ns;
}

typedef void daemon_part(int fd);

static void send_message(int fd, void *message, enum message_type type, size_t size)
{
    message_init(message, type, size);
    (void)!sock_send(fd, message, size, NULL, 0);
}

static void reply(int fd, int status, const char *text)
{
    struct message_reply message = {.status = status};

    (void)str_format(message.text, sizeof(message.text), "%s", text);
    send_message(fd, &message, MESSAGE_REPLY, sizeof(message));
}

/* Waits for a question, and answers with `part`; for each connection. */
static void serve(daemon_part *part)
{
    union {
        struct message_header header;
        char bytes[MESSAGE_SIZE_MAX];
    } message;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        int fd = -1;

        while (fd < 0)
            fd = accept(at.listen_fd, NULL, NULL); /* non-blocking: it comes in a moment */
        if (sock_receive(fd, &message, sizeof(message), NULL, -1) > 0) {
            at.question = message.header.type;
            part(fd);
        }
        (void)!sock_receive(fd, &message, sizeof(message), NULL, -1); /* until it goes */
        (void)close(fd);
    }
}

static void start(daemon_part *part)
{
    struct err err;

    memset(&at, 0, sizeof(at));
    (void)str_format(at.folder, sizeof(at.folder), "/tmp/vgunitXXXXXX");
    CHECK(mkdtemp(at.folder) != NULL);
    CHECK_EQ(setenv("VGPU_RUNTIME_DIR", at.folder, 1), 0);
    (void)str_format(at.path, sizeof(at.path), "%s/control", at.folder);
    if (!part)
        return;
    CHECK_OK(sock_listen(&at.listen_fd, at.path, &err), &err);
    at.daemon = fork();
    if (at.daemon == 0)
        serve(part);
    CHECK(at.daemon > 0);
}

static void stop(void)
{
    if (at.daemon) {
        CHECK_EQ(kill(at.daemon, SIGKILL), 0);
        CHECK_EQ(waitpid(at.daemon, NULL, 0), at.daemon);
        close(at.listen_fd);
    }
    (void)unlink(at.path);
    CHECK_EQ(rmdir(at.folder), 0);
}

/* What a process of its own returns. */
static int in_child(int (*ask)(void))
{
    pid_t child = fork();
    int status;

    if (child == 0)
        _exit(-ask());
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    return -WEXITSTATUS(status);
}

static void count_name(void *context, const char *name)
{
    (void)context;
    at.names += str_starts_with(name, "t");
}

static int list(void)
{
    int rc = node_client_list(count_name, NULL, NULL);

    return rc ? rc : -at.names;
}

static int select_one(void)
{
    struct err err;
    int fd = -1, rc = node_client_select(&fd, "t", &err);

    if (rc < 0 && fd != -1)
        return -EFAULT;
    return rc;
}

static int create(void)
{
    struct message_create create = {.queue_ms = 0};
    struct message_created created;
    int fd = -1, front = -1, rc = node_client_connect(&fd, NULL), ends[2];
    struct err err;

    if (rc < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -EFAULT;
    message_init(&create, MESSAGE_CREATE, sizeof(create));
    front = ends[0];
    rc = node_client_create(fd, &create, &front, &created, &err);
    return front == -1 ? rc : -EFAULT;
}

static int reload(void)
{
    return node_client_reload(NULL);
}

/* --- there or not --- */

TEST(where_nobody_listens_there_is_no_daemon)
{
    start(NULL);
    CHECK_EQ(in_child(list), -ENOENT);
    CHECK_EQ(in_child(select_one), -ENOENT);
    CHECK_EQ(in_child(reload), -ENOENT);
    CHECK_EQ(setenv("VGPU_RUNTIME_DIR",
                    "/a-path-that-is-much-too-long-for-a-socket-as-it-has-more-than-one-hundred-"
                    "and-eight-characters-in-it-by-far",
                    1),
             0);
    CHECK_EQ(in_child(list), -ENOENT);
    stop();
}

static void name_two(int fd)
{
    struct message_name message = {.name = "t1"};

    send_message(fd, &message, MESSAGE_NAME, sizeof(message));
    send_message(fd, &message, MESSAGE_NAME, sizeof(message));
    reply(fd, 0, "");
}

TEST(the_daemon_s_tenants_are_listed)
{
    start(name_two);
    CHECK_EQ(in_child(list), -2);
    stop();
}

static void refuse(int fd)
{
    reply(fd, -EPERM, "no");
}

TEST(a_refusal_comes_back)
{
    start(refuse);
    CHECK_EQ(in_child(select_one), -EPERM);
    CHECK_EQ(in_child(reload), -EPERM);
    stop();
}

static void refuse_creation(int fd)
{
    struct message_created message = {.status = -ENOSPC};

    memset(message.name, 'n', sizeof(message.name)); /* strings without an end */
    memset(message.control_path, 'c', sizeof(message.control_path));
    memset(message.visible, 'v', sizeof(message.visible));
    memset(message.text, 't', sizeof(message.text));
    send_message(fd, &message, MESSAGE_CREATED, sizeof(message));
}

TEST(a_tenant_that_is_refused_has_no_front_any_more)
{
    start(refuse_creation);
    CHECK_EQ(in_child(create), -ENOSPC);
    stop();
}

/* --- one that is none --- */

static void send_garbage(int fd)
{
    (void)!sock_send(fd, "garbage", 7, NULL, 0);
}

static void send_something_else(int fd)
{
    struct message_welcome message = {.status = 0};

    send_message(fd, &message, MESSAGE_WELCOME, sizeof(message));
}

static void hang_up(int fd)
{
    (void)shutdown(fd, SHUT_RDWR);
}

TEST(garbage_something_else_and_an_end_are_errors)
{
    start(send_garbage);
    CHECK_EQ(in_child(list), -EPROTO);
    CHECK_EQ(in_child(select_one), -EPROTO);
    CHECK_EQ(in_child(create), -EPROTO);
    stop();
    start(send_something_else);
    CHECK_EQ(in_child(select_one), -EPROTO);
    CHECK_EQ(in_child(create), -EPROTO);
    stop();
    start(hang_up);
    CHECK_EQ(in_child(list), -ECONNRESET);
    CHECK_EQ(in_child(select_one), -ECONNRESET);
    CHECK_EQ(in_child(create), -ECONNRESET);
    stop();
}

static void say_nothing(int fd)
{
    (void)fd;
}

/* Both in one process: the second time nobody waits. */
static int ask_twice(void)
{
    return select_one() == -EAGAIN ? list() : -EFAULT;
}

TEST(a_daemon_that_is_silent_is_not_there_at_first)
{
    start(say_nothing);
    CHECK_EQ(in_child(ask_twice), -ENOENT);
    stop();
}

/* It says nothing to SELECT, and answers a list. */
static void hear_lists_alone(int fd)
{
    if (at.question != MESSAGE_SELECT)
        name_two(fd);
}

static int ask_later(void)
{
    if (ask_twice() != -ENOENT)
        return -EFAULT;
    at.later_ns = 5 * NS_PER_SEC;
    return list();
}

TEST(and_is_asked_again_after_some_seconds)
{
    start(hear_lists_alone);
    CHECK_EQ(in_child(ask_later), -2);
    stop();
}

/* As somebody else, whom the listener's user could deceive. */
static int list_as_somebody(void)
{
    if (setuid(54321) < 0)
        return -EFAULT;
    return list();
}

static void listen_as(uid_t uid)
{
    struct err err;

    CHECK_EQ(seteuid(uid), 0);
    CHECK_OK(sock_listen(&at.listen_fd, at.path, &err), &err);
    CHECK_EQ(seteuid(0), 0);
}

TEST(a_socket_of_somebody_else_s_is_not_believed)
{
    if (geteuid() != 0)
        return; /* only root can be two */
    start(NULL);
    CHECK_EQ(chown(at.folder, 11111, (gid_t)-1), 0);
    CHECK_EQ(chmod(at.folder, 0711), 0);
    listen_as(11111);
    CHECK_EQ(chmod(at.path, 0666), 0);
    at.daemon = fork();
    if (at.daemon == 0)
        serve(name_two);
    CHECK_EQ(in_child(list_as_somebody), -ENOENT);
    CHECK_EQ(in_child(list), -ENOENT); /* nor by root */
    stop();
}
