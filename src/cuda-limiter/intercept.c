#include "cuda-limiter/intercept.h"

#include "abi/rm.h"
#include "cuda-limiter/descriptors.h"
#include "cuda-limiter/guard.h"
#include "cuda-limiter/guest.h"
#include "cuda-limiter/next.h"
#include "cuda-limiter/quota.h"
#include "cuda-limiter/tether.h"
#include "cuda-limiter/transport.h"
#include "utils/attr.h"
#include "utils/str.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

/* F_DUPFD, which the program may use and we may not: it is not close-on-exec. */
#define COMMAND_DUPLICATE 0
#define DRIVER_PREFIX     "/dev/nvidia"
#define DRIVER_MAJOR      195

__attribute__((constructor)) static void start(void)
{
    guest_start();
}

/* --- open files ------------------------------------------------------------------------------- */

/* `/dev/nvidiactl` or `/dev/nvidia<number>`; the others take no RM calls. */
static bool is_driver_path(const char *path)
{
    if (!path || !str_starts_with(path, DRIVER_PREFIX))
        return false;
    path += sizeof(DRIVER_PREFIX) - 1;
    return (*path >= '0' && *path <= '9') || str_equals(path, "ctl");
}

static void forget_if_closed(uint64_t file_id)
{
    if (file_id && file_id != DESCRIPTORS_OWN && descriptors_find(file_id) < 0)
        transport_close_file(file_id);
}

/* One of ours had this number, and the program has it now. */
static void give_up_own(int fd)
{
    guest_lock();
    tether_lose_descriptor(fd);
    quota_lose_descriptor(fd);
    guard_lose_descriptor(fd);
    guest_unlock();
}

/* `fd` is now an open file of the driver, or (0) something else. */
static void note(int fd, uint64_t file_id)
{
    uint64_t before = descriptors_set(fd, file_id);

    if (before == DESCRIPTORS_OWN)
        give_up_own(fd);
    else if (before != file_id)
        forget_if_closed(before); /* closed where we did not see it */
}

static int opened(int fd, const char *path)
{
    int saved = errno;

    if (fd >= 0 && guest_is_active() && is_driver_path(path) && guest_enter()) {
        guest_contact();
        note(fd, descriptors_new_file());
    } else if (fd >= 0 && descriptors_get(fd) && guest_enter()) {
        note(fd, 0);
    }
    errno = saved;
    return fd;
}

static mode_t mode_of(int flags, va_list args)
{
    return flags & (O_CREAT | O_TMPFILE) ? (mode_t)va_arg(args, unsigned int) : 0;
}

EXPORTED int open(const char *path, int flags, ...)
{
    va_list args;
    mode_t mode;

    va_start(args, flags);
    mode = mode_of(flags, args);
    va_end(args);
    return opened(next_get()->open(path, flags, mode), path);
}

EXPORTED int open64(const char *path, int flags, ...)
{
    va_list args;
    mode_t mode;

    va_start(args, flags);
    mode = mode_of(flags, args);
    va_end(args);
    return opened(next_get()->open64(path, flags, mode), path);
}

EXPORTED int openat(int dir_fd, const char *path, int flags, ...)
{
    va_list args;
    mode_t mode;

    va_start(args, flags);
    mode = mode_of(flags, args);
    va_end(args);
    return opened(next_get()->openat(dir_fd, path, flags, mode), path);
}

EXPORTED int openat64(int dir_fd, const char *path, int flags, ...)
{
    va_list args;
    mode_t mode;

    va_start(args, flags);
    mode = mode_of(flags, args);
    va_end(args);
    return opened(next_get()->openat64(dir_fd, path, flags, mode), path);
}

/* --- duplicates ------------------------------------------------------------------------------- */

/* `to` is a new descriptor of what `from` is. */
static int duplicated(int from, int to)
{
    int saved = errno;
    uint64_t file_id = descriptors_get(from);

    if (file_id == DESCRIPTORS_OWN)
        file_id = 0; /* the program copies what it does not know; a copy is its own */
    if (to >= 0 && to != from && (file_id || descriptors_get(to)) && guest_enter())
        note(to, file_id);
    errno = saved;
    return to;
}

EXPORTED int dup(int fd)
{
    return duplicated(fd, next_get()->dup(fd));
}

EXPORTED int dup2(int from, int to)
{
    return duplicated(from, next_get()->dup2(from, to));
}

EXPORTED int dup3(int from, int to, int flags)
{
    return duplicated(from, next_get()->dup3(from, to, flags));
}

/* The third argument is a number or a pointer, and is passed on as either. */
EXPORTED int fcntl(int fd, int command, ...)
{
    va_list args;
    void *argument;
    int rc;

    va_start(args, command);
    argument = va_arg(args, void *);
    va_end(args);
    rc = next_get()->fcntl(fd, command, argument);
    return command == COMMAND_DUPLICATE || command == F_DUPFD_CLOEXEC ? duplicated(fd, rc) : rc;
}

EXPORTED int fcntl64(int fd, int command, ...)
{
    const struct next *next = next_get();
    va_list args;
    void *argument;
    int rc;

    va_start(args, command);
    argument = va_arg(args, void *);
    va_end(args);
    rc = next->fcntl64 ? next->fcntl64(fd, command, argument) : next->fcntl(fd, command, argument);
    return command == COMMAND_DUPLICATE || command == F_DUPFD_CLOEXEC ? duplicated(fd, rc) : rc;
}

/* --- closing ---------------------------------------------------------------------------------- */

