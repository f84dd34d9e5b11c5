#include "cuda-limiter/guest.h"

#include "cuda-limiter/guard.h"
#include "cuda-limiter/hot.h"
#include "cuda-limiter/quota.h"
#include "cuda-limiter/teller.h"
#include "cuda-limiter/tether.h"
#include "cuda-limiter/transport.h"
#include "utils/atomics.h"
#include "utils/clock.h"
#include "utils/env.h"
#include "utils/mutex.h"
#include "utils/str.h"
#include "utils/version_note.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

VERSION_NOTE(VGPU_VERSION);

#define CONTACT_NS         (200 * NS_PER_MS)
#define CONTACT_RETRY_MS   10
#define PAGE_BYTES         4096u
#define MADVISE_WIPEONFORK 18 /* MADV_WIPEONFORK of the kernel; not in every libc */

/* glibc's, behind its pthread_atfork(), which no shared library has; absent in musl. */
int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), /* NOLINT */
                      void *handle) __attribute__((weak));

static struct {
    bool is_active, starts_closed;
    struct mutex lock;
    pthread_mutex_t contact_lock;
    char control_path[108]; /* as long as a socket's address may be */
} guest = {.contact_lock = PTHREAD_MUTEX_INITIALIZER};

HOT void guest_lock_briefly(void)
{
    hot_thread.is_holding = true;
    mutex_lock(&guest.lock);
}

HOT void guest_unlock_briefly(void)
{
    mutex_unlock(&guest.lock);
    hot_thread.is_holding = false;
}

int guest_hold_cancel(void)
{
    int state = 0;

    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state); /* cannot fail for this value */
    return state;
}

void guest_restore_cancel(int state)
{
    (void)pthread_setcancelstate(state, NULL); /* a value it had before */
}

void guest_lock(void)
{
    int state = guest_hold_cancel();

    guest_lock_briefly();
    hot_thread.cancel_state = state;
}

void guest_unlock(void)
{
    int state = hot_thread.cancel_state;

    guest_unlock_briefly();
    guest_restore_cancel(state);
}

bool guest_is_holding(void)
{
    return hot_thread.is_holding;
}

/* --- children --------------------------------------------------------------------------------- */

static void before_fork(void)
{
    /* A handler that forks while its thread holds the lock: the child begins with nothing known. */
    if (hot_thread.is_holding)
        return;
    mutex_lock(&guest.lock);
    hot_thread.is_forking = true;
}

static void after_fork(void)
{
    if (!hot_thread.is_forking)
        return;
    hot_thread.is_forking = false;
    mutex_unlock(&guest.lock);
}

static void begin_as_child(bool is_consistent)
{
    /* Made long ago, by this very thread's ancestor. */
    struct hot_page *page = load_acquire(&hot.page);

    guest.lock = (struct mutex){0};
    guest.contact_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    store_relaxed(&page->has_contacted, false);
    guard_forget();
    tether_forget();
    teller_forget();
    quota_forget();
    transport_forget(is_consistent);
    store_relaxed(&page->pid, getpid());
}

static void after_fork_in_child(void)
{
    const struct hot_page *page = load_acquire(&hot.page); /* as above */
    bool is_consistent = hot_thread.is_forking;

    hot_thread.is_forking = false;
    /* Another library's handler may have come before, and made a call. */
    if (page && load_relaxed(&page->pid) != getpid())
        begin_as_child(is_consistent);
    else if (!page)
        guest.lock = (struct mutex){0};
}

/* Where the driver is first met: a process that never meets it has no page and asks for no pid. */
static bool make_page(void)
{
    struct hot_page *none = NULL;
    struct hot_page *page =
        mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (page == MAP_FAILED)
        return false;
    /* Fails on kernels before 4.14; fork() is then known by its handler alone. */
    (void)madvise(page, PAGE_BYTES, MADVISE_WIPEONFORK);
    store_relaxed(&page->pid, getpid());
    /* Ordered: whoever sees the page sees the pid in it. */
    if (!cas_ordered(&hot.page, &none, page))
        (void)munmap(page, PAGE_BYTES); /* another thread was first */
    return true;
}

