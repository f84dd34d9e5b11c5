#pragma once
/*
 * tenant - who a tenant is and what it may have: the supervisor's own copy, kept in the tenant's
 * `state` file so that a successor or an adopter goes on with the same.
 */
#include "ipc/message.h"
#include "ipc/region.h"
#include "supervisor/gpus.h"
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct controller;

struct tenant_quota {
    uint64_t memory_bytes;      /* REGION_NO_LIMIT: none */
    uint32_t cap_milli_percent; /* 100000: no cap */
    uint32_t weight;            /* 1..1000 */
    uint32_t priority;          /* enum region_priority */
    uint32_t is_allowed;
};

struct tenant {
    uint32_t magic, version, length;
    char name[64];
    uint32_t on_loss;    /* enum region_on_loss */
    uint32_t engine;     /* enum region_engine, as decided at the start */
    uint32_t generation; /* of the newest supervisor */
    uint32_t gpu_count;
    uint32_t uid;          /* whose processes may join; root's may as well */
    uint32_t is_kept;      /* it stays without processes until it is ended */
    uint32_t is_suspended; /* its channels are off until it is resumed; 1, or MESSAGE_HELD */
    struct gpus_card cards[REGION_GPUS_MAX];
    struct tenant_quota quotas[REGION_GPUS_MAX];
    int32_t command_pid; /* 0: none, or it has ended */
    int32_t supervisor_pid;
    uint64_t command_start_time, supervisor_start_time; /* as process_start_time() says */
};

void tenant_init(struct tenant *tenant, const char *name);

/* Both on `<tenant's directory>/state`. Loading refuses another version with words. */
int tenant_save(const struct tenant *tenant, const char *path, struct err *err) MUST_CHECK;
int tenant_load(struct tenant *ret_tenant, const char *path, struct err *err) MUST_CHECK;

/* Changes quotas as a SET message asks, all or nothing; -EINVAL with words. */
int tenant_change(struct tenant *tenant, const struct message_set *set, struct err *err) MUST_CHECK;

/* Puts the quotas in force: memory's in the control page, compute's through the controller. */
void tenant_apply(const struct tenant *tenant, struct region_control *control,
                  struct controller *controller);
