#include "hypervisor/keeper_status.h"

#include "utils/str.h"

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
    uint32_t most = status->process_most ? status->process_most : PROCESSES_MOST;
    uint32_t room = status->process_room + PROCESSES_STEP;
    void *processes;

    if (status->process_count == most)
        return false;
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

void keeper_status_tell(const struct keeper_status *status, const char *name, uid_t uid,
                        talk_take *take, void *context)
{
    struct message_status_tenant tenant = status->tenant;
    struct message_reply reply = {.status = 0};

    (void)str_format(tenant.name, sizeof(tenant.name), "%s", name); /* same size */
    tenant.uid = uid;
    tenant.process_count = status->process_count;
    tenant.gpu_count = status->gpu_count;
    take(context, &tenant.header);
    for (uint32_t i = 0; i < status->process_count; i++)
        take(context, &status->processes[i].header);
    for (uint32_t i = 0; i < status->gpu_count; i++)
        take(context, &status->gpus[i].header);
    message_init(&reply, MESSAGE_REPLY, sizeof(reply));
    take(context, &reply.header);
}
