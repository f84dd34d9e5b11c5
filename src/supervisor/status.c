#include "supervisor/status.h"

#include "ipc/ledger.h"
#include "ipc/message.h"
#include "supervisor/controller.h"
#include "supervisor/guests.h"
#include "supervisor/tenant.h"
#include "utils/sock.h"
#include "utils/str.h"

#include <unistd.h>

/* What is more than the card has was not counted but written by somebody who may not. */
static uint64_t believe(uint64_t bytes, const struct gpus_card *card)
{
    return bytes <= card->memory_bytes ? bytes : MESSAGE_UNKNOWN;
}

/*
 * What was to stay off runs on where the scheduler was seen not to obey; on the tenant's other GPUs
 * it stays off.
 */
static bool is_suspended(const struct status_source *source)
{
    const struct tenant *tenant = source->tenant;

    for (uint32_t i = 0; tenant->is_suspended && i < tenant->gpu_count; i++) {
        struct controller_state state;

        controller_get_state(source->controller, i, &state);
        if (tenant->quotas[i].is_allowed && state.engine == REGION_ENGINE_RM)
            return true;
    }
    return false;
}

static int send_tenant(int fd, const struct status_source *source)
{
    const struct guests *guests = source->guests;
    struct message_status_tenant message = {
        .supervisor_pid = getpid(),
        .engine = source->tenant->engine,
        .state = is_suspended(source) ? MESSAGE_SUSPENDED : MESSAGE_RUNNING,
        .uid = source->tenant->uid,
        .on_loss = source->tenant->on_loss,
        .is_kept = source->tenant->is_kept,
        .process_count = guests->count,
        .gpu_count = source->tenant->gpu_count,
        .rm_calls = guests->gone.rm_calls,
        .rm_unparsed = guests->gone.rm_unparsed,
        .refusals = guests->gone.refusals,
        .guard_enables = guests->gone.guard_enables,
    };

    message_init(&message, MESSAGE_STATUS_TENANT, sizeof(message));
    (void)str_format(message.name, sizeof(message.name), "%s",
                     source->tenant->name); /* same size */
    LIST_EACH(node, &guests->head)
    {
        const struct guest *guest = CONTAINER_OF(node, struct guest, node);

        message.rm_calls += guest->counters.rm_calls;
        message.rm_unparsed += guest->counters.rm_unparsed;
        message.refusals += guest->counters.refusals;
        message.guard_enables += guest->counters.guard_enables;
    }
    return sock_send(fd, &message, sizeof(message), NULL, 0);
}

static int send_process(int fd, const struct status_source *source, const struct guest *guest)
{
    struct message_status_process message = {.pid = guest->pid};

    message_init(&message, MESSAGE_STATUS_PROCESS, sizeof(message));
    (void)str_format(message.comm, sizeof(message.comm), "%s", guest->comm); /* same size */
    for (uint32_t i = 0; i < REGION_GPUS_MAX; i++)
        message.memory_bytes[i] =
            guest->has_row && i < source->tenant->gpu_count
                ? believe(ledger_row_used(source->guests->ledger, guest->row.index, i),
                          &source->tenant->cards[i])
                : 0;
    return sock_send(fd, &message, sizeof(message), NULL, 0);
}

static int send_gpu(int fd, const struct status_source *source, uint32_t slot)
{
    const struct tenant_quota *quota = &source->tenant->quotas[slot];
    const struct gpus_card *card = &source->tenant->cards[slot];
    struct controller_state state;
    struct message_status_gpu message = {
        .nvml_index = card->nvml_index,
        .weight = quota->weight,
        .priority = quota->priority,
        .memory_limit_bytes = quota->memory_bytes,
        .memory_used_bytes =
            source->guests->ledger ? believe(ledger_used(source->guests->ledger, slot), card) : 0,
        .card_bytes = card->memory_bytes,
        .cap_milli_percent = quota->cap_milli_percent,
    };

    controller_get_state(source->controller, slot, &state);
    message.used_milli_percent = state.used_milli_percent;
    message.slice_us = state.slice_us;
    message.busy_group_count = state.busy_group_count;
    message.duty_milli_percent = state.duty_milli_percent;
    message.entitled_milli_percent = state.entitled_milli_percent;
    message.switch_calls = state.switch_calls;
    message.late_looks = state.late_looks;
    message.control_failures = state.control_failures;
    message.control_ns = state.call_ns;
    message_init(&message, MESSAGE_STATUS_GPU, sizeof(message));
    (void)str_format(message.uuid, sizeof(message.uuid), "%s", card->uuid); /* same size */
    return sock_send(fd, &message, sizeof(message), NULL, 0);
}

int status_send(int fd, const struct status_source *source)
{
    int rc = send_tenant(fd, source);

    LIST_EACH(node, &source->guests->head)
    if (!rc)
        rc = send_process(fd, source, CONTAINER_OF(node, struct guest, node));
    for (uint32_t i = 0; !rc && i < source->tenant->gpu_count; i++)
        if (source->tenant->quotas[i].is_allowed)
            rc = send_gpu(fd, source, i);
    return rc;
}
