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

struct control_channel {
    uint32_t client, channel;
};

int control_call(int fd, uint32_t client, uint32_t object, uint32_t command, void *params,
                 size_t size, uint32_t *ret_status) MUST_CHECK;

/* RM_NR_ALLOC, 48-byte form; *object is in and out (0: the RM chooses). */
int control_alloc(int fd, uint32_t client, uint32_t parent, uint32_t *object, uint32_t class,
                  void *params, size_t size, uint32_t *ret_status) MUST_CHECK;

/* Frees an object and all below it; object == client frees the client. */
int control_free(int fd, uint32_t client, uint32_t object, uint32_t *ret_status) MUST_CHECK;

int control_set_slice(int fd, uint32_t client, uint32_t group, uint64_t slice_us,
                      uint32_t *ret_status) MUST_CHECK;
int control_get_slice(int fd, uint32_t client, uint32_t group, uint64_t *ret_slice_us,
                      uint32_t *ret_status) MUST_CHECK;

/*
 * Takes channels off the GPU, or puts them back; as many calls as RM_DISABLE_CHANNELS_MAX makes of
 * `count`. Channels may be of several clients; `client` and `subdevice` are those the call is made
 * on. All calls are tried; the first failure is returned. *ret_calls (may be NULL) is their number.
 */
int control_switch(int fd, uint32_t client, uint32_t subdevice, bool is_disable,
                   const struct control_channel *channels, size_t count, size_t *ret_calls,
                   uint32_t *ret_status) MUST_CHECK;
