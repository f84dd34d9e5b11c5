#include "cuda-limiter/transport.h"

#include "abi/rm.h"
#include "cuda-limiter/guard.h"
#include "cuda-limiter/guest.h"
#include "cuda-limiter/hot.h"
#include "cuda-limiter/next.h"
#include "cuda-limiter/quota.h"
#include "cuda-limiter/teller.h"
#include "cuda-limiter/tether.h"
#include "utils/atomics.h"
#include "utils/clock.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/*
 * How far up this thread's stack is known to be there: a program's calls lie in its frames, and
 * those between ours and one that was read are mapped. Asking the kernel for each costs more than a
 * microsecond a call (an H200's machine: 4 of the 57 us of cuMemAlloc and cuMemFree).
 */
#define STACK_WINDOW_BYTES ((uintptr_t)256 << 10)

/*
 * hot_thread.is_proven: the driver has just read and written this call's memory, so it is there.
 * Before that a bad pointer must become the driver's EFAULT, not our crash.
 */

static void *pointer_to(uint64_t address)
{
    return (void *)(uintptr_t)address; /* NOLINT: the program's own pointer, out of a call */
}

/*
 * A few words, in place: libc's copy would be four more cold lines of code, and a page of its own.
 */
static inline void copy(void *to, const void *from, size_t size)
{
    size_t at = 0;

    for (; at + 16 <= size; at += 16)
        memcpy((char *)to + at, (const char *)from + at, 16); /* two instructions */
    for (; at < size; at++)
        memcpy((char *)to + at, (const char *)from + at, 1);
}

static uintptr_t here(void)
{
    return (uintptr_t)__builtin_frame_address(0);
}

/*
 * Another stack may have come since (a coroutine's): then the known end is far away, or below us.
 */
static bool is_on_stack(uint64_t address, size_t size)
{
    uintptr_t from = here();

    return hot_thread.stack_end > from && hot_thread.stack_end - from < STACK_WINDOW_BYTES &&
           address > from && address < hot_thread.stack_end &&
           size <= hot_thread.stack_end - address;
}

static void note_stack(uint64_t address, size_t size)
{
    uintptr_t from = here(), end = (uintptr_t)address + size;

    if (address <= from || end - from >= STACK_WINDOW_BYTES)
        return;
    if (hot_thread.stack_end <= from || hot_thread.stack_end - from >= STACK_WINDOW_BYTES ||
        end > hot_thread.stack_end)
        hot_thread.stack_end = end;
}

/* Copies through the kernel, which says EFAULT where we would crash. */
static COLD int copy_through_kernel(uint64_t address, void *ours, size_t size, bool is_write)
{
    struct iovec local = {.iov_base = ours, .iov_len = size};
    struct iovec remote = {.iov_base = pointer_to(address), .iov_len = size};
    long nr = is_write ? SYS_process_vm_writev : SYS_process_vm_readv;
    ssize_t done = syscall(nr, getpid(), &local, 1UL, &remote, 1UL, 0UL);

    if (done == (ssize_t)size) {
        note_stack(address, size);
        return 0;
    }
    if (done >= 0 || errno == EFAULT)
        return -EFAULT;
    /* A sandbox without that call. */
    if (is_write)
        memcpy(pointer_to(address), ours, size);
    else
        memcpy(ours, pointer_to(address), size);
    return 0;
}

static COLD int copy_checked(uint64_t address, void *ours, size_t size, bool is_write)
{
    int saved = errno, rc = copy_through_kernel(address, ours, size, is_write);

    errno = saved;
    return rc;
}

static HOT int read_memory(void *context, uint64_t address, void *to, size_t size)
{
    if (address < PORT_ADDRESS_MIN)
        return -EFAULT;
    if (!hot_thread.is_proven && !is_on_stack(address, size))
        return copy_checked(address, to, size, false);
    copy(to, pointer_to(address), size);
    return 0;
}

static int write_memory(void *context, uint64_t address, const void *from, size_t size)
{
    void *ours;

    if (address < PORT_ADDRESS_MIN)
        return -EFAULT;
    if (hot_thread.is_proven) {
        memcpy(pointer_to(address), from, size);
        return 0;
    }
    memcpy(&ours, &from, sizeof(ours)); /* the kernel reads there */
    return copy_checked(address, ours, size, true);
}

static inline void prefetch(void);
static HOT int perform(void *context, const struct port_call *call, struct port_copies *copies)
{
    int rc = next_ioctl()(call->fd, call->request, pointer_to(call->argument));

    prefetch();
    if (rc < 0)
        return -errno;
    hot_thread.is_proven = true;
    if (copies->args_size)
        copy(copies->args, pointer_to(copies->args_address), copies->args_size);
    if (copies->params_size)
        copy(copies->params, pointer_to(copies->params_address), copies->params_size);
    return rc;
}

static COLD void free_object(void *context, const struct port_call *call, uint32_t client,
                             uint32_t object)
{
    struct rm_free args = {.client = client, .parent = client, .object = object};
    int saved = errno;

    /* Where even that fails the memory stays the tenant's until it ends. */
    (void)next_ioctl()(call->fd, RM_REQUEST(RM_NR_FREE, sizeof(args)), &args);
    errno = saved;
}

static bool is_allowed(void *context, uint32_t device_instance)
{
    bool answer;

    guest_lock();
    answer = quota_is_allowed(device_instance);
    guest_unlock();
    return answer;
}

static COLD void poll_tether(void)
{
    int saved = errno, state = guest_hold_cancel();

    tether_poll(clock_now_ns());
    guest_restore_cancel(state);
    errno = saved;
}

static HOT bool reserve(void *context, uint32_t device_instance, uint64_t bytes)
{
    /* Where a guard runs it looks after the connection. */
    if (!LIKELY(guard_is_running()))
        poll_tether();
    return quota_reserve(device_instance, bytes);
}

static HOT void release(void *context, uint32_t device_instance, uint64_t bytes)
{
    quota_release(device_instance, bytes);
}

static HOT void get_memory(void *context, uint32_t device_instance, struct port_memory *ret_memory)
{
    quota_get_memory(device_instance, ret_memory);
}

static void tell(void *context, const struct port_event *event)
{
    int saved = errno, state = guest_hold_cancel();

    teller_tell(event);
    guest_restore_cancel(state);
    errno = saved;
}

static HOT void lock(void *context)
{
    guest_lock_briefly();
}

static HOT void unlock(void *context)
{
    guest_unlock_briefly();
}

static const struct port port = {
    .is_direct = true,
    .read = read_memory,
    .write = write_memory,
    .perform = perform,
    .free_object = free_object,
    .is_allowed = is_allowed,
    .reserve = reserve,
    .release = release,
    .get_memory = get_memory,
    .tell = tell,
    .lock = lock,
    .unlock = unlock,
};

static bool is_started;

static inline void prefetch(void)
{
    quota_prefetch();
    registry_prefetch(&hot.mediator.registry);
}

void transport_start(void)
{
    if (is_started)
        return;
    mediator_init(&hot.mediator, &port);
    is_started = true;
}

static COLD void tell_refusals(void)
{
    int saved = errno;

    guest_lock();
    teller_send_counters_when_due(clock_now_ns());
    guest_unlock();
    errno = saved;
}

HOT int transport_call(uint64_t file_id, int fd, unsigned long request, uint64_t argument)
{
    struct port_call call = {
        .file_id = file_id, .fd = fd, .request = request, .argument = argument};
    uint64_t refusals = load_relaxed(&hot.mediator.refusals);
    int rc;

    hot_thread.is_proven = false;
    if (_IOC_NR(request) != RM_NR_FREE)
        prefetch(); /* a free needs it only when the driver has done it */
    rc = mediator_call(&hot.mediator, &call);
    guard_start_if_wanted();
    if (!LIKELY(load_relaxed(&hot.mediator.refusals) == refusals))
        tell_refusals();
    return rc;
}

static COLD void note_with_lock(const struct rm_control *control)
{
    int saved = errno;

    if (guest_is_holding())
        return; /* and could not take it */
    mediator_note_control(&hot.mediator, control);
    guard_start_if_wanted();
    errno = saved;
}

HOT void transport_note_control(const void *argument)
{
    struct rm_control control;

    memcpy(&control, argument, sizeof(control)); /* another thread may write there */
    if (!LIKELY(mediator_note_at_once(&hot.mediator, &control)))
        note_with_lock(&control);
}

void transport_close_file(uint64_t file_id)
{
    mediator_close_file(&hot.mediator, file_id);
    guest_lock();
    teller_closed(file_id);
    guest_unlock();
}

void transport_forget(bool is_consistent)
{
    if (!is_started)
        return;
    if (is_consistent)
        mediator_begin_as_child(&hot.mediator);
    else
        mediator_init(&hot.mediator, &port); /* what it had is lost to this child, not freed */
    store_relaxed(&hot.mediator.calls, 0);
    store_relaxed(&hot.mediator.unparsed, 0);
    store_relaxed(&hot.mediator.refusals, 0);
}
