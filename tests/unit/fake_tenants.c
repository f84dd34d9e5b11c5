#include "tests/unit/fake_tenants.h"

#include "tests/harness.h"
#include "utils/str.h"

#include <stdlib.h>

struct listing_tenant fake_tenant(const char *name, const char *comm)
{
    struct listing_tenant tenant = {
        .status = {.tenant = {.supervisor_pid = 1000, .state = MESSAGE_RUNNING},
                   .processes = calloc(1, sizeof(struct message_status_process)),
                   .process_count = 1}};

    (void)str_format(tenant.name, sizeof(tenant.name), "%s", name);
    tenant.status.processes[0].pid = 4321;
    tenant.status.processes[0].memory_bytes[0] = FAKE_GIB;
    (void)str_format(tenant.status.processes[0].comm, 16, "%s", comm);
    fake_tenant_add_gpu(&tenant);
    return tenant;
}

void fake_tenant_fini(struct listing_tenant *tenant)
{
    listing_tenant_fini(tenant);
}

void fake_tenant_add_gpu(struct listing_tenant *tenant)
{
    size_t i = tenant->status.gpu_count++;
    struct message_status_gpu *gpu = &tenant->status.gpus[i];

    *gpu = (struct message_status_gpu){
        .nvml_index = (uint32_t)i,
        .weight = 1,
        .priority = REGION_NORMAL,
        .memory_limit_bytes = REGION_NO_LIMIT,
        .memory_used_bytes = FAKE_GIB,
        .card_bytes = 80 * FAKE_GIB,
        .cap_milli_percent = LISTING_NO_CAP,
        .used_milli_percent = MESSAGE_UNKNOWN,
        .slice_us = MESSAGE_UNKNOWN,
        .duty_milli_percent = MESSAGE_UNKNOWN,
        .entitled_milli_percent = MESSAGE_UNKNOWN,
    };
    (void)str_format(gpu->uuid, sizeof(gpu->uuid), "GPU-%zu", i);
}

void fake_refresh(struct top_model *model, const struct listing_tenant *tenants, size_t count)
{
    top_model_begin(model);
    for (size_t i = 0; i < count; i++) {
        if (tenants[i].name[0] == '!')
            CHECK_EQ(top_model_put_silent(model, tenants[i].name + 1), 0);
        else
            CHECK_EQ(top_model_put(model, &tenants[i]), 0);
    }
    top_model_end(model);
}
