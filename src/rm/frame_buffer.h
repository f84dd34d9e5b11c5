#pragma once
/*
 * frame_buffer - makes the answer to "how big is this GPU" fit the tenant's quota: the sizes that a
 * control told, in the caller's memory, become the smaller of the card's and the quota's. For the
 * modules of `rm` alone.
 */
#include "rm/mediator.h"

static inline bool frame_buffer_is_asked(const struct rm_control *control)
{
    return control->command == RM_CONTROL_FB_GET_INFO_V2 ||
           control->command == RM_CONTROL_FB_GET_INFO;
}

/* A control of these commands that was done. Takes the lock, and remembers the object's device. */
void frame_buffer_patch(struct mediator *mediator, const struct rm_control *control);

/* The same without the lock, where the device is remembered; else false, and nothing is done. */
bool frame_buffer_patch_known(struct mediator *mediator,
                              const struct rm_control *control) MUST_CHECK;
