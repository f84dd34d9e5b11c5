#include "utils/closer.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define QUEUES_MAX   32   /* users whose files stand still at the same time; more share them */
#define MESSAGES_MAX 1024 /* read from a socket at its end */

struct queue {
    uid_t uid;
    int *fds;
    size_t count, room; /* of `fds` */
    bool is_running;    /* its thread; it closes one that is not in `fds` any more */
};

/* The first one is root's, whom nobody else keeps waiting. */
static struct {
    pthread_mutex_t lock;
    struct queue queues[QUEUES_MAX];
} state = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool is_idle(const struct queue *queue)
{
    return !queue->count && !queue->is_running;
}

/* NULL: nothing of this user's is left to close. */
static struct queue *find(uid_t uid)
{
    for (size_t i = uid ? 1 : 0; i < (uid ? QUEUES_MAX : 1); i++)
        if (state.queues[i].uid == uid && !is_idle(&state.queues[i]))
            return &state.queues[i];
    return NULL;
}

static struct queue *choose(uid_t uid)
{
    struct queue *queue = find(uid);

    for (size_t i = uid ? 1 : 0; i < QUEUES_MAX && !queue; i++)
        if (is_idle(&state.queues[i])) {
            queue = &state.queues[i];
            queue->uid = uid;
        }
    return queue ? queue : &state.queues[1 + uid % (QUEUES_MAX - 1)];
}

static void *run(void *context)
{
    struct queue *queue = context;

    (void)pthread_mutex_lock(&state.lock); /* none of these can fail */
    while (queue->count) {
        int fd = queue->fds[--queue->count];

        (void)pthread_mutex_unlock(&state.lock);
        (void)close(fd);
        (void)pthread_mutex_lock(&state.lock);
    }
    queue->is_running = false;
    free(queue->fds);
    queue->fds = NULL;
    queue->room = 0;
    (void)pthread_mutex_unlock(&state.lock);
    return NULL;
}

static bool append(struct queue *queue, int fd)
{
    if (queue->count == queue->room) {
        size_t room = queue->room ? 2 * queue->room : 64;
        int *fds = realloc(queue->fds, room * sizeof(*fds));

        if (!fds)
            return false;
        queue->fds = fds;
        queue->room = room;
    }
    queue->fds[queue->count++] = fd;
    return true;
}

/* Where none can be made what waits is closed with the next one's. */
static void start(struct queue *queue)
{
    sigset_t all, before;
    pthread_t thread;

    if (queue->is_running)
        return;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the others */
    queue->is_running = pthread_create(&thread, NULL, run, queue) == 0;
    if (queue->is_running)
        (void)pthread_detach(thread);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void closer_close(int *fd, uid_t uid)
{
    struct queue *queue;
    bool is_queued;

    if (*fd < 0)
        return;
    (void)pthread_mutex_lock(&state.lock);
    queue = choose(uid);
    is_queued = append(queue, *fd);
    if (is_queued)
        start(queue);
    (void)pthread_mutex_unlock(&state.lock);
    if (is_queued)
        *fd = -1;
    else
        attr_close(fd); /* no memory */
    *fd = -1;
}

size_t closer_count(uid_t uid)
{
    const struct queue *queue;
    size_t count;

    (void)pthread_mutex_lock(&state.lock);
    queue = find(uid);
    count = queue ? queue->count + queue->is_running : 0;
    (void)pthread_mutex_unlock(&state.lock);
    return count;
}

/*
 * Whether nothing is left in a socket that was shut down. A message's credentials tell an empty one
 * from the end; the descriptors of one that is only looked at stay where they are.
 */
static bool is_empty(int fd)
{
    int yes = 1;

    if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)) < 0)
        return false;
    for (int i = 0; i < MESSAGES_MAX; i++) {
        union {
            char bytes[CMSG_SPACE(sizeof(struct ucred))];
            struct cmsghdr align;
        } control;
        char byte;
        struct iovec part = {.iov_base = &byte, .iov_len = 1};
        struct msghdr header = {.msg_iov = &part,
                                .msg_iovlen = 1,
                                .msg_control = control.bytes,
                                .msg_controllen = sizeof(control.bytes)};
        ssize_t length = recvmsg(fd, &header, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

        if (length < 0 && errno == ECONNRESET)
            continue; /* the other end had not read all: that is said once */
        if (length < 0)
            return errno == EAGAIN;
        if (!length && !header.msg_controllen)
            return true;
        if (header.msg_flags & MSG_CTRUNC)
            return false; /* it carries descriptors */
        if (recv(fd, &byte, 1, MSG_DONTWAIT) < 0)
            return false;
    }
    return false;
}

void closer_end(int *fd, uid_t uid)
{
    if (*fd < 0)
        return;
    (void)shutdown(*fd, SHUT_RDWR); /* nothing comes from now on */
    if (is_empty(*fd))
        attr_close(fd);
    else
        closer_close(fd, uid);
    *fd = -1;
}
