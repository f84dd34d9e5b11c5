#include "cli/listing.h"

#include "cli/node_client.h"
#include "supervisor/process.h"
#include "supervisor/runtime.h"
#include "supervisor/tenant.h"
#include "utils/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void listing_add(struct listing *listing, const char *name)
{
    if (listing->count < LISTING_TENANTS_MAX)
        (void)str_format(listing->names[listing->count++], 64, "%s", name); /* bounded */
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

void listing_sort(struct listing *listing)
{
    qsort(listing->names, listing->count, sizeof(listing->names[0]), compare_names);
}

static int add_name(void *context, const char *name)
{
    listing_add(context, name);
    return 0;
}

static void add_kept(void *context, const char *name)
{
    listing_add(context, name);
}

int listing_fill(struct listing *listing, const struct runtime *runtime, struct err *err)
{
    int rc = runtime_each(runtime, add_name, listing);
    /* Without a daemon, or with one that does not answer, those of the directory are all. */
    bool has_node = node_client_list(add_kept, listing, NULL) == 0;
    size_t kept = 0;

    if (rc < 0 && !(rc == -EACCES && has_node)) /* a directory of its user's: it has told all */
        return err_set(err, -rc, "read the tenant directory");
    listing_sort(listing);
    for (size_t i = 0; i < listing->count; i++) /* the daemon's directory may be this one */
        if (!i || !str_equals(listing->names[i], listing->names[kept - 1]))
            memmove(listing->names[kept++], listing->names[i], sizeof(listing->names[i]));
    listing->count = kept;
    return 0;
}

static void add_orphan_gpu(struct client_tenant *status, const struct gpus_card *card,
                           const struct tenant_quota *quota)
{
    struct message_status_gpu *gpu = &status->gpus[status->gpu_count++];

    *gpu = (struct message_status_gpu){
        .nvml_index = card->nvml_index,
        .weight = quota->weight,
        .priority = quota->priority,
        .memory_limit_bytes = quota->memory_bytes,
        .memory_used_bytes = MESSAGE_UNKNOWN,
        .card_bytes = card->memory_bytes,
        .cap_milli_percent = quota->cap_milli_percent,
        .used_milli_percent = MESSAGE_UNKNOWN,
        .slice_us = MESSAGE_UNKNOWN,
        .duty_milli_percent = MESSAGE_UNKNOWN,
        .entitled_milli_percent = MESSAGE_UNKNOWN,
        .switch_calls = MESSAGE_UNKNOWN,
        .late_looks = MESSAGE_UNKNOWN,
        .control_failures = MESSAGE_UNKNOWN,
        .control_ns = MESSAGE_UNKNOWN,
    };
    (void)str_format(gpu->uuid, sizeof(gpu->uuid), "%s", card->uuid); /* same size */
}

/* An orphan's limits are in its state; what it uses nobody knows. */
static bool fill_orphan(struct listing_tenant *listed, const struct runtime *runtime,
                        struct err *err)
{
    char path[RUNTIME_PATH_MAX], control[RUNTIME_PATH_MAX];
    struct tenant tenant;

    if (runtime_path(runtime, listed->name, "state", path, NULL) < 0 ||
        runtime_path(runtime, listed->name, "control", control, NULL) < 0 ||
        !process_has_tenant(control) || tenant_load(&tenant, path, err) < 0)
        return false;
    listed->is_orphan = true;
    listed->status.tenant.engine = tenant.engine;
    for (uint32_t i = 0; i < tenant.gpu_count && i < REGION_GPUS_MAX; i++)
        if (tenant.quotas[i].is_allowed)
            add_orphan_gpu(&listed->status, &tenant.cards[i], &tenant.quotas[i]);
    return true;
}

int listing_ask(struct listing_tenant *ret_tenant, const struct runtime *runtime, const char *name,
                struct err *err)
{
    struct listing_tenant tenant = {.is_orphan = false};
    int rc;

    (void)str_format(tenant.name, sizeof(tenant.name), "%s", name); /* names are shorter */
    rc = client_status(runtime, name, &tenant.status, err);
    if ((rc == -ECONNREFUSED || rc == -ENOENT) && fill_orphan(&tenant, runtime, err))
        rc = 0;
    if (rc < 0)
        return rc;
    *ret_tenant = tenant;
    return 0;
}

void listing_tenant_fini(struct listing_tenant *tenant)
{
    client_tenant_fini(&tenant->status);
}

const char *listing_state_word(const struct listing_tenant *tenant)
{
    static const char *const words[] = {[MESSAGE_RUNNING] = "running",
                                        [MESSAGE_SUSPENDED] = "suspended",
                                        [MESSAGE_QUEUED] = "queued"};

    if (tenant->is_orphan)
        return "orphaned";
    return tenant->status.tenant.state < ARRAY_LENGTH(words) ? words[tenant->status.tenant.state]
                                                             : "-"; /* a later version's */
}

const char *listing_engine_word(const struct listing_tenant *tenant)
{
    return tenant->status.tenant.engine == REGION_ENGINE_RM ? "rm" : "memory-only";
}

uint64_t listing_process_bytes(const struct message_status_process *process)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < REGION_GPUS_MAX; i++) {
        if (process->memory_bytes[i] == MESSAGE_UNKNOWN)
            return MESSAGE_UNKNOWN;
        sum += process->memory_bytes[i];
    }
    return sum;
}
