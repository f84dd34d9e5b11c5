#include "hypervisor/keeper_status.h"

#include <stdlib.h>
#include <string.h>

#define PROCESSES_STEP 16u
#define PROCESSES_MOST 65536u

void keeper_status_reset(struct keeper_status *status)
{
    status->tenant = (struct message_status_tenant){.supervisor_pid = 0};
    status->gpu_count = 0;
    status->process_count = 0;
}

static bool make_room(struct keeper_status *status)
{
    uint32_t room = status->process_room + PROCESSES_STEP;
    void *processes;

    if (status->process_count < status->process_room)
        return true;
    processes = room > PROCESSES_MOST
                    ? NULL
                    : realloc(status->processes, room * sizeof(*status->processes));
    if (!processes)
        return false;
    status->processes = processes;
    status->process_room = room;
    return true;
}

bool keeper_status_take(struct keeper_status *status, const struct message_header *message)
{
    switch (message->type) {
    case MESSAGE_STATUS_TENANT:
        keeper_status_reset(status);
        memcpy(&status->tenant, message, sizeof(status->tenant));
        return false;
    case MESSAGE_STATUS_PROCESS:
        if (make_room(status))
            memcpy(&status->processes[status->process_count++], message,
                   sizeof(status->processes[0]));
        return false;
    case MESSAGE_STATUS_GPU:
        if (status->gpu_count < REGION_GPUS_MAX)
            memcpy(&status->gpus[status->gpu_count++], message, sizeof(status->gpus[0]));
        return false;
    case MESSAGE_REPLY:
        return status->tenant.header.type != 0;
    default:
        return false; /* of a later version: what it means is not needed */
    }
}
