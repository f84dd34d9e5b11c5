#include "hypervisor/http_clock.h"

#include "utils/atomics.h"
#include "utils/clock.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

/* How often deadlines and readers that went away are looked for. */
#define LOOK_NS NS_PER_SEC

struct http_clock {
    _Atomic uint32_t references; /* relaxed up, ordered down */
    pthread_mutex_t lock;        /* guards all below, and the connections */
    pthread_cond_t changed;
    pthread_t thread;
    struct http_connection *first;
    uint64_t kicks;
    bool is_dirty; /* something has changed since the thread looked */
    bool is_stopping;
};

static void lock(struct http_clock *clock)
{
    (void)pthread_mutex_lock(&clock->lock); /* fails for misuse only */
}

static void unlock(struct http_clock *clock)
{
    (void)pthread_mutex_unlock(&clock->lock);
}

static void wake_thread(struct http_clock *clock)
{
    clock->is_dirty = true;
    (void)pthread_cond_signal(&clock->changed); /* cannot fail */
}

static uint64_t after(uint64_t timeout_ns)
{
    return timeout_ns == HTTP_WAKE_NEVER ? HTTP_WAKE_NEVER : clock_now_ns() + timeout_ns;
}

/* The library does not look at a suspended connection's socket. */
static bool is_peer_gone(const struct http_connection *connection)
{
    struct pollfd polled = {.fd = connection->fd, .events = POLLRDHUP};

    return poll(&polled, 1, 0) == 1 && polled.revents;
}

static void look_for_peer(struct http_connection *connection)
{
    const struct http_later *later = connection->later;

    if (connection->is_stream)
        connection->is_gone = is_peer_gone(connection);
    else if (later && later->abandon && is_peer_gone(connection))
        later->abandon(connection->later);
}

static bool is_due(const struct http_clock *clock, const struct http_connection *connection,
                   uint64_t now_ns)
{
    if (clock->is_stopping || now_ns >= connection->wake_ns)
        return true;
    if (connection->later)
        return connection->later->is_ready(connection->later);
    return connection->is_stream && connection->kicks_seen != clock->kicks;
}

static void resume(struct http_connection *connection)
{
    connection->is_suspended = false;
    connection->later = NULL;
    MHD_resume_connection(connection->library);
}

/* Wakes and ends what is due; returns when the next is. */
static uint64_t look(struct http_clock *clock, uint64_t now_ns, bool is_thorough)
{
    uint64_t next_ns = HTTP_WAKE_NEVER;

    for (struct http_connection *each = clock->first; each; each = each->next) {
        if (each->is_suspended && is_thorough)
            look_for_peer(each);
        if (each->is_suspended && (each->is_gone || is_due(clock, each, now_ns)))
            resume(each);
        if (each->is_suspended && each->wake_ns < next_ns)
            next_ns = each->wake_ns;
        if (each->is_suspended || now_ns < each->deadline_ns)
            continue;
        (void)shutdown(each->fd, SHUT_RDWR); /* the library sees the end and closes it */
        each->deadline_ns = HTTP_WAKE_NEVER;
    }
    return next_ns;
}

static void wait_until(struct http_clock *clock, uint64_t instant_ns)
{
    struct timespec instant = {.tv_sec = (time_t)(instant_ns / NS_PER_SEC),
                               .tv_nsec = (long)(instant_ns % NS_PER_SEC)};

    while (!clock->is_dirty && !clock->is_stopping)
        if (pthread_cond_timedwait(&clock->changed, &clock->lock, &instant) == ETIMEDOUT)
            return;
}

static void *run(void *context)
{
    struct http_clock *clock = context;
    uint64_t next_look_ns = clock_now_ns() + LOOK_NS;

    lock(clock);
    while (!clock->is_stopping) {
        uint64_t now_ns = clock_now_ns(), next_ns;
        bool is_thorough = now_ns >= next_look_ns;

        if (is_thorough)
            next_look_ns = now_ns + LOOK_NS;
        clock->is_dirty = false;
        next_ns = look(clock, now_ns, is_thorough);
        wait_until(clock, next_ns < next_look_ns ? next_ns : next_look_ns);
    }
    unlock(clock);
    return NULL;
}

static int start(struct http_clock *clock)
{
    pthread_condattr_t attributes;
    sigset_t all, before;
    int rc;

    (void)pthread_mutex_init(&clock->lock, NULL); /* neither can fail here */
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&clock->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&clock->thread, NULL, run, clock);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

