#include "sim/reactor.h"

#include "sim/connection.h"
#include "sim/storage.h"
#include "utils/clock.h"
#include "utils/log.h"
#include "utils/sock.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define EVENTS_MAX 64
#define TICK_NS    UINT64_C(5000000) /* how old a busy GPU's counters may get by themselves */
#define FLOOR_NS   UINT64_C(20000)   /* no two looks at the model closer than this */

static const int forwarded[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

struct reactor {
    struct machine *machine;
    struct connections connections;
    int epoll_fd, listen_fd, timer_fd, signal_fd;
    uint64_t timer_ns;     /* when timer_fd will fire, 0: not */
    uint64_t last_push_ns; /* of the records */
    pid_t command;         /* 0 once it has ended */
    int status;
    bool is_ended; /* somebody asked */
};

void reactor_block_signals(sigset_t *ret_before)
{
    sigset_t set;

    (void)sigemptyset(&set); /* cannot fail, as the others on sets */
    (void)sigaddset(&set, SIGCHLD);
    for (size_t i = 0; i < ARRAY_LENGTH(forwarded); i++)
        (void)sigaddset(&set, forwarded[i]);
    (void)sigprocmask(SIG_BLOCK, &set, ret_before);
    (void)signal(SIGCHLD, SIG_DFL); /* ignored by who starts us, the command's end went unseen */
}

static int open_signals(void)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGCHLD);
    for (size_t i = 0; i < ARRAY_LENGTH(forwarded); i++)
        (void)sigaddset(&set, forwarded[i]);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int watch(const struct reactor *reactor, int fd, struct connection_source *source)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = source};

    return epoll_ctl(reactor->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static struct connection_source listen_source = {.kind = CONNECTION_LISTENER};
static struct connection_source timer_source = {.kind = CONNECTION_TIMER};
static struct connection_source signal_source = {.kind = CONNECTION_SIGNALS};

int reactor_new(struct reactor **ret_reactor, struct machine *machine, const char *path,
                struct err *err)
{
    struct reactor *reactor = calloc(1, sizeof(*reactor));
    int rc;

    if (!reactor)
        return err_set(err, ENOMEM, "start the simulator");
    reactor->machine = machine;
    reactor->listen_fd = -1;
    reactor->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    reactor->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    reactor->signal_fd = open_signals();
    connections_init(&reactor->connections, machine, reactor->epoll_fd);
    rc = sock_listen(&reactor->listen_fd, path, err);
    if (rc == 0 && (reactor->epoll_fd < 0 || reactor->timer_fd < 0 || reactor->signal_fd < 0 ||
                    watch(reactor, reactor->listen_fd, &listen_source) < 0 ||
                    watch(reactor, reactor->timer_fd, &timer_source) < 0 ||
                    watch(reactor, reactor->signal_fd, &signal_source) < 0))
        rc = err_set(err, errno, "start the simulator");
    if (rc < 0) {
        reactor_free(reactor);
        return rc;
    }
    *ret_reactor = reactor;
    return 0;
}

void reactor_free(struct reactor *reactor)
{
    if (!reactor)
        return;
    connections_fini(&reactor->connections);
    attr_close(&reactor->listen_fd);
    attr_close(&reactor->signal_fd);
    attr_close(&reactor->timer_fd);
    attr_close(&reactor->epoll_fd);
    free(reactor);
}

static void accept_all(struct reactor *reactor)
{
    for (;;) {
        int fd = accept4(reactor->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0)
            return;
        connections_add(&reactor->connections, fd);
    }
}

static void reap_command(struct reactor *reactor)
{
    int status;

    if (reactor->command > 0 && waitpid(reactor->command, &status, WNOHANG) == reactor->command) {
        reactor->command = 0;
        reactor->status = status;
    }
}

static void read_signals(struct reactor *reactor)
{
    struct signalfd_siginfo info;

    while (read(reactor->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGCHLD)
            continue;
        if (reactor->command == 0)
            reactor->is_ended = true;
        else if (info.ssi_code <= 0)
            /* The terminal's reach the command by themselves. It may just have ended: no matter. */
            (void)kill(reactor->command, (int)info.ssi_signo);
    }
    reap_command(reactor);
}

static void push_records(struct reactor *reactor, uint64_t now_ns)
{
    if (now_ns - reactor->last_push_ns < SWITCHLOG_PUSH_NS)
        return;
    reactor->last_push_ns = now_ns;
    for (uint32_t i = 0; i < reactor->machine->board_count; i++)
        switchlog_push(&reactor->machine->boards[i]->records);
}

static uint64_t next_look_ns(struct reactor *reactor, uint64_t now_ns)
{
    uint64_t next_ns = UINT64_MAX;

    for (uint32_t i = 0; i < reactor->machine->board_count; i++) {
        struct board *board = reactor->machine->boards[i];
        uint64_t wake_ns = gpu_wake_ns(&board->gpu);

        if (gpu_is_active(&board->gpu) && wake_ns > now_ns + TICK_NS)
            wake_ns = now_ns + TICK_NS;
        if (board->records.pending_count > 0 && wake_ns > reactor->last_push_ns + SWITCHLOG_PUSH_NS)
            wake_ns = reactor->last_push_ns + SWITCHLOG_PUSH_NS;
        if (wake_ns < next_ns)
            next_ns = wake_ns;
    }
    return next_ns < now_ns + FLOOR_NS ? now_ns + FLOOR_NS : next_ns;
}

static void set_timer(struct reactor *reactor, uint64_t now_ns)
{
    uint64_t due_ns = connections_due_ns(&reactor->connections);
    uint64_t next_ns = next_look_ns(reactor, now_ns);
    struct itimerspec spec = {0};

    if (due_ns < next_ns)
        next_ns = due_ns;
    if (next_ns == UINT64_MAX)
        next_ns = 0;
    if (next_ns == reactor->timer_ns)
        return;
    reactor->timer_ns = next_ns;
    spec.it_value.tv_sec = (time_t)(next_ns / NS_PER_SEC);
    spec.it_value.tv_nsec = (long)(next_ns % NS_PER_SEC);
    if (timerfd_settime(reactor->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL) < 0)
        log_error("the simulator's timer: errno %d", errno);
}

static void dispatch(struct reactor *reactor, const struct epoll_event *event)
{
    struct connection_source *source = event->data.ptr;
    uint64_t expirations;

    switch (source->kind) {
    case CONNECTION_LISTENER:
        accept_all(reactor);
        break;
    case CONNECTION_TIMER:
        /* What was due is found by the clock; the count means nothing. */
        (void)!read(reactor->timer_fd, &expirations, sizeof(expirations));
        reactor->timer_ns = 0;
        connections_want_look(&reactor->connections);
        break;
    case CONNECTION_SIGNALS:
        read_signals(reactor);
        break;
    case CONNECTION_PROCESS:
    case CONNECTION_FILE:
        connections_ready(&reactor->connections, source, event->events);
        break;
    }
}

int reactor_run(struct reactor *reactor, pid_t command)
{
    struct epoll_event events[EVENTS_MAX];

    reactor->command = command;
    reap_command(reactor);
    while (!reactor->is_ended &&
           (reactor->command > 0 || !connections_is_empty(&reactor->connections))) {
        int count = epoll_wait(reactor->epoll_fd, events, EVENTS_MAX, -1);
        uint64_t now_ns = clock_now_ns();

        if (count < 0 && errno != EINTR)
            break;
        for (int i = 0; i < count; i++)
            dispatch(reactor, &events[i]);
        connections_serve(&reactor->connections, now_ns);
        push_records(reactor, now_ns);
        set_timer(reactor, clock_now_ns());
    }
    return reactor->status;
}
