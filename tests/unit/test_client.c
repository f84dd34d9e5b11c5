#include "tests/harness.h"

#include "cli/client.h"
#include "supervisor/runtime.h"
#include "utils/sock.h"
#include "utils/str.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* A supervisor for one request: it sends what it is told to and hangs up. */
static struct {
    struct runtime runtime;
    char folder[RUNTIME_PATH_MAX], tenants[RUNTIME_PATH_MAX], path[RUNTIME_PATH_MAX];
    int listener;
    uint32_t explained_count, request;
    bool has_reply, has_nonsense;
    struct message_reply reply;
    pthread_t thread;
    struct client_explanation explanation;
    struct err err;
} at;

static void answer(int fd)
{
    struct message_explained explained = {.nvml_index = 0};

    for (uint32_t i = 0; i < at.explained_count; i++) {
        message_init(&explained, MESSAGE_EXPLAINED, sizeof(explained));
        explained.nvml_index = i;
        memset(explained.uuid, 'x', sizeof(explained.uuid));
        CHECK_EQ(sock_send(fd, &explained, sizeof(explained), NULL, 0), 0);
    }
    if (at.has_nonsense) {
        struct message_name name = {.name = "x"};

        message_init(&name, MESSAGE_NAME, sizeof(name));
        CHECK_EQ(sock_send(fd, &name, sizeof(name), NULL, 0), 0);
    }
    message_init(&at.reply, MESSAGE_REPLY, sizeof(at.reply));
    if (at.has_reply)
        CHECK_EQ(sock_send(fd, &at.reply, sizeof(at.reply), NULL, 0), 0);
}

static void *serve(void *unused)
{
    struct pollfd poll_fd = {.fd = at.listener, .events = POLLIN};
    struct message_header header;
    int fd;

    CHECK_EQ(poll(&poll_fd, 1, 10000), 1);
    fd = accept4(at.listener, NULL, NULL, SOCK_CLOEXEC);
    if (sock_receive(fd, &header, sizeof(header), NULL, 10000) == sizeof(header))
        at.request = header.type;
    answer(fd);
    close(fd);
    return unused;
}

static void begin(void)
{
    memset(&at, 0, sizeof(at));
    (void)str_format(at.runtime.base, sizeof(at.runtime.base), "/tmp/vgXXXXXX");
    CHECK(mkdtemp(at.runtime.base));
    (void)str_format(at.tenants, sizeof(at.tenants), "%s/tenants", at.runtime.base);
    CHECK_EQ(mkdir(at.tenants, 0700), 0);
    CHECK_OK(runtime_path(&at.runtime, "a", NULL, at.folder, &at.err), &at.err);
    CHECK_EQ(mkdir(at.folder, 0700), 0);
    CHECK_OK(runtime_path(&at.runtime, "a", "control", at.path, &at.err), &at.err);
    CHECK_OK(sock_listen(&at.listener, at.path, &at.err), &at.err);
}

static int explain(void)
{
    int rc;

    CHECK_EQ(pthread_create(&at.thread, NULL, serve, NULL), 0);
    rc = client_explain(&at.runtime, "a", &at.explanation, &at.err);
    CHECK_EQ(pthread_join(at.thread, NULL), 0);
    return rc;
}

static void end(void)
{
    close(at.listener);
    unlink(at.path);
    rmdir(at.folder);
    rmdir(at.tenants);
    rmdir(at.runtime.base);
}

TEST(an_explanation_comes_for_each_gpu)
{
    begin();
    at.explained_count = 2;
    at.has_reply = true;
    CHECK_OK(explain(), &at.err);
    CHECK_EQ(at.request, MESSAGE_EXPLAIN);
    CHECK_EQ(at.explanation.gpu_count, 2);
    CHECK_EQ(at.explanation.gpus[1].nvml_index, 1);
    CHECK_EQ(strlen(at.explanation.gpus[1].uuid), sizeof(at.explanation.gpus[1].uuid) - 1);
    end();
}

TEST(more_gpus_than_there_can_be_are_left_out)
{
    begin();
    at.explained_count = REGION_GPUS_MAX + 3;
    at.has_reply = true;
    CHECK_OK(explain(), &at.err);
    CHECK_EQ(at.explanation.gpu_count, REGION_GPUS_MAX);
    end();
}

