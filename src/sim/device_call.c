#include "sim/device_call.h"

#include "abi/rm.h"
#include "sim/wire_call.h"
#include "utils/atomics.h"
#include "utils/str.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define KNOWN_INODES  256
#define FD_OFFSET_MAP 48
#define PREFIX        "/dev/nvidia"
#define MINOR_MAX     1000u

/*
 * What the server said of an inode: inode << 1 | ours. The numbers of sockets are a counter: none
 * comes again before 2^32 others. 0: nothing known.
 */
static _Atomic uint64_t known[KNOWN_INODES];

enum known_file { FILE_UNKNOWN, FILE_OURS, FILE_FOREIGN };

static enum known_file look_up(uint64_t inode)
{
    uint64_t word = load_relaxed(&known[inode % KNOWN_INODES]);

    if (word >> 1 != inode)
        return FILE_UNKNOWN;
    return word & 1 ? FILE_OURS : FILE_FOREIGN;
}

static void remember(uint64_t inode, bool is_ours)
{
    store_relaxed(&known[inode % KNOWN_INODES], inode << 1 | is_ours);
}

/* 0 for what cannot be a simulated descriptor. */
static uint64_t inode_of(int fd)
{
    struct stat status;

    return fd >= 0 && fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode) ? status.st_ino : 0;
}

/*
 * Asks, and learns whose the file is. Returns 0 or what errno says. Where nobody answers, a file
 * that was known as ours has lost its device; an unknown one is left to the system.
 */
static int ask(struct wire_call *call, uint64_t inode, bool *ret_is_ours)
{
    enum known_file before = look_up(inode);
    int rc = wire_call_ask(call);

    if (rc < 0) {
        *ret_is_ours = before == FILE_OURS || rc != -ENODEV;
        return rc == -EMSGSIZE ? EINVAL : -rc;
    }
    *ret_is_ours = call->reply.error != WIRE_NOT_OURS;
    if (before == FILE_UNKNOWN)
        remember(inode, *ret_is_ours);
    return (int)call->reply.error;
}

static int fail(int error)
{
    errno = error;
    return -1;
}

/* --- open ------------------------------------------------------------------------------------- */

static bool parse_minor(const char *text, uint32_t *ret_minor)
{
    uint32_t minor = 0;

    if (!*text)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || minor > MINOR_MAX)
            return false;
        minor = minor * 10 + (uint32_t)(*text - '0');
    }
    *ret_minor = minor;
    return true;
}

static bool find_node(const char *path, struct wire_request *request)
{
    const char *rest;

    if (!str_starts_with(path, PREFIX))
        return false;
    rest = path + sizeof(PREFIX) - 1;
    if (str_equals(rest, "ctl"))
        request->node = WIRE_NODE_CONTROL;
    else if (str_equals(rest, "-uvm"))
        request->node = WIRE_NODE_UVM;
    else if (parse_minor(rest, &request->index))
        request->node = WIRE_NODE_GPU;
    else
        return false;
    return true;
}

int device_call_open(const char *path, int flags, bool *ret_is_ours)
{
    struct wire_call call = {.request = {.kind = WIRE_OPEN}};
    int rc;

    *ret_is_ours = path && find_node(path, &call.request) && wire_call_is_possible();
    if (!*ret_is_ours)
        return -1;
    rc = wire_call_ask(&call);
    if (rc < 0)
        return fail(-rc);
    if (call.reply.error != 0 || call.fd < 0) {
        attr_close(&call.fd);
        return fail(call.reply.error != 0 ? (int)call.reply.error : ENODEV);
    }
    remember(inode_of(call.fd), true);
    if (!(flags & O_CLOEXEC))
        (void)fcntl(call.fd, F_SETFD, 0); /* a descriptor that we have just received */
    return call.fd;
}

/* --- ioctl ------------------------------------------------------------------------------------ */

/* Reads memory that may not be there without dying of it, as the kernel does. */
static bool read_caller(void *target, uint64_t address, size_t bytes)
{
    struct iovec ours = {.iov_base = target, .iov_len = bytes};
    struct iovec theirs = {.iov_base = (void *)(uintptr_t)address, .iov_len = bytes};

    if (bytes == 0)
        return true;
    if (process_vm_readv(getpid(), &ours, 1, &theirs, 1, 0) == (ssize_t)bytes)
        return true;
    if (errno != ENOSYS && errno != EPERM)
        return false;
    memcpy(target, theirs.iov_base, bytes); /* a sandbox without that call: trust the pointer */
    return true;
}

static void add_part(struct wire_call *call, uint64_t address, uint32_t bytes, uint32_t *size)
{
    *size = bytes;
    if (bytes > 0)
        call->parts[call->part_count++] =
            (struct iovec){.iov_base = (void *)(uintptr_t)address, .iov_len = bytes};
}

/* Where the args' params lie. */
struct params {
    uint64_t address;
    uint32_t bytes;
};

static struct params find_params(const struct wire_request *request, const void *args)
{
    struct params params = {0};
    struct rm_alloc_48 alloc_48 = {0};
    struct rm_alloc_32 alloc_32;
    struct rm_control control;

    if (_IOC_NR(request->request) == RM_NR_CONTROL && request->args_bytes == sizeof(control)) {
        memcpy(&control, args, sizeof(control));
        return (struct params){control.params, control.params ? control.params_size : 0};
    }
    if (_IOC_NR(request->request) != RM_NR_ALLOC)
        return params;
    if (request->args_bytes == sizeof(alloc_48)) {
        memcpy(&alloc_48, args, sizeof(alloc_48));
        params = (struct params){alloc_48.params, alloc_48.params_size};
    } else if (request->args_bytes == sizeof(alloc_32)) {
        memcpy(&alloc_32, args, sizeof(alloc_32));
        params = (struct params){alloc_32.params, alloc_32.params_size};
        alloc_48.class = alloc_32.class;
    }
    if (params.address && params.bytes == 0)
        params.bytes = wire_params_bytes(alloc_48.class);
    return params.address ? params : (struct params){0};
}

