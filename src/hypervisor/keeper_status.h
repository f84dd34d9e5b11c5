#pragma once
/*
 * keeper_status - what a supervisor says of its tenant: message by message, until it is whole.
 */
#include "hypervisor/talk.h"
#include "ipc/message.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct keeper_status {
    struct message_status_tenant tenant;
    struct message_status_gpu gpus[REGION_GPUS_MAX];
    uint32_t gpu_count;
    struct message_status_process *processes; /* the caller frees them */
    uint32_t process_count, process_room;
    uint32_t process_most; /* so many are believed; 0: as many as any supervisor has */
};

/* Nothing was said yet; the room for processes and its bound stay. */
void keeper_status_reset(struct keeper_status *status);

/*
 * One message of a STATUS's answer; others are let be. Returns whether it is whole now. An answer
 * that has no tenant in it, as an error's, never is.
 */
bool keeper_status_take(struct keeper_status *status, const struct message_header *message);

/* Says it as its supervisor would, of a tenant of that name and user, to the REPLY at the end. */
void keeper_status_tell(const struct keeper_status *status, const char *name, uid_t uid,
                        talk_take *take, void *context);
