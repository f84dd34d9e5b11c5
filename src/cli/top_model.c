#include "cli/top_model.h"

#include "cli/listing.h"
#include "utils/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void top_model_init(struct top_model *model, const char *host)
{
    *model = (struct top_model){.is_known = false};
    (void)str_format(model->host, sizeof(model->host), "%s", host); /* cut is fine */
}

static void free_tenant(struct top_tenant *tenant)
{
    free(tenant->processes);
    free(tenant);
}

void top_model_fini(struct top_model *model)
{
    for (size_t i = 0; i < model->tenant_count; i++)
        free_tenant(model->tenants[i]);
    free(model->tenants);
    model->tenants = NULL;
    model->tenant_count = model->tenant_room = 0;
}

void top_model_begin(struct top_model *model)
{
    for (size_t i = 0; i < model->tenant_count; i++)
        model->tenants[i]->is_seen = false;
    for (size_t i = 0; i < model->gpu_count; i++)
        model->gpus[i].is_seen = false;
}

/* The place of a name in the order, and whether it is there. */
static size_t find_place(const struct top_model *model, const char *name, bool *ret_is_there)
{
    size_t low = 0, high = model->tenant_count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(model->tenants[middle]->name, name);

        if (order == 0) {
            *ret_is_there = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_is_there = false;
    return low;
}

static int make_room(struct top_model *model)
{
    size_t room = model->tenant_room ? model->tenant_room * 2 : 16;
    struct top_tenant **larger;

    if (model->tenant_count < model->tenant_room)
        return 0;
    larger = realloc(model->tenants, room * sizeof(struct top_tenant *));
    if (!larger)
        return -ENOMEM;
    model->tenants = larger;
    model->tenant_room = room;
    return 0;
}

static struct top_tenant *find_or_add(struct top_model *model, const char *name)
{
    struct top_tenant *tenant;
    bool is_there;
    size_t place = find_place(model, name, &is_there);

    if (is_there)
        return model->tenants[place];
    tenant = make_room(model) < 0 ? NULL : calloc(1, sizeof(*tenant));
    if (!tenant)
        return NULL;
    (void)str_format(tenant->name, sizeof(tenant->name), "%s", name); /* names are shorter */
    memmove(&model->tenants[place + 1], &model->tenants[place],
            (model->tenant_count - place) * sizeof(struct top_tenant *));
    model->tenants[place] = tenant;
    model->tenant_count++;
    return tenant;
}

/* A share that is at another place than before takes its history with it. */
static void take_shares(struct top_tenant *tenant, const struct client_tenant *status)
{
    for (size_t i = 0; i < status->gpu_count && i < REGION_GPUS_MAX; i++) {
        struct top_share *share = &tenant->shares[i];

        if (i >= tenant->share_count || !str_equals(share->status.uuid, status->gpus[i].uuid))
            share->history = (struct history){.count = 0};
        share->status = status->gpus[i];
    }
    tenant->share_count = status->gpu_count < REGION_GPUS_MAX ? status->gpu_count : REGION_GPUS_MAX;
}

static enum top_state find_state(const struct listing_tenant *listed)
{
    if (listed->is_orphan)
        return TOP_ORPHANED;
    switch (listed->status.tenant.state) {
    case MESSAGE_RUNNING:
        return TOP_RUNNING;
    case MESSAGE_SUSPENDED:
        return TOP_SUSPENDED;
    case MESSAGE_QUEUED:
        return TOP_QUEUED;
    default:
        return TOP_OTHER;
    }
}

int top_model_put(struct top_model *model, const struct listing_tenant *listed)
{
    size_t count = listed->status.process_count;
    struct message_status_process *processes = calloc(count ? count : 1, sizeof(*processes));
    struct top_tenant *tenant = processes ? find_or_add(model, listed->name) : NULL;

    if (!tenant) {
        free(processes);
        return -ENOMEM;
    }
    if (count)
        memcpy(processes, listed->status.processes, count * sizeof(*processes));
    free(tenant->processes);
    tenant->processes = processes;
    tenant->process_count = count;
    tenant->is_process_count_known = !listed->is_orphan;
    tenant->state = find_state(listed);
    tenant->engine = listed->status.tenant.engine;
    tenant->supervisor_pid = listed->is_orphan ? 0 : listed->status.tenant.supervisor_pid;
    take_shares(tenant, &listed->status);
    tenant->is_seen = true;
    return 0;
}

int top_model_put_silent(struct top_model *model, const char *name)
{
    struct top_tenant *tenant = find_or_add(model, name);

    if (!tenant)
        return -ENOMEM;
    tenant->state = TOP_SILENT;
    tenant->supervisor_pid = 0;
    tenant->process_count = 0;
    tenant->is_process_count_known = false;
    tenant->is_seen = true;
    for (size_t i = 0; i < tenant->share_count; i++) {
        struct message_status_gpu *gpu = &tenant->shares[i].status;

        gpu->memory_used_bytes = gpu->used_milli_percent = gpu->slice_us = MESSAGE_UNKNOWN;
        gpu->duty_milli_percent = gpu->entitled_milli_percent = MESSAGE_UNKNOWN;
    }
    return 0;
}

static struct top_gpu *find_gpu(struct top_model *model, const char *uuid)
{
    struct top_gpu *gpu;

    for (size_t i = 0; i < model->gpu_count; i++)
        if (str_equals(model->gpus[i].uuid, uuid))
            return &model->gpus[i];
    if (model->gpu_count == REGION_GPUS_MAX)
        return NULL;
    gpu = &model->gpus[model->gpu_count++];
    *gpu = (struct top_gpu){.card_bytes = MESSAGE_UNKNOWN,
                            .busy_percent = MESSAGE_UNKNOWN,
                            .used_milli_percent = MESSAGE_UNKNOWN};
    (void)str_format(gpu->uuid, sizeof(gpu->uuid), "%s", uuid); /* same size */
    return gpu;
}

void top_model_put_gpu(struct top_model *model, const struct top_gpu *put)
{
    struct top_gpu *gpu = find_gpu(model, put->uuid);

    if (!gpu)
        return;
    memcpy(gpu->model, put->model, sizeof(gpu->model));
    gpu->nvml_index = put->nvml_index;
    gpu->card_bytes = put->card_bytes;
    gpu->busy_percent = put->busy_percent;
    gpu->is_seen = true;
}

/* --- the end of a refresh --- */

static void drop_unseen(struct top_model *model)
{
    size_t kept = 0;

    for (size_t i = 0; i < model->tenant_count; i++) {
        if (model->tenants[i]->is_seen)
            model->tenants[kept++] = model->tenants[i];
        else
            free_tenant(model->tenants[i]);
    }
    model->tenant_count = kept;
    kept = 0;
    for (size_t i = 0; i < model->gpu_count; i++)
        if (model->gpus[i].is_seen)
            model->gpus[kept++] = model->gpus[i];
    model->gpu_count = kept;
}

static void add_to_gpu(struct top_model *model, const struct message_status_gpu *status)
{
    struct top_gpu *gpu = find_gpu(model, status->uuid);

    if (!gpu)
        return;
    /* A GPU that nobody else told of: the tenant knows which it is. */
    if (!gpu->is_seen) {
        gpu->nvml_index = status->nvml_index;
        gpu->card_bytes = status->card_bytes;
        gpu->is_seen = true;
    }
    gpu->tenant_count++;
    if (status->memory_used_bytes == MESSAGE_UNKNOWN)
        gpu->used_bytes = MESSAGE_UNKNOWN;
    else if (gpu->used_bytes != MESSAGE_UNKNOWN)
        gpu->used_bytes += status->memory_used_bytes;
    if (status->memory_limit_bytes != REGION_NO_LIMIT)
        gpu->limit_bytes += status->memory_limit_bytes;
    if (status->used_milli_percent != MESSAGE_UNKNOWN)
        gpu->used_milli_percent =
            status->used_milli_percent +
            (gpu->used_milli_percent == MESSAGE_UNKNOWN ? 0 : gpu->used_milli_percent);
    if (status->cap_milli_percent < LISTING_NO_CAP)
        gpu->cap_milli_percent += status->cap_milli_percent;
}

static int compare_gpus(const void *a, const void *b)
{
    const struct top_gpu *first = a, *second = b;

    return first->nvml_index < second->nvml_index ? -1 : first->nvml_index > second->nvml_index;
}

void top_model_end(struct top_model *model)
{
    for (size_t i = 0; i < model->gpu_count; i++) {
        struct top_gpu *gpu = &model->gpus[i];

        gpu->used_bytes = gpu->limit_bytes = gpu->cap_milli_percent = 0;
        gpu->used_milli_percent = MESSAGE_UNKNOWN;
        gpu->tenant_count = 0;
    }
    for (size_t i = 0; i < model->tenant_count; i++) {
        struct top_tenant *tenant = model->tenants[i];

        for (size_t j = 0; tenant->is_seen && j < tenant->share_count; j++) {
            add_to_gpu(model, &tenant->shares[j].status);
            history_add(&tenant->shares[j].history, tenant->shares[j].status.used_milli_percent);
        }
    }
    drop_unseen(model);
    qsort(model->gpus, model->gpu_count, sizeof(model->gpus[0]), compare_gpus);
    for (size_t i = 0; i < model->gpu_count; i++)
        history_add(&model->gpus[i].history, model->gpus[i].used_milli_percent);
    model->is_known = true;
}

/* --- what is made of it --- */

uint64_t top_model_used_milli_percent(const struct top_tenant *tenant)
{
    uint64_t sum = MESSAGE_UNKNOWN;

    for (size_t i = 0; i < tenant->share_count; i++)
        if (tenant->shares[i].status.used_milli_percent != MESSAGE_UNKNOWN)
            sum = (sum == MESSAGE_UNKNOWN ? 0 : sum) + tenant->shares[i].status.used_milli_percent;
    return sum;
}

uint64_t top_model_used_bytes(const struct top_tenant *tenant)
{
    uint64_t sum = MESSAGE_UNKNOWN;

    for (size_t i = 0; i < tenant->share_count; i++)
        if (tenant->shares[i].status.memory_used_bytes != MESSAGE_UNKNOWN)
            sum = (sum == MESSAGE_UNKNOWN ? 0 : sum) + tenant->shares[i].status.memory_used_bytes;
    return sum;
}

uint64_t top_model_cap_milli_percent(const struct top_tenant *tenant)
{
    uint64_t cap = 0;

    for (size_t i = 0; i < tenant->share_count; i++)
        if (tenant->shares[i].status.cap_milli_percent > cap)
            cap = tenant->shares[i].status.cap_milli_percent;
    return tenant->share_count ? cap : MESSAGE_UNKNOWN;
}

const char *top_model_state_word(enum top_state state)
{
    static const char *const words[] = {
        [TOP_RUNNING] = "running",   [TOP_SUSPENDED] = "suspended", [TOP_QUEUED] = "queued",
        [TOP_ORPHANED] = "orphaned", [TOP_SILENT] = "no answer",    [TOP_OTHER] = "-",
    };

    return words[(unsigned int)state < ARRAY_LENGTH(words) ? state : TOP_OTHER];
}
