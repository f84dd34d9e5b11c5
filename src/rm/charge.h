#pragma once
/*
 * charge - the decision on one block of video memory, whichever call asks for it. For the modules
 * of `rm` alone.
 */
#include "rm/judgement.h"

#define CHARGE_NO_OFFSET UINT32_MAX

/* Where a call that allocates says what it wants, and where the driver writes what it gave. */
struct charge {
    uint32_t client, parent;
    uint32_t handle_offset;     /* in the arguments */
    const void *bytes;          /* the copy that holds the next two: arguments or parameters */
    uint32_t size_offset;       /* u64 */
    uint32_t attributes_offset; /* u32; CHARGE_NO_OFFSET: video memory by its class */
    bool is_size_minus_one;     /* call 0x27 gives the last byte instead */
};

/* Reserves, performs, adjusts or cancels, and records. Returns what ioctl should. */
int charge_call(struct judgement *judgement, const struct charge *charge) MUST_CHECK;
