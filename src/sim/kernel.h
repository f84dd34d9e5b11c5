#pragma once
/*
 * kernel - the driver's side of its device nodes: ioctl and mmap on an open file. Takes whatever
 * bytes a program sends; what it cannot make sense of it answers as the driver does.
 */
#include "sim/machine.h"
#include "utils/attr.h"

#include <stdbool.h>
#include <stdint.h>

struct kernel_call {
    struct machine *machine;
    struct open_file *file;
    struct open_file *other; /* the descriptor named in the arguments; NULL for none */
    uint32_t pid, uid;
    uint64_t when_ns; /* when the caller entered the kernel */
    uint64_t now_ns;  /* when we got to it: the model is not turned back */
    uint32_t nr;
    uint8_t *args, *params, *nested; /* in place; params and nested are NULL where there are none */
    uint32_t args_bytes, params_bytes, nested_bytes;

    uint32_t error;  /* out: 0 or an errno */
    uint64_t due_ns; /* out: when the call returns */
};

void kernel_ioctl(struct kernel_call *call);

struct kernel_mapping {
    uint64_t offset, bytes;
    bool is_writable;
};

/*
 * What mmap of the file gives after RM_NR_MAP_MEMORY. Returns the memfd, borrowed, or a negative
 * errno; `mapping` is the request, and its offset becomes that in the memfd.
 */
int kernel_mmap(struct open_file *file, struct kernel_mapping *mapping) MUST_CHECK;

/* For the parts of the kernel: the client of that handle if the file may speak for it. */
struct client *kernel_find_client(const struct kernel_call *call, uint32_t handle);
