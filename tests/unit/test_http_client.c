#include "tests/harness.h"

#include "cli/http_client.h"
#include "utils/str.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A server for one connection, which says what it is told to and hangs up. */
static struct {
    char folder[32], path[64], request[1024], body[256];
    const char *answer;
    size_t body_length;
    int listener;
    pthread_t thread;
    struct http_client client;
    struct err err;
} at;

static void *serve(void *unused)
{
    int fd = accept(at.listener, NULL, NULL);
    ssize_t length = 0;

    while (!strstr(at.request, "\r\n\r\n")) {
        ssize_t more = recv(fd, at.request + length, sizeof(at.request) - 1 - (size_t)length, 0);

        if (more <= 0)
            break;
        length += more;
    }
    for (const char *c = at.answer; *c; c++)
        if (send(fd, c, 1, MSG_NOSIGNAL) != 1)
            break;
    close(fd);
    return unused;
}

static int take(void *context, const char *bytes, size_t size, struct err *err)
{
    CHECK(at.body_length + size < sizeof(at.body));
    memcpy(at.body + at.body_length, bytes, size);
    at.body_length += size;
    return 0;
}

static void begin(const char *answer)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    memset(&at, 0, sizeof(at));
    at.answer = answer;
    (void)str_format(at.folder, sizeof(at.folder), "/tmp/vgXXXXXX");
    CHECK(mkdtemp(at.folder));
    (void)str_format(at.path, sizeof(at.path), "%s/api", at.folder);
    (void)str_format(address.sun_path, sizeof(address.sun_path), "%s", at.path);
    at.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_EQ(bind(at.listener, (struct sockaddr *)&address, sizeof(address)), 0);
    CHECK_EQ(listen(at.listener, 1), 0);
    CHECK_EQ(pthread_create(&at.thread, NULL, serve, NULL), 0);
    CHECK_OK(http_client_open(&at.client, at.path, "/api/v1/events?after=3", "X: y\r\n", &at.err),
             &at.err);
    http_client_set_sink(&at.client, take, NULL);
}

static void end(void)
{
    http_client_close(&at.client);
    CHECK_EQ(pthread_join(at.thread, NULL), 0);
    close(at.listener);
    unlink(at.path);
    rmdir(at.folder);
}

/* Reads until the end or a failure, which it returns. */
static int read_all(void)
{
    int rc;

    do {
        struct pollfd poll_fd = {.fd = at.client.fd, .events = POLLIN};

        CHECK(poll(&poll_fd, 1, 10000) == 1);
        rc = http_client_read(&at.client, &at.err);
    } while (rc == 1 || rc == -EAGAIN);
    return rc;
}

TEST(a_request_is_one_that_any_server_understands)
{
    begin("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    CHECK_OK(read_all(), &at.err);
    CHECK_STR_EQ(at.body, "ok");
    end();
    CHECK_STR_EQ(at.request, "GET /api/v1/events?after=3 HTTP/1.1\r\nHost: localhost\r\n"
                             "User-Agent: vgpu\r\nX: y\r\n\r\n");
}

TEST(the_head_is_there_before_the_body)
{
    begin("HTTP/1.1 503 Not Now\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nwhy\r\n0\r\n\r\n");
    CHECK_OK(http_client_read_head(&at.client, 10000, &at.err), &at.err);
    CHECK_EQ(at.client.answer.status, 503);
    if (at.client.answer.state != ANSWER_READER_DONE)
        CHECK_OK(read_all(), &at.err);
    CHECK_STR_EQ(at.body, "why");
    end();
}

TEST(a_connection_that_ends_too_early_is_an_error)
{
    begin("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
    CHECK_EQ(read_all(), -EPROTO);
    end();
    begin("");
    CHECK_EQ(http_client_read_head(&at.client, 10000, &at.err), -EPROTO);
    end();
}

TEST(what_is_no_answer_is_an_error)
{
    begin("220 mail.example ESMTP\r\n");
    CHECK_EQ(http_client_read_head(&at.client, 10000, &at.err), -EPROTO);
    end();
}

TEST(a_server_that_says_nothing_is_waited_for_no_longer_than_asked)
{
    int pair[2];

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    at.client.fd = pair[0];
    http_client_set_sink(&at.client, take, NULL);
    CHECK_EQ(http_client_read_head(&at.client, 20, &at.err), -ETIMEDOUT);
    http_client_close(&at.client);
    close(pair[1]);
}

TEST(nobody_listening_is_an_error_with_words)
{
    struct err err;

    CHECK_EQ(http_client_open(&at.client, "/tmp/there/is/no/such", "/", "", &err), -ENOENT);
    CHECK(strstr(err.text, "/tmp/there/is/no/such"));
}
