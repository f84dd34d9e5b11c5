#include "cuda-limiter/guest.h"

#include "cuda-limiter/guard.h"
#include "cuda-limiter/quota.h"
#include "cuda-limiter/teller.h"
#include "cuda-limiter/tether.h"
#include "cuda-limiter/transport.h"
#include "utils/atomics.h"
#include "utils/clock.h"
#include "utils/env.h"
#include "utils/str.h"
#include "utils/version_note.h"

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

/*
 * What is true of this process alone, in a page of its own that the kernel clears in a child which
 * has a copy of our memory, however it was made. Not cleared and not our pid: a child that shares
 * our memory.
 */
struct page {
    _Atomic pid_t pid;
    _Atomic bool has_contacted;
};

static struct {
    _Atomic(struct page *) page;
    bool is_active, starts_closed;
    _Atomic bool is_locked; /* for a child that cannot ask the lock; relaxed */
    pthread_mutex_t lock, contact_lock;
    char control_path[108]; /* as long as a socket's address may be */
} guest = {.lock = PTHREAD_MUTEX_INITIALIZER, .contact_lock = PTHREAD_MUTEX_INITIALIZER};

/* This thread holds the lock: what comes now comes from a signal handler. */
static __thread bool is_holding;
static __thread int cancel_state;

void guest_lock(void)
{
    int state = 0;

    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state); /* cannot fail for this value */
    is_holding = true;
    (void)pthread_mutex_lock(&guest.lock); /* cannot fail: of the plain kind, and not ours yet */
    store_relaxed(&guest.is_locked, true);
    cancel_state = state;
}

void guest_unlock(void)
{
    int state = cancel_state;

    store_relaxed(&guest.is_locked, false);
    (void)pthread_mutex_unlock(&guest.lock); /* ours */
    is_holding = false;
    (void)pthread_setcancelstate(state, NULL); /* a value it had before */
}

bool guest_is_holding(void)
{
    return is_holding;
}

/* --- children --------------------------------------------------------------------------------- */

static void before_fork(void)
{
    /* A handler that forks while its thread holds the lock: the child begins with nothing known. */
    if (!is_holding)
        (void)pthread_mutex_lock(&guest.lock);
}

static void after_fork(void)
{
    if (!is_holding)
        (void)pthread_mutex_unlock(&guest.lock);
}

static void begin_as_child(bool is_consistent)
{
    /* Made long ago, by this very thread's ancestor. */
    struct page *page = load_acquire(&guest.page);

    guest.lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    guest.contact_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    store_relaxed(&guest.is_locked, false);
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
    if (load_acquire(&guest.page)) /* as above */
        begin_as_child(!is_holding);
    else
        guest.lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

/* Where the driver is first met: a process that never meets it has no page and asks for no pid. */
static bool make_page(void)
{
    struct page *none = NULL;
    struct page *page =
        mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (page == MAP_FAILED)
        return false;
    /* Fails on kernels before 4.14; fork() is then known by its handler alone. */
    (void)madvise(page, PAGE_BYTES, MADVISE_WIPEONFORK);
    store_relaxed(&page->pid, getpid());
    /* Ordered: whoever sees the page sees the pid in it. */
    if (!cas_ordered(&guest.page, &none, page))
        (void)munmap(page, PAGE_BYTES); /* another thread was first */
    return true;
}

/* The pid that this memory was last used under, ours where it cannot be another's; 0: not now. */
static pid_t enter(void)
{
    const struct page *page;
    pid_t pid;

    if (is_holding)
        return 0;
    page = load_acquire(&guest.page); /* pairs with make_page() */
    if (!page)
        return make_page() ? getpid() : 0;
    pid = load_relaxed(&page->pid);
    if (pid)
        return pid;
    /* Made by a bare clone(): who held the lock then is not known, and is not here. */
    begin_as_child(!load_relaxed(&guest.is_locked));
    return load_relaxed(&page->pid);
}

bool guest_enter(void)
{
    pid_t pid = enter();

    return pid && pid == getpid();
}

bool guest_enter_call(void)
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

HOT bool guest_is_ready(void)
{
    const struct page *page = load_acquire(&guest.page); /* pairs with make_page() */

    return page && load_acquire(&page->has_contacted); /* pairs with guest_contact() */
}

void guest_contact(void)
{
    struct page *page;

    if (guest_is_ready())
        return;
    page = load_acquire(&guest.page);              /* there: whoever calls has entered */
    (void)pthread_mutex_lock(&guest.contact_lock); /* cannot fail, as in guest_lock() */
    if (!load_relaxed(&page->has_contacted)) {
        transport_start();
        wait_for_region(clock_now_ns() + CONTACT_NS);
        /* Pairs with the acquire above: what was joined is seen. */
        store_release(&page->has_contacted, true);
    }
    (void)pthread_mutex_unlock(&guest.contact_lock);
}

/* --- start ------------------------------------------------------------------------------------ */

bool guest_is_active(void)
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