EXPORTED int close(int fd)
{
    uint64_t file_id = descriptors_get(fd);
    int rc, saved;

    if (!file_id || !guest_enter())
        return next_get()->close(fd);
    if (file_id == DESCRIPTORS_OWN) {
        /* A program that closes all numbers there are: for it, ours are not there. */
        errno = EBADF;
        return -1;
    }
    (void)descriptors_set(fd, 0); /* before another thread is given the number */
    rc = next_get()->close(fd);
    saved = errno;
    forget_if_closed(file_id);
    errno = saved;
    return rc;
}

static int close_some(unsigned int first, unsigned int last, int flags)
{
    const struct next *next = next_get();

    if (next->close_range)
        return next->close_range(first, last, flags);
    return (int)syscall(SYS_close_range, first, last, flags); /* a libc older than the call */
}

/* Closes a range that may hold the driver's descriptors and ours; the latter stay. */
static int close_around(unsigned int first, unsigned int last, int flags)
{
    int fd, rc = 0;

    while (!rc && first <= last && (fd = descriptors_next(first, last)) >= 0) {
        uint64_t file_id = descriptors_get(fd);

        if ((unsigned int)fd > first)
            rc = close_some(first, (unsigned int)fd - 1, flags);
        if (file_id != DESCRIPTORS_OWN)
            (void)close(fd); /* one that was just closed is what the caller wants */
        first = (unsigned int)fd + 1;
    }
    return rc || first > last ? rc : close_some(first, last, flags);
}

EXPORTED int close_range(unsigned int first, unsigned int last, int flags)
{
    /* One that closes nothing, that is wrong, or whose descriptors are not this process's alone. */
    if (flags || first > last || descriptors_next(first, last) < 0 || !guest_enter())
        return close_some(first, last, flags);
    return close_around(first, last, flags);
}

/* --- ioctl ------------------------------------------------------------------------------------ */

/*
 * A descriptor that came to the program where we did not see it (from another process, or by a bare
 * system call), with a call that the mediator judges. The driver looks at the number and size
 * alone, so that the type byte says nothing about other descriptors than the driver's: those are
 * asked for.
 */
static uint64_t adopt(int fd, unsigned long request)
{
    struct stat stat;
    uint64_t file_id;

    if (!mediator_is_known(request))
        return 0;
    if (_IOC_TYPE(request) != RM_IOCTL_TYPE) {
        if (syscall(SYS_fstat, fd, &stat) < 0 || !S_ISCHR(stat.st_mode) ||
            major(stat.st_rdev) != DRIVER_MAJOR)
            return 0;
    }
    file_id = descriptors_new_file();
    guest_contact();
    note(fd, file_id);
    return file_id;
}

/* Of a descriptor that is not known, or in a process that has not had its first contact. */
static COLD uint64_t prepare(int fd, unsigned long request)
{
    int saved = errno;
    uint64_t file_id = descriptors_get(fd);

    if (!file_id)
        file_id = adopt(fd, request);
    if (file_id && file_id != DESCRIPTORS_OWN)
        guest_contact(); /* a forked child may use what it inherited */
    errno = saved;
    return file_id;
}

/* Apart, so that others do not save the registers that this needs. */
static HOT __attribute__((noinline)) int carry(int fd, unsigned long request, void *argument)
{
    uint64_t file_id = descriptors_get(fd);
    int rc;

    if (!guest_is_active() || (!file_id && !mediator_is_known(request)) || !guest_enter_call())
        return next_ioctl()(fd, request, argument);
    if (!LIKELY(file_id && guest_is_ready()))
        file_id = prepare(fd, request);
    if (!file_id || file_id == DESCRIPTORS_OWN)
        return next_ioctl()(fd, request, argument);
    rc = transport_call(file_id, fd, request, (uint64_t)(uintptr_t)argument);
    if (LIKELY(rc >= 0))
        return rc;
    errno = -rc;
    return -1;
}

/*
 * Most calls that a program makes on other files: those of managed memory's driver have plain
 * numbers. What has the resource manager's type is counted, whatever it is.
 */
static inline bool is_of_no_meaning(unsigned long request)
{
    return _IOC_TYPE(request) != RM_IOCTL_TYPE && !mediator_heeds_number(_IOC_NR(request));
}

/*
 * The libc's ioctl, as it is called: with a third argument of a word's size, which all that is
 * variable is passed like. So defined it has no frame of its own, and what it hands on does not
 * return through it.
 */
int ioctl_of_three(int fd, unsigned long request, void *argument) __asm__("ioctl");

/*
 * Controls go the short way (rm/mediator.h); which file one is made on does not matter to it. The
 * driver leaves cold caches and predictors behind, so that what comes after it costs most, each
 * return from a function that was entered before it as well: hence it is called from here, and all
 * the rest is for the few that mean something.
 */
static HOT __attribute__((noinline)) int control(int fd, unsigned long request, void *argument)
{
    int rc;

    mediator_count(transport_mediator());
    rc = next_ioctl()(fd, request, argument);
    if (LIKELY(rc >= 0 && (uintptr_t)argument >= PORT_ADDRESS_MIN) && mediator_heeds(argument))
        transport_note_control(argument);
    return rc;
}

EXPORTED HOT int ioctl_of_three(int fd, unsigned long request, void *argument)
{
    if (LIKELY(request == MEDIATOR_CONTROL && guest_is_ready()))
        return control(fd, request, argument);
    if (LIKELY(is_of_no_meaning(request)))
        return next_ioctl()(fd, request, argument);
    return carry(fd, request, argument);
}
