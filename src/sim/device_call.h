#pragma once
/*
 * device_call - stands for the kernel's side of a device file: what open, ioctl and mmap do with a
 * descriptor of the simulated driver, in words of sim/wire.h. A descriptor is recognised by its
 * inode, which the server is asked about once, so it does not matter how the process came by it.
 *
 * Each function sets *ret_is_ours: false says that this is no business of the simulator, and that
 * the real call is to be made; the result then means nothing. Results are those of the call, with
 * errno.
 */
#include "utils/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct device_mapping {
    void *address;
    size_t length;
    int protection, flags;
    int64_t offset;
};

/* `flags`: those of open. */
int device_call_open(const char *path, int flags, bool *ret_is_ours) MUST_CHECK;
int device_call_ioctl(int fd, unsigned long request, void *args, bool *ret_is_ours) MUST_CHECK;

/* On success *ret_fd is what to map in the descriptor's place, at the offset written to mapping;
 * the caller closes it. */
int device_call_mmap(int fd, struct device_mapping *mapping, int *ret_fd,
                     bool *ret_is_ours) MUST_CHECK;
