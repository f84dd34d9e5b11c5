#include "supervisor/tenant.h"

#include "supervisor/controller.h"
#include "utils/atomics.h"
#include "utils/file.h"
#include "utils/str.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define TENANT_MAGIC   0x746e7467u
#define TENANT_VERSION 2u
#define WHOLE          100000u

void tenant_init(struct tenant *tenant, const char *name)
{
    memset(tenant, 0, sizeof(*tenant)); /* padding too: it goes into a file */
    tenant->magic = TENANT_MAGIC;
    tenant->version = TENANT_VERSION;
    tenant->length = sizeof(*tenant);
    (void)str_format(tenant->name, sizeof(tenant->name), "%s", name); /* parse_name() bounds it */
    tenant->uid = geteuid();
}

int tenant_save(const struct tenant *tenant, const char *path, struct err *err)
{
    return file_write(path, tenant, sizeof(*tenant), err);
}

static bool is_sane(const struct tenant_quota *quota)
{
    return quota->memory_bytes && quota->cap_milli_percent && quota->cap_milli_percent <= WHOLE &&
           quota->weight && quota->weight <= 1000 && quota->priority <= REGION_HIGH;
}

static void end_strings(struct tenant *tenant)
{
    tenant->name[sizeof(tenant->name) - 1] = '\0';
    for (size_t i = 0; i < ARRAY_LENGTH(tenant->cards); i++) {
        struct gpus_card *card = &tenant->cards[i];

        card->uuid[sizeof(card->uuid) - 1] = '\0';
        card->pci_bus_id[sizeof(card->pci_bus_id) - 1] = '\0';
    }
}

int tenant_load(struct tenant *ret_tenant, const char *path, struct err *err)
{
    union {
        struct tenant tenant;
        char bytes[sizeof(struct tenant) + 1]; /* file_read() ends with NUL */
    } content;
    ssize_t length = file_read(path, content.bytes, sizeof(content.bytes), err);

    if (length < 0)
        return (int)length;
    if ((size_t)length < 12 || content.tenant.magic != TENANT_MAGIC)
        return err_say(err, EPROTO, "'%s' is no tenant's state", path);
    if (content.tenant.version != TENANT_VERSION || (size_t)length != sizeof(struct tenant) ||
        content.tenant.length != sizeof(struct tenant))
        return err_say(err, EPROTO, "'%s' is of another version (%u instead of %u)", path,
                       content.tenant.version, TENANT_VERSION);
    if (content.tenant.gpu_count > REGION_GPUS_MAX)
        return err_say(err, EPROTO, "'%s' names too many GPUs", path);
    for (uint32_t i = 0; i < content.tenant.gpu_count; i++)
        if (!is_sane(&content.tenant.quotas[i]))
            return err_say(err, EPROTO, "'%s' holds a quota that cannot be", path);
    end_strings(&content.tenant);
    *ret_tenant = content.tenant;
    return 0;
}

static uint64_t part_of(uint64_t bytes, uint32_t milli_percent)
{
    return bytes / WHOLE * milli_percent + bytes % WHOLE * milli_percent / WHOLE;
}

static void change_one(struct tenant_quota *quota, const struct message_set *set,
                       const struct gpus_card *card)
{
    if (set->fields & MESSAGE_SET_MEMORY)
        quota->memory_bytes = set->memory_milli_percent
                                  ? part_of(card->memory_bytes, set->memory_milli_percent)
                                  : set->memory_bytes;
    if (set->fields & MESSAGE_SET_COMPUTE)
        quota->cap_milli_percent = set->cap_milli_percent;
    if (set->fields & MESSAGE_SET_WEIGHT)
        quota->weight = set->weight;
    if (set->fields & MESSAGE_SET_PRIORITY)
        quota->priority = set->priority;
}

/* Slots are the supervisor's own: who asks counts GPUs as NVML does. */
static bool is_meant(const struct message_set *set, const struct gpus_card *card)
{
    return set->gpu_mask == UINT32_MAX ||
           (card->nvml_index < 32 && set->gpu_mask & 1u << card->nvml_index);
}

int tenant_change(struct tenant *tenant, const struct message_set *set, struct err *err)
{
    struct tenant_quota quotas[REGION_GPUS_MAX];

    if (set->memory_milli_percent > WHOLE)
        return err_say(err, EINVAL, "more memory than the card has was asked for");
    memcpy(quotas, tenant->quotas, sizeof(quotas));
    for (uint32_t i = 0; i < tenant->gpu_count; i++) {
        if (!is_meant(set, &tenant->cards[i]))
            continue;
        change_one(&quotas[i], set, &tenant->cards[i]);
        if (!is_sane(&quotas[i]))
            return err_say(err, EINVAL, "a limit that cannot be was asked for");
    }
    if (set->fields & MESSAGE_SET_SUSPENDED && set->is_suspended &&
        tenant->engine == REGION_ENGINE_MEMORY_ONLY)
        return err_say(err, EOPNOTSUPP,
                       "the GPU's scheduler does not obey here: nothing can be suspended");
    memcpy(tenant->quotas, quotas, sizeof(quotas));
    if (set->fields & MESSAGE_SET_SUSPENDED)
        tenant->is_suspended =
            set->is_suspended == MESSAGE_HELD ? MESSAGE_HELD : set->is_suspended != 0;
    return 0;
}

void tenant_apply(const struct tenant *tenant, struct region_control *control,
                  struct controller *controller)
{
    for (uint32_t i = 0; i < tenant->gpu_count; i++) {
        const struct tenant_quota *quota = &tenant->quotas[i];
        struct controller_quota part = {quota->cap_milli_percent, quota->weight,
                                        (enum region_priority)quota->priority,
                                        tenant->is_suspended != 0};

        store_relaxed(&control->gpus[i].memory_limit_bytes, quota->memory_bytes);
        controller_set_quota(controller, i, &part);
    }
}
