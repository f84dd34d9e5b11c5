/*
 * The libFuzzer target of a tenant's state file: any bytes as one, as they are and with the length
 * and tag of one. What is read is sane, and stays so whatever change is asked for: it can be read
 * again.
 */
#include "supervisor/tenant.h"
#include "tests/fuzz/scratch.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int fd = -1;
static const char *path;

/* Bytes over and over: short inputs reach all of it. */
static void spread(void *target, size_t target_size, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < target_size; i++)
        ((uint8_t *)target)[i] = size ? data[i % size] : 0;
}

static void check(const struct tenant *tenant)
{
    if (tenant->gpu_count > REGION_GPUS_MAX || !memchr(tenant->name, '\0', sizeof(tenant->name)))
        abort();
    for (uint32_t i = 0; i < tenant->gpu_count; i++) {
        const struct gpus_card *card = &tenant->cards[i];
        const struct tenant_quota *quota = &tenant->quotas[i];

        if (!memchr(card->uuid, '\0', sizeof(card->uuid)) ||
            !memchr(card->pci_bus_id, '\0', sizeof(card->pci_bus_id)))
            abort();
        if (!quota->memory_bytes || !quota->cap_milli_percent || quota->cap_milli_percent > 100000)
            abort();
    }
}

static void change(struct tenant *tenant, const uint8_t *data, size_t size)
{
    static struct tenant again;
    struct message_set set;

    spread(&set, sizeof(set), data, size);
    if (tenant_change(tenant, &set, NULL) < 0)
        return;
    check(tenant);
    scratch_fill(fd, (const uint8_t *)tenant, sizeof(*tenant));
    if (tenant_load(&again, path, NULL) < 0 || memcmp(&again, tenant, sizeof(again)) != 0)
        abort();
}

/* Where sane quotas are wanted: the bytes seldom are some. */
static void tame(struct tenant *tenant)
{
    for (size_t i = 0; i < REGION_GPUS_MAX; i++) {
        struct tenant_quota *quota = &tenant->quotas[i];

        quota->cap_milli_percent = quota->cap_milli_percent % 100000 + 1;
        quota->weight = quota->weight % 1000 + 1;
        quota->priority %= REGION_HIGH + 1;
        quota->memory_bytes |= 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tenant tenant, made;

    if (fd < 0) {
        fd = scratch_open("state");
        path = scratch_path("state");
    }
    scratch_fill(fd, data, size);
    if (tenant_load(&tenant, path, NULL) == 0)
        check(&tenant);
    for (int is_tame = 0; is_tame < 2; is_tame++) {
        tenant_init(&tenant, "");
        made = tenant;
        spread(&tenant, sizeof(tenant), data, size);
        tenant.magic = made.magic;
        tenant.version = made.version;
        tenant.length = made.length;
        tenant.gpu_count %= REGION_GPUS_MAX + 2;
        if (is_tame)
            tame(&tenant);
        scratch_fill(fd, (const uint8_t *)&tenant, sizeof(tenant));
        if (tenant_load(&tenant, path, NULL) < 0)
            continue;
        check(&tenant);
        change(&tenant, data, size);
    }
    return 0;
}
