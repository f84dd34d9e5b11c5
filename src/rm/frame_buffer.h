#pragma once
/*
 * frame_buffer - makes the answer to "how big is this GPU" fit the tenant's quota. For the modules
 * of `rm` alone.
 */
#include "rm/judgement.h"

/*
 * A control that was done, with its arguments (struct rm_control) in judgement->args. Where it told
 * sizes of a frame buffer, those in the caller's memory become the smaller of the card's and the
 * quota's.
 */
void frame_buffer_patch(struct judgement *judgement);
