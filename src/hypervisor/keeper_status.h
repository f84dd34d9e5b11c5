#pragma once
/*
 * keeper_status - what a supervisor says of its tenant: message by message, until it is whole.
 */
#include "ipc/message.h"

#include <stdbool.h>
#include <stdint.h>

struct keeper_status {
    struct message_status_tenant tenant;
    struct message_status_gpu gpus[REGION_GPUS_MAX];
    uint32_t gpu_count;
    struct message_status_process *processes; /* the caller frees them */
    uint32_t process_count, process_room;
};

/* Nothing was said yet; the room for processes stays. */
void keeper_status_reset(struct keeper_status *status);

/*
 * One message of a STATUS's answer; others are let be. Returns whether it is whole now. An answer
 * that has no tenant in it, as an error's, never is.
 */
bool keeper_status_take(struct keeper_status *status, const struct message_header *message);
