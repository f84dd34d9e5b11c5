#pragma once
/*
 * session - a driver library's conversation with the resource manager: one client, and calls on its
 * objects. They go by open, ioctl and mmap of libc, so that whoever stands before them in load
 * order sees them as it sees the real library's.
 */
#include "utils/attr.h"

#include <stddef.h>
#include <stdint.h>

struct session {
    int control_fd;
    uint32_t client;
    _Atomic uint32_t next_handle;
};

struct session_object {
    uint32_t parent, class;
    void *params;
    uint32_t params_bytes;
};

struct session_mapping {
    uint32_t device, memory; /* handles */
    uint32_t minor;
    uint64_t offset;
    size_t bytes;
    void *address; /* where to map, over what is there; NULL: anywhere */
};

/* Opens the driver and makes a client. Negative errno where there is no driver. */
int session_open(struct session *session) MUST_CHECK;
void session_close(struct session *session);

/* These return the RM's status word; RM_GPU_LOST where the call itself failed. */
uint32_t session_alloc(struct session *session, const struct session_object *object,
                       uint32_t *ret_handle) MUST_CHECK;
uint32_t session_control(struct session *session, uint32_t object, uint32_t command, void *params,
                         uint32_t params_bytes) MUST_CHECK;
void session_free(struct session *session, uint32_t object);

/* Opens the node of a GPU; negative errno. The caller closes it. */
int session_open_gpu(uint32_t minor) MUST_CHECK;

/*
 * Maps an object's memory. *ret_fd, where asked for, is the descriptor it was mapped with, which
 * the caller closes; it is the doorbell of a channel.
 */
uint32_t session_map(struct session *session, const struct session_mapping *mapping,
                     void **ret_memory, int *ret_fd) MUST_CHECK;
