#pragma once
/*
 * allocate - the RM's classes: what an allocation of each makes.
 */
#include "sim/kernel.h"

#include <stdint.h>

struct allocate_request {
    uint32_t client, parent, object, class; /* object is in and out */
    uint8_t *params;                        /* written back; NULL for none */
    uint32_t params_bytes;
};

/* Each returns the RM's status. */
uint32_t allocate_object(struct kernel_call *call, struct allocate_request *request);

/* Video memory of a size that is written back as granted, the older ways. */
uint32_t allocate_memory(struct kernel_call *call, struct allocate_request *request,
                         uint64_t *bytes, uint32_t attributes);

/* An object of another client, under a handle of this one; the memory stays the same. */
struct allocate_copy {
    uint32_t client, parent, object; /* object is in and out */
    uint32_t source_client, source_object;
};
uint32_t allocate_duplicate(struct kernel_call *call, struct allocate_copy *copy);