TEST(a_refusal_comes_with_its_words)
{
    begin();
    at.has_reply = true;
    at.reply.status = -EPERM;
    (void)str_format(at.reply.text, sizeof(at.reply.text), "not yours");
    CHECK_EQ(explain(), -EPERM);
    CHECK_STR_EQ(at.err.text, "not yours");
    end();
}

TEST(half_an_answer_is_none)
{
    begin();
    at.explained_count = 1;
    CHECK_EQ(explain(), -ECONNRESET);
    end();
}

TEST(an_answer_to_something_else_is_none)
{
    begin();
    at.has_nonsense = true; /* Alone: the client may have hung up before a second message. */
    CHECK_EQ(explain(), -EPROTO);
    end();
}

TEST(a_tenant_that_is_not_there_is_told_from_one_without_a_supervisor)
{
    begin();
    CHECK_EQ(client_explain(&at.runtime, "b", &at.explanation, &at.err), -ENOENT);
    CHECK(strstr(at.err.text, "there is no tenant 'b'"));
    close(at.listener);
    CHECK_EQ(client_explain(&at.runtime, "a", &at.explanation, &at.err), -ECONNREFUSED);
    CHECK(strstr(at.err.text, "has no supervisor"));
    end();
}

/* --- set, and the daemon --- */

static int set(void)
{
    struct message_set message = {.fields = MESSAGE_SET_WEIGHT, .gpu_mask = UINT32_MAX};

    message_init(&message, MESSAGE_SET, sizeof(message));
    message.weight = 2;
    return client_set(&at.runtime, "a", &message, &at.err);
}

/* A daemon that takes the tenant's name and nothing more. */
static void *serve_select(void *unused)
{
    struct pollfd poll_fd = {.fd = at.listener, .events = POLLIN};
    struct message_name name;
    int fd;

    CHECK_EQ(poll(&poll_fd, 1, 10000), 1);
    fd = accept4(at.listener, NULL, NULL, SOCK_CLOEXEC);
    CHECK_EQ(sock_receive(fd, &name, sizeof(name), NULL, 10000), (ssize_t)sizeof(name));
    CHECK_EQ(shutdown(fd, SHUT_RD), 0); /* before the answer: whatever comes then is refused */
    answer(fd);
    close(fd);
    return unused;
}

TEST(a_change_that_cannot_be_sent_has_words)
{
    begin();
    close(at.listener);
    CHECK_EQ(setenv("VGPU_RUNTIME_DIR", at.runtime.base, 1), 0);
    unlink(at.path);
    (void)str_format(at.path, sizeof(at.path), "%s/control", at.runtime.base);
    CHECK_OK(sock_listen(&at.listener, at.path, &at.err), &at.err);
    at.has_reply = true;
    CHECK_EQ(pthread_create(&at.thread, NULL, serve_select, NULL), 0);
    at.err = (struct err){0};
    CHECK_EQ(set(), -EPIPE);
    CHECK(strstr(at.err.text, "ask the supervisor of 'a'"));
    CHECK_EQ(pthread_join(at.thread, NULL), 0);
    CHECK_EQ(unsetenv("VGPU_RUNTIME_DIR"), 0);
    end();
}

TEST(one_s_own_tenant_is_changed_without_the_daemon)
{
    char folder[32] = "/tmp/vgXXXXXX", path[64];
    struct pollfd asked = {.events = POLLIN};

    begin();
    CHECK(mkdtemp(folder));
    (void)str_format(path, sizeof(path), "%s/control", folder);
    CHECK_OK(sock_listen(&asked.fd, path, &at.err), &at.err);
    CHECK_EQ(setenv("VGPU_RUNTIME_DIR", folder, 1), 0);
    at.has_reply = true;
    CHECK_EQ(pthread_create(&at.thread, NULL, serve, NULL), 0);
    CHECK_OK(set(), &at.err);
    CHECK_EQ(pthread_join(at.thread, NULL), 0);
    CHECK_EQ(poll(&asked, 1, 0), 0); /* it might hang, and was not asked */
    CHECK_EQ(unsetenv("VGPU_RUNTIME_DIR"), 0);
    close(asked.fd);
    unlink(path);
    rmdir(folder);
    end();
}
