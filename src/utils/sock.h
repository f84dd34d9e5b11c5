#pragma once
/*
 * sock - SOCK_SEQPACKET unix sockets that carry whole messages and descriptors. Every descriptor is
 * O_CLOEXEC, every call may be non-blocking, and no call raises SIGPIPE.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SOCK_FDS_MAX 8

/* Descriptors that came with a message. */
struct sock_fds {
    int values[SOCK_FDS_MAX];
    size_t count; /* in: so many are wanted at most; out: so many came, which the caller closes */
    /* Closes what is not wanted; NULL: close(). A stranger's may take long: utils/closer.h. */
    void (*close)(int *fd, uid_t uid);
    uid_t uid; /* for it: who sends */
};

struct sock_peer {
    pid_t pid; /* in our pid namespace; 0 where it has none there */
    uid_t uid;
    gid_t gid;
};

/* Binds and listens, mode 0600; an old socket at the path is replaced. Non-blocking. */
int sock_listen(int *ret_fd, const char *path, struct err *err) MUST_CHECK;

/* Connects; `timeout_ms` bounds the wait for a full backlog. The socket is blocking afterwards. */
int sock_connect(int *ret_fd, const char *path, int timeout_ms, struct err *err) MUST_CHECK;

int sock_get_peer(struct sock_peer *ret_peer, int fd, struct err *err) MUST_CHECK;

/* The next one that waits to be accepted, non-blocking; -EAGAIN where none does. */
int sock_accept(int *ret_fd, int listen_fd, struct sock_peer *ret_peer) MUST_CHECK;

/*
 * Whether sock_accept() found no descriptor or memory left. Whoever waits there keeps the socket
 * readable: without a pause a loop would do nothing else.
 */
bool sock_is_exhausted(int rc) MUST_CHECK;

/* Room for a burst of hundreds of messages, as far as the kernel allows; else it is for 277. */
void sock_make_room(int fd);

/* Sends one message with up to SOCK_FDS_MAX descriptors. Never blocks: -EAGAIN where it would. */
int sock_send(int fd, const void *message, size_t size, const int *fds, size_t fd_count) MUST_CHECK;

/*
 * Receives one message. Returns its length, 0 at the end (an empty message is one, too), -EAGAIN
 * where none came within timeout_ms (0: at once, -1: for ever), -EMSGSIZE where it was longer than
 * `size`. Descriptors that came with the latter two, or beyond fds->count, or while `fds` is NULL,
 * are closed.
 */
ssize_t sock_receive(int fd, void *message, size_t size, struct sock_fds *fds,
                     int timeout_ms) MUST_CHECK;

/* Closes those that came and were not taken (-1), as `fds` says. NULL is fine. */
void sock_close_fds(struct sock_fds *fds);