int http_clock_new(struct http_clock **ret_clock, struct err *err)
{
    struct http_clock *clock = calloc(1, sizeof(*clock));
    int rc = clock ? start(clock) : ENOMEM;

    if (rc) {
        free(clock);
        return err_set(err, rc, "start the thread of the HTTP server's clock");
    }
    store_relaxed(&clock->references, 1);
    *ret_clock = clock;
    return 0;
}

struct http_clock *http_clock_hold(struct http_clock *clock)
{
    (void)add_relaxed(&clock->references, 1);
    return clock;
}

void http_clock_release(struct http_clock *clock)
{
    /* Ordered: other holders are done with it before it is freed. */
    if (!clock || sub_ordered(&clock->references, 1) != 1)
        return;
    (void)pthread_cond_destroy(&clock->changed);
    (void)pthread_mutex_destroy(&clock->lock);
    free(clock);
}

void http_clock_stop(struct http_clock *clock)
{
    bool was_stopping;

    lock(clock);
    was_stopping = clock->is_stopping;
    clock->is_stopping = true;
    (void)look(clock, clock_now_ns(), false);
    wake_thread(clock);
    unlock(clock);
    if (!was_stopping)
        (void)pthread_join(clock->thread, NULL); /* fails for misuse only */
}

void http_clock_kick(struct http_clock *clock)
{
    lock(clock);
    clock->kicks++;
    wake_thread(clock);
    unlock(clock);
}

uint64_t http_clock_kicks(struct http_clock *clock)
{
    uint64_t kicks;

    lock(clock);
    kicks = clock->kicks;
    unlock(clock);
    return kicks;
}

bool http_clock_is_stopping(struct http_clock *clock)
{
    bool is_stopping;

    lock(clock);
    is_stopping = clock->is_stopping;
    unlock(clock);
    return is_stopping;
}

struct http_clock_load http_clock_add(struct http_clock *clock, struct http_connection *connection,
                                      uint64_t timeout_ns)
{
    struct http_clock_load load = {0};

    lock(clock);
    connection->deadline_ns = after(timeout_ns);
    connection->previous = NULL;
    connection->next = clock->first;
    if (clock->first)
        clock->first->previous = connection;
    clock->first = connection;
    for (struct http_connection *each = clock->first; each; each = each->next) {
        load.of_all += each->listened == connection->listened;
        load.of_user += each->listened == connection->listened && each->uid == connection->uid;
    }
    unlock(clock);
    return load;
}

void http_clock_remove(struct http_clock *clock, struct http_connection *connection)
{
    lock(clock);
    if (connection->previous)
        connection->previous->next = connection->next;
    else
        clock->first = connection->next;
    if (connection->next)
        connection->next->previous = connection->previous;
    unlock(clock);
}

void http_clock_set_timeout(struct http_clock *clock, struct http_connection *connection,
                            uint64_t timeout_ns)
{
    uint64_t deadline_ns = after(timeout_ns);

    lock(clock);
    connection->deadline_ns = deadline_ns;
    unlock(clock);
}

static bool suspend(struct http_clock *clock, struct http_connection *connection, uint64_t wake_ns)
{
    if (clock->is_stopping)
        return false;
    MHD_suspend_connection(connection->library);
    connection->is_suspended = true;
    connection->wake_ns = wake_ns;
    /* Also where it is ready already: the thread has to look, and to count with this instant. */
    wake_thread(clock);
    return true;
}

bool http_clock_wait(struct http_clock *clock, struct http_connection *connection,
                     struct http_later *later, uint64_t timeout_ns)
{
    uint64_t wake_ns = after(timeout_ns);
    bool is_waiting;

    lock(clock);
    connection->is_stream = false;
    is_waiting = suspend(clock, connection, wake_ns);
    connection->later = is_waiting ? later : NULL;
    unlock(clock);
    return is_waiting;
}

bool http_clock_wait_stream(struct http_clock *clock, struct http_connection *connection,
                            uint64_t wake_ns, uint64_t kicks_seen)
{
    bool is_waiting;

    lock(clock);
    connection->is_stream = true;
    connection->later = NULL;
    connection->kicks_seen = kicks_seen;
    is_waiting = suspend(clock, connection, wake_ns);
    unlock(clock);
    return is_waiting;
}
