#include "cuda-limiter/guard.h"

#include "abi/rm.h"
#include "cuda-limiter/descriptors.h"
#include "cuda-limiter/guest.h"
#include "cuda-limiter/next.h"
#include "cuda-limiter/quota.h"
#include "cuda-limiter/teller.h"
#include "cuda-limiter/tether.h"
#include "cuda-limiter/transport.h"
#include "rm/control.h"
#include "utils/atomics.h"
#include "utils/clock.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOOK_NS         (40 * NS_PER_MS)
#define ENABLE_AGAIN_NS (100 * NS_PER_MS)
#define TELL_AGAIN_NS   (50 * NS_PER_MS) /* a full socket, or too many descriptors on their way */
#define LOSS_GRACE_NS   NS_PER_SEC
#define KILL_AFTER_NS   (5 * NS_PER_SEC)
#define STACK_BYTES     (256u * 1024u)
#define CHANNELS_MAX    4096u
#define CHANNELS_BYTES  (CHANNELS_MAX * sizeof(struct mediator_channel))
#define EVERY_DEVICE    UINT32_MAX

typedef int create_thread(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
typedef int set_stack_size(pthread_attr_t *, size_t);

static struct {
    _Atomic bool is_wanted, is_running;
    bool has_failed;
    int wake_fds[2]; /* a socket pair; 0: none */
    uint64_t wake_identities[2];
    /* The thread's own. */
    struct mediator_channel *channels;
    uint64_t lost_count;
    uint64_t end_ns; /* when the process is to be ended, 0: not */
    bool is_ending;  /* SIGTERM was sent */
    struct {
        uint64_t lease_ns, enabled_ns;
    } slots[REGION_GPUS_MAX];
} guard;

/* --- enabling --------------------------------------------------------------------------------- */

static bool is_same_gpu(const struct mediator_channel *a, const struct mediator_channel *b)
{
    return a->client == b->client && a->subdevice == b->subdevice;
}

/* One by one, so that a channel that is just being freed does not keep the others off. */
static void enable_singly(const struct control_at *at, const struct control_channel *channels,
                          size_t count)
{
    for (size_t i = 0; i < count; i++)
        (void)!control_switch(at, false, &channels[i], 1, NULL); /* gone, or lost with its GPU */
}

/* Channels of one client on one GPU. */
static void enable_run(const struct mediator_channel *channels, size_t count)
{
    struct control_at at = {.fd = descriptors_find(channels->file_id),
                            .client = channels->client,
                            .object = channels->subdevice};
    struct control_channel named[RM_DISABLE_CHANNELS_MAX];
    size_t done = 0;

    if (at.fd < 0 || !at.object)
        return;
    while (done < count) {
        size_t some = 0;

        for (; some < ARRAY_LENGTH(named) && done + some < count; some++)
            named[some] = (struct control_channel){channels[done + some].client,
                                                   channels[done + some].channel};
        if (control_switch(&at, false, named, some, NULL) < 0)
            enable_singly(&at, named, some);
        done += some;
    }
}

static void enable(uint32_t device_instance)
{
    size_t count = mediator_list_channels(transport_mediator(), guard.channels, CHANNELS_MAX);

    for (size_t first = 0; first < count;) {
        size_t end = first + 1;

        while (end < count && is_same_gpu(&guard.channels[first], &guard.channels[end]))
            end++;
        if (device_instance == EVERY_DEVICE ||
            guard.channels[first].device_instance == device_instance)
            enable_run(&guard.channels[first], end - first);
        first = end;
    }
}

/* --- leases ----------------------------------------------------------------------------------- */

struct look {
    uint64_t leases_ns[REGION_GPUS_MAX];
    uint32_t devices[REGION_GPUS_MAX];
    uint32_t count;
    uint64_t lost_count;
    bool is_armed, is_welcome, is_closed;
};

/* What the thread decides on, read under the lock. */
static void look_around(struct look *ret_look)
{
    const struct region_control *control = quota_control();

    ret_look->count = 0;
    for (uint32_t i = 0; control && i < control->gpu_count && i < REGION_GPUS_MAX; i++) {
        /* Pairs with the supervisor's release: a lease is there before any channel goes. */
        ret_look->leases_ns[i] = load_acquire(&control->gpus[i].lease_ns);
        ret_look->devices[i] = control->gpus[i].device_instance;
        ret_look->count = i + 1;
    }
    ret_look->lost_count = tether_lost_count();
    ret_look->is_armed = tether_is_armed();
    ret_look->is_welcome = tether_is_welcome();
    ret_look->is_closed = quota_on_loss() == REGION_CLOSED;
}

static void count_enable(void)
{
    guest_lock();
    teller_count_enable();
    guest_unlock();
}

static void check_lease(uint32_t slot, const struct look *look, uint64_t now_ns)
{
    uint64_t lease_ns = look->leases_ns[slot];
    bool is_known = guard.slots[slot].lease_ns == lease_ns;

    if (!look->is_armed || !lease_ns || now_ns <= lease_ns + REGION_LEASE_GRACE_NS)
        return;
    if (is_known && now_ns < guard.slots[slot].enabled_ns + ENABLE_AGAIN_NS)
        return;
    enable(look->devices[slot]);
    if (!is_known)
        count_enable();
    guard.slots[slot].lease_ns = lease_ns;
    guard.slots[slot].enabled_ns = clock_now_ns();
}

/* --- the connection's end --------------------------------------------------------------------- */

static void check_loss(const struct look *look, uint64_t now_ns)
{
    if (look->lost_count != guard.lost_count) {
        guard.lost_count = look->lost_count;
        enable(EVERY_DEVICE);
        count_enable();
        if (look->is_closed && !guard.end_ns)
            guard.end_ns = now_ns + LOSS_GRACE_NS;
    }
    if (look->is_welcome && !guard.is_ending)
        guard.end_ns = 0;
    if (!guard.end_ns || now_ns < guard.end_ns)
        return;
    (void)kill(getpid(), guard.is_ending ? SIGKILL : SIGTERM); /* to ourselves: always allowed */
    guard.is_ending = true;
    guard.end_ns = now_ns + KILL_AFTER_NS;
}

/* --- the thread ------------------------------------------------------------------------------- */

static int wake_fd(int which)
{
    int fd = guard.wake_fds[which];

    return fd > 0 && descriptors_identify(fd) == guard.wake_identities[which] ? fd : -1;
}

static void sooner(uint64_t *instant_ns, uint64_t other_ns)
{
    if (other_ns < *instant_ns)
        *instant_ns = other_ns;
}

/* When to look again if nothing happens; UINT64_MAX: never. */
static uint64_t next_look_ns(const struct look *look, uint64_t now_ns)
{
    uint64_t instant_ns = UINT64_MAX;

    if (look->is_armed)
        instant_ns = now_ns + LOOK_NS;
    for (uint32_t i = 0; look->is_armed && i < look->count; i++)
        if (look->leases_ns[i] && look->leases_ns[i] + REGION_LEASE_GRACE_NS > now_ns)
            sooner(&instant_ns, look->leases_ns[i] + REGION_LEASE_GRACE_NS);
    if (guard.end_ns)
        sooner(&instant_ns, guard.end_ns);
    return instant_ns;
}

static void wait(const struct look *look)
{
    struct pollfd fds[2] = {{.events = POLLIN}, {.events = POLLIN}};
    uint64_t now_ns = clock_now_ns(), until_ns = next_look_ns(look, now_ns);
    int timeout_ms = -1;

    guest_lock();
    fds[0].fd = tether_fd();
    fds[1].fd = wake_fd(0);
    if (tether_is_welcome() && (teller_has_missed() || tether_owes_armed()))
        sooner(&until_ns, now_ns + TELL_AGAIN_NS);
    if (fds[0].fd < 0)
        sooner(&until_ns, tether_retry_ns());
    guest_unlock();
    if (until_ns != UINT64_MAX)
        timeout_ms = until_ns > now_ns ? (int)((until_ns - now_ns) / NS_PER_MS) + 1 : 0;
    (void)poll(fds, ARRAY_LENGTH(fds), timeout_ms); /* whatever woke us, everything is looked at */
}

static void hear_wake(void)
{
    char bytes[64];
    int fd = wake_fd(0);

    while (fd >= 0 && recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        ;
}

static void tell_missed(void)
{
    bool is_due;

    guest_lock();
    is_due = teller_has_missed() && teller_take_back();
    guest_unlock();
    if (!is_due)
        return;
    mediator_tell_all(transport_mediator());
    guest_lock();
    teller_send_counters_when_due(clock_now_ns());
    guest_unlock();
}

static void *run(void *context)
{
    struct look look;
    uint64_t now_ns;

    (void)prctl(PR_SET_NAME, "vgpu-guard"); /* for people who look at threads */
    for (;;) {
        now_ns = clock_now_ns();
        guest_lock();
        hear_wake();
        tether_poll(now_ns);
        tether_answer_arm();
        look_around(&look);
        guest_unlock();
        check_loss(&look, now_ns);
        for (uint32_t i = 0; i < look.count; i++)
            check_lease(i, &look, now_ns);
        tell_missed();
        wait(&look);
    }
    return context;
}

/* --- its start -------------------------------------------------------------------------------- */

static bool make_wake_fds(void)
{
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
        return false;
    for (int i = 0; i < 2; i++) {
        guard.wake_fds[i] = tether_keep(fds[i]);
        guard.wake_identities[i] = descriptors_identify(guard.wake_fds[i]);
    }
    return true;
}

static bool make_thread(create_thread *create)
{
    set_stack_size *set_size = (set_stack_size *)next_find("pthread_attr_setstacksize");
    sigset_t all, old;
    pthread_attr_t attributes;
    pthread_t thread;
    int rc;

    if (pthread_attr_init(&attributes) != 0)
        return false;
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED); /* a valid value */
    if (set_size)
        (void)set_size(&attributes, STACK_BYTES); /* else it has the usual one */
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, &old); /* this thread's; the new one inherits it */
    rc = create(&thread, &attributes, run, NULL);
    if (rc == EINVAL) /* the program's thread-local data alone is larger */
        rc = create(&thread, NULL, run, NULL);
    (void)sigprocmask(SIG_SETMASK, &old, NULL);
    (void)pthread_attr_destroy(&attributes);
    return rc == 0;
}

