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

int control_call(const struct control_at *at, uint32_t command, void *params, size_t size,
                 uint32_t *ret_status)
{
    struct rm_control call = {.client = at->client,
                              .object = at->object,
                              .command = command,
                              .params = (uintptr_t)params,
                              .params_size = (uint32_t)size};
    int rc = ioctl(at->fd, RM_REQUEST(RM_NR_CONTROL, sizeof(call)), &call);

    return judge(rc, call.status, ret_status);
}

int control_alloc(const struct control_at *parent, struct control_object *object,
                  uint32_t *ret_status)
{
    struct rm_alloc_48 call = {.client = parent->client,
                               .parent = parent->object,
                               .object = object->handle,
                               .class = object->class,
                               .params = (uintptr_t)object->params,
                               .params_size = (uint32_t)object->params_bytes};
    int rc = ioctl(parent->fd, RM_REQUEST(RM_NR_ALLOC, sizeof(call)), &call);

    rc = judge(rc, call.status, ret_status);
    if (!rc)
        object->handle = call.object;
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
    return control_call(&(struct control_at){fd, client, group}, RM_CONTROL_SET_TIMESLICE,
                        &slice_us, sizeof(slice_us), ret_status);
}

int control_get_slice(int fd, uint32_t client, uint32_t group, uint64_t *ret_slice_us,
                      uint32_t *ret_status)
{
    uint64_t slice_us = 0;
    int rc = control_call(&(struct control_at){fd, client, group}, RM_CONTROL_GET_TIMESLICE,
                          &slice_us, sizeof(slice_us), ret_status);

    if (!rc)
        *ret_slice_us = slice_us;
    return rc;
}

size_t control_switch_calls(size_t count)
{
    return (count + RM_DISABLE_CHANNELS_MAX - 1) / RM_DISABLE_CHANNELS_MAX;
}

int control_switch(const struct control_at *subdevice, bool is_disable,
                   const struct control_channel *channels, size_t count, uint32_t *ret_status)
{
    int first = 0;

    if (ret_status)
        *ret_status = RM_OK;
    for (size_t done = 0; done < count;) {
        struct rm_disable_channels params = {.is_disable = is_disable};
        uint32_t status = RM_OK;
        int rc;

        for (; done < count && params.count < RM_DISABLE_CHANNELS_MAX; done++) {
            params.clients[params.count] = channels[done].client;
            params.channels[params.count++] = channels[done].channel;
        }
        rc = control_call(subdevice, RM_CONTROL_DISABLE_CHANNELS, &params, sizeof(params), &status);
        if (rc < 0 && !first) {
            first = rc;
            if (ret_status)
                *ret_status = status;
        }
    }
    return first;
}
