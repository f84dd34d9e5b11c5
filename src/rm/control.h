#pragma once
/*
 * control - commands to the RM, and through it to the GPU's scheduler, on an open file that holds
 * the client. Used by the guest on its own descriptors and by the supervisor on duplicates.
 *
 * Each returns 0, a negative errno where the ioctl itself failed, or -EREMOTEIO where the RM
 * answered with a status, which *ret_status then holds (RM_OK otherwise; NULL where nobody cares).
 * They reach the driver as the next `ioctl` in load order and block as long as the driver does
 * (450-660 us for a disable, 270-310 us for an enable, worst seen 4.4 ms).
 */
#include "utils/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a command is made: an object of a client, on an open file that holds the client. */
struct control_at {
    int fd;
    uint32_t client, object;
};

/* What is allocated; a handle of 0 lets the RM choose, and is set to what it chose. */
struct control_object {
    uint32_t handle, class;
    void *params; /* NULL where there are none */
    size_t params_bytes;
};

struct control_channel {
    uint32_t client, channel;
};

int control_call(const struct control_at *at, uint32_t command, void *params, size_t size,
                 uint32_t *ret_status) MUST_CHECK;

/* RM_NR_ALLOC, 48-byte form, below the object `parent` (all zero for a client). */
int control_alloc(const struct control_at *parent, struct control_object *object,
                  uint32_t *ret_status) MUST_CHECK;

/* Frees an object and all below it; object == client frees the client. */
int control_free(int fd, uint32_t client, uint32_t object, uint32_t *ret_status) MUST_CHECK;

int control_set_slice(int fd, uint32_t client, uint32_t group, uint64_t slice_us,
                      uint32_t *ret_status) MUST_CHECK;
int control_get_slice(int fd, uint32_t client, uint32_t group, uint64_t *ret_slice_us,
                      uint32_t *ret_status) MUST_CHECK;

/*
 * Takes channels off the GPU, or puts them back; as many calls as RM_DISABLE_CHANNELS_MAX makes of
 * `count` (control_switch_calls() of them). Channels may be of several clients; `subdevice` is
 * where the calls are made. All calls are tried; the first failure is returned.
 */
int control_switch(const struct control_at *subdevice, bool is_disable,
                   const struct control_channel *channels, size_t count,
                   uint32_t *ret_status) MUST_CHECK;
size_t control_switch_calls(size_t count);