/* With the page as it is for a process that is new to us; errno is a program's. */
static COLD pid_t begin_anew(const struct hot_page *page)
{
    int saved = errno;

    /*
     * Made by a bare clone(), where who held the lock then is not known and is not here, or by
     * fork(), in a handler that came before ours.
     */
    if (page)
        begin_as_child(hot_thread.is_forking || !mutex_is_held(&guest.lock));
    else if (make_page())
        page = load_acquire(&hot.page); /* as above */
    errno = saved;
    return page ? load_relaxed(&page->pid) : 0;
}

/* The pid that this memory was last used under, ours where it cannot be another's; 0: not now. */
static HOT pid_t enter(void)
{
    const struct hot_page *page;
    pid_t pid;

    if (hot_thread.is_holding)
        return 0;
    page = load_acquire(&hot.page); /* pairs with make_page() */
    pid = page ? load_relaxed(&page->pid) : 0;
    return LIKELY(pid) ? pid : begin_anew(page);
}

bool guest_enter(void)
{
    pid_t pid = enter();

    return pid && pid == getpid();
}

HOT bool guest_enter_call(void)
{
    return enter() != 0;
}

/* --- first contact ---------------------------------------------------------------------------- */

static void wait_for_region(uint64_t end_ns)
{
    for (;;) {
        struct pollfd poll_fd = {.events = POLLIN};
        uint64_t now_ns = clock_now_ns();
        bool is_joined;
        int left_ms;

        guest_lock();
        tether_poll(now_ns);
        is_joined = quota_is_joined();
        poll_fd.fd = tether_fd();
        guest_unlock();
        if (is_joined || now_ns >= end_ns)
            return;
        left_ms = (int)((end_ns - now_ns) / NS_PER_MS) + 1;
        if (poll_fd.fd < 0 && left_ms > CONTACT_RETRY_MS)
            left_ms = CONTACT_RETRY_MS;   /* a supervisor is just being replaced */
        (void)poll(&poll_fd, 1, left_ms); /* whatever woke us, it is looked at again */
    }
}

void guest_contact(void)
{
    struct hot_page *page;
    int state;

    if (guest_is_ready())
        return;
    page = load_acquire(&hot.page); /* there: whoever calls has entered */
    state = guest_hold_cancel();    /* it waits, on the way of calls that are no such points */
    (void)pthread_mutex_lock(&guest.contact_lock); /* of the plain kind, not ours yet: no error */
    if (!load_relaxed(&page->has_contacted)) {
        transport_start();
        wait_for_region(clock_now_ns() + CONTACT_NS);
        /* Pairs with the acquire above: what was joined is seen. */
        store_release(&page->has_contacted, true);
    }
    (void)pthread_mutex_unlock(&guest.contact_lock);
    guest_restore_cancel(state);
}

/* --- start ------------------------------------------------------------------------------------ */

HOT bool guest_is_active(void)
{
    return guest.is_active;
}

const char *guest_control_path(void)
{
    return guest.control_path;
}

bool guest_starts_closed(void)
{
    return guest.starts_closed;
}

void guest_start(void)
{
    const char *path = env_get(ENV_VGPU_CONTROL), *on_loss = env_get(ENV_VGPU_ON_LOSS);
    size_t length = path ? strlen(path) : 0;

    if (!length || length >= sizeof(guest.control_path))
        return;
    memcpy(guest.control_path, path, length + 1);
    guest.starts_closed = on_loss && str_equals(on_loss, "closed");
    guest.is_active = true;
    if (__register_atfork)
        (void)__register_atfork(before_fork, after_fork, after_fork_in_child, NULL);
}
