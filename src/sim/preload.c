/*
 * preload - libvgpu_sim.so: the calls by which a program reaches a device file. What is not the
 * simulator's goes on to the next symbol in load order. close needs nothing: a descriptor is known
 * by its inode, and the server sees its last close by itself.
 */
#include "sim/device_call.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

typedef int open_function(const char *path, int flags, ...);
typedef int openat_function(int directory, const char *path, int flags, ...);
typedef int ioctl_function(int fd, unsigned long request, ...);
typedef void *mmap_function(void *address, size_t length, int protection, int flags, int fd,
                            off_t offset);
typedef void *mmap64_function(void *address, size_t length, int protection, int flags, int fd,
                              off64_t offset);

/*
 * The next symbol, looked up at the first use and each time until it is there: the calls of other
 * libraries' constructors come before ours.
 */
#define NEXT(name) ((name##_function *)find_next(&next.name, #name))

static struct {
    void *open, *open64, *openat, *openat64, *ioctl, *mmap, *mmap64;
} next;

static void *find_next(void **slot, const char *name)
{
    void *function = __atomic_load_n(slot, __ATOMIC_RELAXED);

    if (!function) {
        function = dlsym(RTLD_NEXT, name);
        __atomic_store_n(slot, function, __ATOMIC_RELAXED);
    }
    return function;
}

typedef open_function open64_function;
typedef openat_function openat64_function;

/* open's third argument is there only where a file may be made. */
#define READ_MODE(mode, flags)                                                                     \
    do {                                                                                           \
        va_list list_;                                                                             \
                                                                                                   \
        va_start(list_, flags);                                                                    \
        if (((flags)&O_CREAT) || ((flags)&O_TMPFILE) == O_TMPFILE)                                 \
            (mode) = va_arg(list_, mode_t);                                                        \
        va_end(list_);                                                                             \
    } while (0)

EXPORTED int open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    bool is_ours;
    int fd = device_call_open(path, flags, &is_ours);

    READ_MODE(mode, flags);
    return is_ours ? fd : NEXT(open)(path, flags, mode);
}

EXPORTED int open64(const char *path, int flags, ...)
{
    mode_t mode = 0;
    bool is_ours;
    int fd = device_call_open(path, flags, &is_ours);

    READ_MODE(mode, flags);
    return is_ours ? fd : NEXT(open64)(path, flags, mode);
}

/* Device files are named by absolute paths, for which the directory does not matter. */
EXPORTED int openat(int directory, const char *path, int flags, ...)
{
    mode_t mode = 0;
    bool is_ours;
    int fd = device_call_open(path, flags, &is_ours);

    READ_MODE(mode, flags);
    return is_ours ? fd : NEXT(openat)(directory, path, flags, mode);
}

EXPORTED int openat64(int directory, const char *path, int flags, ...)
{
    mode_t mode = 0;
    bool is_ours;
    int fd = device_call_open(path, flags, &is_ours);

    READ_MODE(mode, flags);
    return is_ours ? fd : NEXT(openat64)(directory, path, flags, mode);
}

/* ioctl and mmap are no cancellation points; how the server is asked has several. */
static int hold_cancel(void)
{
    int state = 0;

    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state); /* a valid value */
    return state;
}

static void restore_cancel(int state)
{
    (void)pthread_setcancelstate(state, NULL); /* one that it had */
}

EXPORTED int ioctl(int fd, unsigned long request, ...)
{
    va_list list;
    void *args;
    bool is_ours;
    int result, cancel_state;

    va_start(list, request);
    args = va_arg(list, void *);
    va_end(list);
    cancel_state = hold_cancel();
    result = device_call_ioctl(fd, request, args, &is_ours);
    restore_cancel(cancel_state);
    return is_ours ? result : NEXT(ioctl)(fd, request, args);
}

/* Maps what the server gave in the place of a device file. */
static void *map_memory(const struct device_mapping *mapping, int fd)
{
    void *memory = NEXT(mmap64)(mapping->address, mapping->length, mapping->protection,
                                mapping->flags, fd, mapping->offset);
    int saved_errno = errno;

    (void)close(fd); /* the mapping stays */
    errno = saved_errno;
    return memory;
}

/* False where the descriptor is not the simulator's. */
static bool map(int fd, struct device_mapping *mapping, void **ret_memory)
{
    int state = hold_cancel(), memory_fd;
    bool is_ours;
    int rc = device_call_mmap(fd, mapping, &memory_fd, &is_ours);

    if (is_ours)
        *ret_memory = rc < 0 ? MAP_FAILED : map_memory(mapping, memory_fd);
    restore_cancel(state);
    return is_ours;
}

EXPORTED void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
    struct device_mapping mapping = {address, length, protection, flags, offset};
    void *memory;

    if (!map(fd, &mapping, &memory))
        return NEXT(mmap)(address, length, protection, flags, fd, offset);
    return memory;
}

EXPORTED void *mmap64(void *address, size_t length, int protection, int flags, int fd,
                      off64_t offset)
{
    struct device_mapping mapping = {address, length, protection, flags, offset};
    void *memory;

    if (!map(fd, &mapping, &memory))
        return NEXT(mmap64)(address, length, protection, flags, fd, offset);
    return memory;
}