static bool start(void)
{
    /* Newer than the oldest libc that we run on, and in older ones another library's. */
    create_thread *create = (create_thread *)next_find("pthread_create");
    void *memory;

    if (!create)
        return false;
    if (!guard.channels) {
        memory =
            mmap(NULL, CHANNELS_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
            return false;
        guard.channels = memory;
    }
    return make_wake_fds() && make_thread(create);
}

void guard_want(void)
{
    if (!load_relaxed(&guard.is_running) && !guard.has_failed)
        store_relaxed(&guard.is_wanted, true);
}

static COLD void start_once(void)
{
    bool is_wanted = true;
    int saved = errno, state;

    /* Of several threads one starts it. */
    if (!cas_ordered(&guard.is_wanted, &is_wanted, false))
        return;
    state = guest_hold_cancel();
    if (start())
        store_relaxed(&guard.is_running, true);
    else
        guard.has_failed = true; /* never armed, so nobody disables anything */
    guest_restore_cancel(state);
    errno = saved;
}

HOT void guard_start_if_wanted(void)
{
    if (!LIKELY(!load_relaxed(&guard.is_wanted)))
        start_once();
}

HOT bool guard_is_running(void)
{
    return load_relaxed(&guard.is_running);
}

void guard_wake(void)
{
    int fd = wake_fd(1);

    if (fd >= 0)
        (void)!send(fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL); /* full: it is awake anyway */
}

void guard_forget(void)
{
    for (int i = 0; i < 2; i++) {
        int fd = wake_fd(i);

        if (guard.wake_fds[i] > 0)
            (void)descriptors_set(guard.wake_fds[i], 0);
        if (fd >= 0)
            attr_close(&fd);
        guard.wake_fds[i] = 0;
    }
    store_relaxed(&guard.is_wanted, false);
    store_relaxed(&guard.is_running, false);
    guard.has_failed = false;
    guard.lost_count = 0;
    guard.end_ns = 0;
    guard.is_ending = false;
}

void guard_lose_descriptor(int fd)
{
    for (int i = 0; i < 2; i++)
        if (guard.wake_fds[i] == fd)
            guard.wake_fds[i] = 0;
}
