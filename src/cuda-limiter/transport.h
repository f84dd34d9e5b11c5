#pragma once
/*
 * transport - carries this process's own calls to the mediator: its memory is ours, the driver is
 * the next `ioctl`, the quota is the region's.
 */
#include "cuda-limiter/hot.h"
#include "rm/mediator.h"
#include "utils/attr.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The mediator of this process; may be used without the guest's lock where mediator.h does not ask
 * for it.
 */
static inline struct mediator *transport_mediator(void)
{
    return &hot.mediator;
}

/* Once, before the first call. */
void transport_start(void);

/*
 * An ioctl on a driver's open file: returns what ioctl does, 0 or more, or a negative errno. What
 * it does besides leaves errno as it was.
 */
int transport_call(uint64_t file_id, int fd, unsigned long request, uint64_t argument) MUST_CHECK;

/* A control that the driver has done and that mediator_heeds(); errno stays. */
void transport_note_control(const void *argument);

/* The last descriptor of a file was closed. */
void transport_close_file(uint64_t file_id);

/* In a forked child: objects stay known, where they were not just being changed. */
void transport_forget(bool is_consistent);
