#include "hypervisor/survey.h"

#include "hypervisor/admission.h"
#include "hypervisor/health.h"
#include "hypervisor/keeper.h"
#include "hypervisor/outlook.h"
#include "hypervisor/waiting.h"
#include "utils/clock.h"
#include "utils/str.h"

#include <stdlib.h>
#include <string.h>

#define NO_CAP 100000u

static uint32_t find_gpu(const struct snapshot *snapshot, const char *uuid)
{
    uint32_t i = 0;

    while (i < snapshot->gpu_count && !str_equals(snapshot->gpus[i].uuid, uuid))
        i++;
    return i;
}

static void fill_gpus(struct snapshot *snapshot, const struct survey *survey)
{
    for (uint32_t i = 0; i < survey->card_count && i < REGION_GPUS_MAX; i++) {
        const struct gpus_card *card = &survey->cards[i];
        struct snapshot_gpu *gpu = &snapshot->gpus[snapshot->gpu_count++];

        memset(gpu, 0xff, sizeof(*gpu)); /* SNAPSHOT_UNKNOWN, until somebody has measured */
        (void)str_format(gpu->uuid, sizeof(gpu->uuid), "%s", card->uuid); /* same size */
        (void)str_format(gpu->model, sizeof(gpu->model), "GPU");
        gpu->nvml_index = card->nvml_index;
        gpu->is_lost = false;
        gpu->memory_bytes = card->memory_bytes;
        gpu->memory_reserved_bytes = 0;
        gpu->compute_reserved_milli_percent = 0;
        gpu->verdict = survey->verdicts[i];
    }
}

/* What is guaranteed to a tenant counts from when it was admitted. */
static void reserve(struct snapshot_gpu *gpu, const struct snapshot_share *share)
{
    if (share->memory_limit_bytes != REGION_NO_LIMIT)
        gpu->memory_reserved_bytes =
            admission_sum(gpu->memory_reserved_bytes, share->memory_limit_bytes);
    if (share->cap_milli_percent < NO_CAP)
        gpu->compute_reserved_milli_percent += share->cap_milli_percent;
}

static struct snapshot_share *add_share(struct snapshot *snapshot, struct snapshot_tenant *tenant,
                                        const char *uuid)
{
    uint32_t gpu = find_gpu(snapshot, uuid);
    struct snapshot_share *share;

    if (gpu == snapshot->gpu_count || tenant->share_count == REGION_GPUS_MAX)
        return NULL;
    share = &tenant->shares[tenant->share_count++];
    memset(share, 0xff, sizeof(*share)); /* SNAPSHOT_UNKNOWN */
    share->gpu = gpu;
    return share;
}

static void add_measured(struct snapshot *snapshot, struct snapshot_tenant *tenant,
                         const struct message_status_gpu *measured)
{
    struct snapshot_share *share = add_share(snapshot, tenant, measured->uuid);

    if (!share)
        return;
    share->memory_limit_bytes = measured->memory_limit_bytes;
    share->memory_used_bytes = measured->memory_used_bytes;
    share->cap_milli_percent = (uint32_t)measured->cap_milli_percent;
    share->weight = measured->weight;
    share->priority = measured->priority;
    share->used_milli_percent = measured->used_milli_percent;
    share->entitled_milli_percent = measured->entitled_milli_percent;
    share->duty_milli_percent = measured->duty_milli_percent;
    share->slice_us = measured->slice_us;
    share->busy_group_count = measured->busy_group_count;
    share->switch_calls = measured->switch_calls;
    share->late_looks = measured->late_looks;
    share->control_failures = measured->control_failures;
    share->control_ns = measured->control_ns;
    reserve(&snapshot->gpus[share->gpu], share);
}

/* As it was asked for: nothing was measured yet. */
static void add_planned(struct snapshot *snapshot, struct snapshot_tenant *shown,
                        const struct tenant *tenant)
{
    for (uint32_t i = 0; i < tenant->gpu_count; i++) {
        const struct tenant_quota *quota = &tenant->quotas[i];
        struct snapshot_share *share =
            quota->is_allowed ? add_share(snapshot, shown, tenant->cards[i].uuid) : NULL;

        if (!share)
            continue;
        share->memory_limit_bytes = quota->memory_bytes;
        share->cap_milli_percent = quota->cap_milli_percent;
        share->weight = quota->weight;
        share->priority = quota->priority;
        reserve(&snapshot->gpus[share->gpu], share);
    }
}

