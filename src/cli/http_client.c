#include "cli/http_client.h"

#include "utils/clock.h"
#include "utils/str.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define REQUEST_MAX 1024

static int connect_to(int *ret_fd, const char *path, struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return err_set(err, errno, "make a socket");
    if (!str_format(address.sun_path, sizeof(address.sun_path), "%s", path))
        return err_set(err, ENAMETOOLONG, "socket '%s'", path);
    /* Non-blocking: EAGAIN is a full backlog, which is an answer as well. */
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return err_set(err, errno, "connect to '%s'", path);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int http_client_open(struct http_client *ret_client, const char *path, const char *target,
                     const char *headers, struct err *err)
{
    CLEANUP_CLOSE int fd = -1;
    char text[REQUEST_MAX];
    struct str request;
    int rc = connect_to(&fd, path, err);

    if (rc < 0)
        return rc;
    str_init(&request, text, sizeof(text));
    str_add(&request, "GET %s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: vgpu\r\n%s\r\n", target,
            headers);
    if (request.is_cut)
        return err_set(err, EMSGSIZE, "ask for '%s'", target);
    /* An empty socket's buffer takes so little at once. */
    if (send(fd, text, request.length, MSG_NOSIGNAL) != (ssize_t)request.length)
        return err_set(err, errno, "ask '%s'", path);
    *ret_client = (struct http_client){.fd = TAKE_FD(fd)};
    return 0;
}

void http_client_set_sink(struct http_client *client, answer_reader_sink *sink, void *context)
{
    answer_reader_init(&client->answer, sink, context);
}

void http_client_close(struct http_client *client)
{
    attr_close(&client->fd);
    client->fd = -1;
}

int http_client_read(struct http_client *client, struct err *err)
{
    char bytes[16384];
    ssize_t length;
    int rc;

    do {
        length = recv(client->fd, bytes, sizeof(bytes), 0);
    } while (length < 0 && errno == EINTR);
    if (length < 0)
        return errno == EAGAIN ? -EAGAIN : err_set(err, errno, "read the answer");
    if (!length && !answer_reader_may_end(&client->answer))
        return err_say(err, EPROTO, "the connection ended within the answer");
    if (!length)
        return 0;
    rc = answer_reader_feed(&client->answer, bytes, (size_t)length, err);
    if (rc < 0)
        return rc;
    return client->answer.state == ANSWER_READER_DONE ? 0 : 1;
}

int http_client_read_head(struct http_client *client, int timeout_ms, struct err *err)
{
    uint64_t end_ns = clock_now_ns() + (uint64_t)timeout_ms * NS_PER_MS;

    while (!answer_reader_has_head(&client->answer)) {
        uint64_t now_ns = clock_now_ns();
        struct pollfd poll_fd = {.fd = client->fd, .events = POLLIN};
        int rc;

        if (now_ns >= end_ns)
            return err_say(err, ETIMEDOUT, "no answer within %d ms", timeout_ms);
        rc = poll(&poll_fd, 1, (int)((end_ns - now_ns) / NS_PER_MS) + 1);
        if (rc < 0 && errno != EINTR)
            return err_set(err, errno, "wait for the answer");
        rc = http_client_read(client, err);
        if (rc < 0 && rc != -EAGAIN)
            return rc;
    }
    return 0;
}
