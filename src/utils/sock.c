#include "utils/sock.h"

#include "utils/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG     128
#define BURST_BYTES (1024 * 1024)

#define KERNEL_FDS_MAX 253 /* that can come with a message: SCM_MAX_FD of the kernel */

union control_buffer {
    char bytes[CMSG_SPACE(sizeof(int) * SOCK_FDS_MAX)];
    struct cmsghdr align;
};

/* With less room the kernel would close what does not fit, in the midst of our call. */
union control_room {
    char bytes[CMSG_SPACE(sizeof(int) * KERNEL_FDS_MAX)];
    struct cmsghdr align;
};

static int fill_address(struct sockaddr_un *address, const char *path, struct err *err)
{
    size_t length = strlen(path);

    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (length >= sizeof(address->sun_path))
        return err_set(err, ENAMETOOLONG, "socket '%s' (at most %zu characters)", path,
                       sizeof(address->sun_path) - 1);
    memcpy(address->sun_path, path, length + 1);
    return 0;
}

int sock_listen(int *ret_fd, const char *path, struct err *err)
{
    CLEANUP_CLOSE int fd = -1;
    struct sockaddr_un address;
    int rc = fill_address(&address, path, err);

    if (rc < 0)
        return rc;
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set(err, errno, "make a socket");
    if (unlink(path) < 0 && errno != ENOENT)
        return err_set(err, errno, "replace socket '%s'", path);
    /* The mode of the socket file is that of the descriptor; nobody can connect before listen(). */
    if (fchmod(fd, 0600) < 0)
        return err_set(err, errno, "protect socket '%s'", path);
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return err_set(err, errno, "bind socket '%s'", path);
    if (listen(fd, BACKLOG) < 0)
        return err_set(err, errno, "listen on socket '%s'", path);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int sock_connect(int *ret_fd, const char *path, int timeout_ms, struct err *err)
{
    CLEANUP_CLOSE int fd = -1;
    struct timeval timeout = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    struct timeval for_ever = {0};
    struct sockaddr_un address;
    int rc = fill_address(&address, path, err);

    if (rc < 0)
        return rc;
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_set(err, errno, "make a socket");
    /* For a unix socket the send timeout bounds the wait for room in the backlog. */
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    while (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        if (errno != EINTR)
            return err_set(err, errno, "connect to '%s'", path);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &for_ever, sizeof(for_ever));
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int sock_get_peer(struct sock_peer *ret_peer, int fd, struct err *err)
{
    struct ucred credentials;
    socklen_t length = sizeof(credentials);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) < 0)
        return err_set(err, errno, "ask who is at the other end of a socket");
    *ret_peer =
        (struct sock_peer){.pid = credentials.pid, .uid = credentials.uid, .gid = credentials.gid};
    return 0;
}

int sock_accept(int *ret_fd, int listen_fd, struct sock_peer *ret_peer)
{
    CLEANUP_CLOSE int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    int rc = fd < 0 ? -errno : sock_get_peer(ret_peer, fd, NULL);

    if (rc < 0)
        return rc;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

bool sock_is_exhausted(int rc)
{
    return rc == -EMFILE || rc == -ENFILE || rc == -ENOMEM || rc == -ENOBUFS;
}

void sock_make_room(int fd)
{
    int size = BURST_BYTES;

    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)); /* cut to what may be */
}

int sock_send(int fd, const void *message, size_t size, const int *fds, size_t fd_count)
{
    union control_buffer control;
    struct iovec part = {.iov_len = size};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t sent;

    memcpy(&part.iov_base, &message, sizeof(message)); /* sendmsg() does not write there */
    if (fd_count > SOCK_FDS_MAX)
        return -EINVAL;
    if (fd_count) {
        struct cmsghdr *rights = &control.align;

        memset(&control, 0, sizeof(control));
        header.msg_control = control.bytes;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(rights), fds, sizeof(int) * fd_count);
    }
    do {
        sent = sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

static void drop_fd(const struct sock_fds *fds, int fd)
{
    if (fds && fds->close)
        fds->close(&fd, fds->uid);
    else
        attr_close(&fd);
}

static void take_fds(struct msghdr *header, struct sock_fds *fds)
{
    size_t room = fds ? fds->count : 0, taken = 0;

    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part)) {
        size_t count;

        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(fd));
            if (taken < room)
                fds->values[taken++] = fd;
            else
                drop_fd(fds, fd);
        }
    }
    if (fds)
        fds->count = taken;
}

void sock_close_fds(struct sock_fds *fds)
{
    for (size_t i = 0; fds && i < fds->count; i++)
        drop_fd(fds, TAKE_FD(fds->values[i]));
    if (fds)
        fds->count = 0;
}

/* Waits until something can be received; -EAGAIN at the end of the time. */
static int wait_readable(int fd, int timeout_ms)
{
    uint64_t end_ns = clock_now_ns() + (uint64_t)(timeout_ms < 0 ? 0 : timeout_ms) * NS_PER_MS;
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    int rc;

    do {
        int left_ms = timeout_ms;

        if (timeout_ms > 0) {
            uint64_t now_ns = clock_now_ns();

            left_ms = now_ns < end_ns ? (int)((end_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS) : 0;
        }
        rc = poll(&poll_fd, 1, left_ms);
    } while (rc < 0 && errno == EINTR);
    if (rc < 0)
        return -errno;
    return rc ? 0 : -EAGAIN;
}

ssize_t sock_receive(int fd, void *message, size_t size, struct sock_fds *fds, int timeout_ms)
{
    union control_room control;
    struct iovec part = {.iov_base = message, .iov_len = size};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof(control.bytes)};
    ssize_t received;
    int rc = timeout_ms ? wait_readable(fd, timeout_ms) : 0;

    if (rc < 0)
        return rc;
    do {
        received = recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (received < 0 && errno == EINTR);
    if (received < 0)
        return -errno;
    take_fds(&header, fds);
    if (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        sock_close_fds(fds);
        return -EMSGSIZE;
    }
    if (!received)
        sock_close_fds(fds); /* an empty message may carry some: nobody looks for them at the end */
    return received;
}