/* A process's memory, from the order of its tenant's GPUs to that of the node's. */
static void add_process(const struct snapshot *snapshot, struct snapshot_process *process,
                        const struct message_status_process *said, const struct tenant *tenant)
{
    *process = (struct snapshot_process){.pid = said->pid};
    (void)str_format(process->comm, sizeof(process->comm), "%s", said->comm); /* same size */
    for (uint32_t i = 0; i < tenant->gpu_count; i++) {
        uint32_t gpu = find_gpu(snapshot, tenant->cards[i].uuid);

        if (gpu < snapshot->gpu_count)
            process->memory_bytes[gpu] = said->memory_bytes[i];
    }
}

static void add_processes(const struct snapshot *snapshot, struct snapshot_tenant *shown,
                          const struct keeper *keeper)
{
    const struct keeper_status *status = &keeper->status;

    shown->processes =
        status->process_count ? calloc(status->process_count, sizeof(*shown->processes)) : NULL;
    for (uint32_t i = 0; shown->processes && i < status->process_count; i++)
        add_process(snapshot, &shown->processes[shown->process_count++], &status->processes[i],
                    &keeper->tenant);
}

static void add_keeper(struct snapshot *snapshot, struct snapshot_tenant *shown,
                       const struct keeper *keeper)
{
    const struct message_status_tenant *said = &keeper->status.tenant;

    (void)str_format(shown->name, sizeof(shown->name), "%s", keeper->tenant.name); /* same size */
    shown->uid = keeper->tenant.uid;
    shown->state = keeper->state;
    shown->is_kept = keeper->tenant.is_kept != 0;
    shown->engine = keeper->tenant.engine;
    shown->on_loss = keeper->tenant.on_loss;
    shown->supervisor_restarts = keeper->restarts;
    if (!keeper->has_status) {
        shown->rm_calls = shown->rm_unparsed = SNAPSHOT_UNKNOWN;
        shown->refusals = shown->guard_enables = SNAPSHOT_UNKNOWN;
        add_planned(snapshot, shown, &keeper->tenant);
        return;
    }
    shown->supervisor_pid = keeper->state == SNAPSHOT_ORPHANED ? 0 : said->supervisor_pid;
    shown->engine = said->engine;
    shown->rm_calls = said->rm_calls;
    shown->rm_unparsed = said->rm_unparsed;
    shown->refusals = said->refusals;
    shown->guard_enables = said->guard_enables;
    for (uint32_t i = 0; i < keeper->status.gpu_count; i++)
        add_measured(snapshot, shown, &keeper->status.gpus[i]);
    add_processes(snapshot, shown, keeper);
}

/* What it says that it may have is nothing that we have guaranteed. */
static void add_observed(struct snapshot *snapshot, struct snapshot_tenant *shown,
                         const struct keeper *keeper)
{
    struct snapshot_gpu gpus[REGION_GPUS_MAX];

    memcpy(gpus, snapshot->gpus, sizeof(gpus));
    add_keeper(snapshot, shown, keeper);
    memcpy(snapshot->gpus, gpus, sizeof(gpus));
    shown->is_standalone = true;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct snapshot_tenant *)a)->name,
                  ((const struct snapshot_tenant *)b)->name);
}

static uint32_t count(const struct list *head)
{
    uint32_t number = 0;

    LIST_EACH(node, head)
    number++;
    return number;
}

struct snapshot *survey_make(const struct survey *survey)
{
    struct snapshot *snapshot =
        snapshot_new(count(survey->keepers) + count(survey->observed) + count(survey->waiting));
    uint32_t at = 0;

    if (!snapshot)
        return NULL;
    snapshot->sequence = survey->sequence;
    snapshot->taken_ns = clock_now_ns();
    snapshot->taken_unix_ms = clock_unix_ms();
    snapshot->is_ready = survey->is_ready;
    (void)str_format(snapshot->node_name, sizeof(snapshot->node_name), "%s",
                     survey->node_name); /* cut at worst */
    (void)str_format(snapshot->driver_version, sizeof(snapshot->driver_version), "%s",
                     survey->driver_version);
    fill_gpus(snapshot, survey);
    LIST_EACH(node, survey->keepers)
    add_keeper(snapshot, &snapshot->tenants[at++], CONTAINER_OF(node, struct keeper, node));
    LIST_EACH(node, survey->observed)
    add_observed(snapshot, &snapshot->tenants[at++], CONTAINER_OF(node, struct keeper, node));
    LIST_EACH(node, survey->waiting)
    waiting_show(CONTAINER_OF(node, struct waiting, node), &snapshot->tenants[at++]);
    if (at)
        qsort(snapshot->tenants, at, sizeof(snapshot->tenants[0]), compare_names);
    memcpy(snapshot->faults, survey->health->list, sizeof(snapshot->faults));
    snapshot->fault_count = survey->health->count;
    if (survey->outlook)
        outlook_show(survey->outlook, snapshot);
    return snapshot;
}
