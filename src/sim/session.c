#include "sim/session.h"

#include "abi/rm.h"
#include "utils/atomics.h"
#include "utils/str.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#define FIRST_HANDLE 0x5c000001u
#define PATH_BYTES   32

int session_open(struct session *session)
{
    struct rm_alloc_48 args = {.class = RM_CLASS_ROOT_CLIENT};

    session->control_fd = open("/dev/nvidiactl", O_RDWR | O_CLOEXEC);
    if (session->control_fd < 0)
        return -errno;
    if (ioctl(session->control_fd, RM_REQUEST(RM_NR_ALLOC, sizeof(args)), &args) < 0 ||
        args.status != RM_OK) {
        attr_close(&session->control_fd);
        return -ENODEV;
    }
    session->client = args.object;
    store_relaxed(&session->next_handle, FIRST_HANDLE);
    return 0;
}

void session_close(struct session *session)
{
    attr_close(&session->control_fd); /* the client ends with it */
}

uint32_t session_alloc(struct session *session, const struct session_object *object,
                       uint32_t *ret_handle)
{
    struct rm_alloc_48 args = {
        .client = session->client,
        .parent = object->parent,
        .object = add_relaxed(&session->next_handle, 1),
        .class = object->class,
        .params = (uintptr_t)object->params,
        .params_size = object->params_bytes,
    };

    if (ioctl(session->control_fd, RM_REQUEST(RM_NR_ALLOC, sizeof(args)), &args) < 0)
        return RM_GPU_LOST;
    if (args.status == RM_OK)
        *ret_handle = args.object;
    return args.status;
}

uint32_t session_control(struct session *session, uint32_t object, uint32_t command, void *params,
                         uint32_t params_bytes)
{
    struct rm_control args = {
        .client = session->client,
        .object = object,
        .command = command,
        .params = (uintptr_t)params,
        .params_size = params_bytes,
    };

    if (ioctl(session->control_fd, RM_REQUEST(RM_NR_CONTROL, sizeof(args)), &args) < 0)
        return RM_GPU_LOST;
    return args.status;
}

void session_free(struct session *session, uint32_t object)
{
    struct rm_free args = {.client = session->client, .object = object};

    /* What cannot be freed goes with the client. */
    (void)ioctl(session->control_fd, RM_REQUEST(RM_NR_FREE, sizeof(args)), &args);
}

int session_open_gpu(uint32_t minor)
{
    char path[PATH_BYTES];
    int fd;

    (void)str_format(path, sizeof(path), "/dev/nvidia%u", minor);
    fd = open(path, O_RDWR | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

uint32_t session_map(struct session *session, const struct session_mapping *mapping,
                     void **ret_memory, int *ret_fd)
{
    CLEANUP_CLOSE int fd = session_open_gpu(mapping->minor);
    struct rm_map_memory args = {
        .client = session->client,
        .device = mapping->device,
        .memory = mapping->memory,
        .offset = mapping->offset,
        .length = mapping->bytes,
        .fd = fd,
    };
    void *memory;

    if (fd < 0 || ioctl(session->control_fd, RM_REQUEST(RM_NR_MAP_MEMORY, sizeof(args)), &args) < 0)
        return RM_GPU_LOST;
    if (args.status != RM_OK)
        return args.status;
    memory = mmap(mapping->address, mapping->bytes, PROT_READ | PROT_WRITE,
                  MAP_SHARED | (mapping->address ? MAP_FIXED : 0), fd, 0);
    if (memory == MAP_FAILED)
        return RM_NO_MEMORY;
    *ret_memory = memory;
    if (ret_fd)
        *ret_fd = TAKE_FD(fd);
    return RM_OK;
}