/* The descriptor that the args name, -1 for none. */
static int find_other_fd(const struct wire_request *request, const uint8_t *args)
{
    uint32_t offset = _IOC_NR(request->request) == RM_NR_REGISTER_FD ? 0 : FD_OFFSET_MAP;
    int fd;

    switch (_IOC_NR(request->request)) {
    case RM_NR_MAP_MEMORY:
    case RM_NR_ALLOC_MEMORY:
    case RM_NR_REGISTER_FD:
        break;
    default:
        return -1;
    }
    if (request->args_bytes < offset + sizeof(fd))
        return -1;
    memcpy(&fd, args + offset, sizeof(fd));
    return fd;
}

/* The older form of the frame buffer's information points to its pairs from inside its params. */
static bool add_nested(struct wire_call *call, const struct rm_control *control)
{
    struct {
        uint32_t count, reserved;
        uint64_t pairs;
    } list;

    if (control->command != RM_CONTROL_FB_GET_INFO || control->params_size < sizeof(list))
        return true;
    if (!read_caller(&list, control->params, sizeof(list)))
        return false;
    if (list.count > WIRE_MESSAGE_MAX / sizeof(struct rm_fb_info))
        return false;
    if (list.pairs)
        add_part(call, list.pairs, list.count * (uint32_t)sizeof(struct rm_fb_info),
                 &call->request.nested_bytes);
    return true;
}

/* Takes a wrapped call out of its wrapping. */
static bool unwrap(struct wire_request *request, uint64_t *address)
{
    struct rm_transfer transfer;

    if (_IOC_NR(request->request) != RM_NR_TRANSFER ||
        _IOC_SIZE(request->request) != sizeof(transfer))
        return true;
    if (!read_caller(&transfer, *address, sizeof(transfer)))
        return false;
    if (transfer.nr > _IOC_NRMASK || transfer.size > _IOC_SIZEMASK)
        return false;
    request->request = (uint32_t)RM_REQUEST(transfer.nr, transfer.size);
    *address = transfer.argument;
    return true;
}

/* Says where the call's memory lies; false: some of it cannot be read. */
static bool describe(struct wire_call *call, uint64_t address)
{
    struct wire_request *request = &call->request;
    struct params params;
    uint8_t args[sizeof(struct rm_alloc_memory)] = {0}; /* the largest of those we look into */
    struct rm_control control;
    uint32_t bytes;

    if (!unwrap(request, &address))
        return false;
    bytes = address ? _IOC_SIZE(request->request) : 0;
    add_part(call, address, bytes, &request->args_bytes);
    if (!read_caller(args, address, bytes < sizeof(args) ? bytes : sizeof(args)))
        return false;
    params = find_params(request, args);
    add_part(call, params.address, params.bytes, &request->params_bytes);
    request->other_file = inode_of(find_other_fd(request, args));
    memcpy(&control, args, sizeof(control));
    if (_IOC_NR(request->request) != RM_NR_CONTROL || params.bytes == 0)
        return true;
    return add_nested(call, &control);
}

int device_call_ioctl(int fd, unsigned long request, void *args, bool *ret_is_ours)
{
    struct wire_call call = {.request = {.kind = WIRE_IOCTL, .request = (uint32_t)request}};
    int saved_errno = errno, error;

    *ret_is_ours = false;
    if (!wire_call_is_possible())
        return -1;
    call.request.file = inode_of(fd);
    errno = saved_errno;
    if (call.request.file == 0 || look_up(call.request.file) == FILE_FOREIGN)
        return -1;
    /* Before anything is read through a pointer that may be no pointer: whose file is it? */
    if (look_up(call.request.file) == FILE_UNKNOWN) {
        struct wire_call probe = {.request = {.kind = WIRE_IOCTL, .file = call.request.file}};

        (void)ask(&probe, call.request.file, ret_is_ours); /* what it says is the file's owner */
        errno = saved_errno;
        if (!*ret_is_ours)
            return -1;
    }
    *ret_is_ours = true;
    if (!describe(&call, (uintptr_t)args))
        return fail(EFAULT);
    errno = saved_errno;
    error = ask(&call, call.request.file, ret_is_ours);
    attr_close(&call.fd);
    return error == 0 ? 0 : fail(error);
}

/* --- mmap ------------------------------------------------------------------------------------- */

int device_call_mmap(int fd, struct device_mapping *mapping, int *ret_fd, bool *ret_is_ours)
{
    struct wire_call call = {
        .request = {.kind = WIRE_MMAP,
                    .offset = (uint64_t)mapping->offset,
                    .length = mapping->length,
                    .is_writable = (mapping->protection & PROT_WRITE) != 0},
    };
    int saved_errno = errno, error;

    *ret_is_ours = false;
    if (fd < 0 || (mapping->flags & MAP_ANONYMOUS) || !wire_call_is_possible())
        return -1;
    call.request.file = inode_of(fd);
    errno = saved_errno;
    if (call.request.file == 0 || look_up(call.request.file) == FILE_FOREIGN)
        return -1;
    error = ask(&call, call.request.file, ret_is_ours);
    if (!*ret_is_ours || error != 0) {
        attr_close(&call.fd);
        return fail(error != 0 ? error : ENODEV);
    }
    mapping->offset = (int64_t)call.reply.value;
    *ret_fd = call.fd;
    return 0;
}
