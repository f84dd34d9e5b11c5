#include "rm/control.h"

#include "abi/rm.h"

#include <errno.h>
#include <string.h>

static int judge(int rc, uint32_t status, uint32_t *ret_status)
{
    if (ret_status)
        *ret_status = status;
    if (rc < 0)
        return -errno;
    return status == RM_OK ? 0 : -EREMOTEIO;
}

int control_call(int fd, uint32_t client, uint32_t object, uint32_t command, void *params,
                 size_t size, uint32_t *ret_status)
{
    struct rm_control call = {.client = client,
                              .object = object,
                              .command = command,
                              .params = (uintptr_t)params,
                              .params_size = (uint32_t)size};
    int rc = ioctl(fd, RM_REQUEST(RM_NR_CONTROL, sizeof(call)), &call);

    return judge(rc, call.status, ret_status);
}

int control_alloc(int fd, uint32_t client, uint32_t parent, uint32_t *object, uint32_t class,
                  void *params, size_t size, uint32_t *ret_status)
{
    struct rm_alloc_48 call = {.client = client,
                               .parent = parent,
                               .object = *object,
                               .class = class,
                               .params = (uintptr_t)params,
                               .params_size = (uint32_t)size};
    int rc = ioctl(fd, RM_REQUEST(RM_NR_ALLOC, sizeof(call)), &call);

    rc = judge(rc, call.status, ret_status);
    if (!rc)
        *object = call.object;
    return rc;
}

int control_free(int fd, uint32_t client, uint32_t object, uint32_t *ret_status)
{
    struct rm_free call = {.client = client, .parent = client, .object = object};
    int rc = ioctl(fd, RM_REQUEST(RM_NR_FREE, sizeof(call)), &call);

    return judge(rc, call.status, ret_status);
}

int control_set_slice(int fd, uint32_t client, uint32_t group, uint64_t slice_us,
                      uint32_t *ret_status)
{
    return control_call(fd, client, group, RM_CONTROL_SET_TIMESLICE, &slice_us, sizeof(slice_us),
                        ret_status);
}

int control_get_slice(int fd, uint32_t client, uint32_t group, uint64_t *ret_slice_us,
                      uint32_t *ret_status)
{
    uint64_t slice_us = 0;
    int rc = control_call(fd, client, group, RM_CONTROL_GET_TIMESLICE, &slice_us, sizeof(slice_us),
                          ret_status);

    if (!rc)
        *ret_slice_us = slice_us;
    return rc;
}

static int switch_some(int fd, uint32_t client, uint32_t subdevice,
                       struct rm_disable_channels *params, uint32_t *ret_status)
{
    return control_call(fd, client, subdevice, RM_CONTROL_DISABLE_CHANNELS, params, sizeof(*params),
                        ret_status);
}

int control_switch(int fd, uint32_t client, uint32_t subdevice, bool is_disable,
                   const struct control_channel *channels, size_t count, size_t *ret_calls,
                   uint32_t *ret_status)
{
    size_t calls = 0;
    int first = 0;

    if (ret_status)
        *ret_status = RM_OK;
    for (size_t done = 0; done < count; calls++) {
        struct rm_disable_channels params = {.is_disable = is_disable};
        uint32_t status = RM_OK;
        int rc;

        for (; done < count && params.count < RM_DISABLE_CHANNELS_MAX; done++) {
            params.clients[params.count] = channels[done].client;
            params.channels[params.count++] = channels[done].channel;
        }
        rc = switch_some(fd, client, subdevice, &params, &status);
        if (rc < 0 && !first) {
            first = rc;
            if (ret_status)
                *ret_status = status;
        }
    }
    if (ret_calls)
        *ret_calls = calls;
    return first;
}
