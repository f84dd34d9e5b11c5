#pragma once
/*
 * top_model - what `vgpu top` knows: the GPUs, the tenants and how their use went, put together
 * from what each supervisor said. A refresh is top_model_begin(), a put for each tenant and GPU,
 * top_model_end().
 */
#include "cli/history.h"
#include "ipc/message.h"
#include "utils/attr.h"

#include <stdbool.h>
#include <stddef.h>

struct listing_tenant;

enum top_state {
    TOP_RUNNING,
    TOP_SUSPENDED,
    TOP_QUEUED,
    TOP_ORPHANED, /* it has no supervisor */
    TOP_SILENT,   /* its supervisor does not answer: what is shown is its limits alone */
    TOP_OTHER,    /* a later version's */
};

struct top_share {
    struct message_status_gpu status;
    struct history history; /* of used_milli_percent */
};

struct top_tenant {
    char name[64];
    enum top_state state;
    uint32_t engine;        /* enum region_engine */
    int32_t supervisor_pid; /* 0: none, or it does not answer */
    struct top_share shares[REGION_GPUS_MAX];
    size_t share_count;
    struct message_status_process *processes; /* owned */
    size_t process_count;
    bool is_process_count_known, is_seen;
};

struct top_gpu {
    char uuid[48];
    char model[64]; /* empty: not known */
    uint32_t nvml_index;
    uint64_t card_bytes;         /* or MESSAGE_UNKNOWN */
    uint64_t busy_percent;       /* NVML's, or MESSAGE_UNKNOWN */
    uint64_t used_bytes;         /* of the tenants; MESSAGE_UNKNOWN where one's is not known */
    uint64_t limit_bytes;        /* sum of the tenants' limits */
    uint64_t used_milli_percent; /* of the tenants; MESSAGE_UNKNOWN where nobody's is known */
    uint64_t cap_milli_percent;  /* sum of the tenants' caps */
    size_t tenant_count;
    struct history history; /* of used_milli_percent */
    bool is_seen;
};

struct top_model {
    char host[64];
    struct top_gpu gpus[REGION_GPUS_MAX]; /* sorted by index */
    size_t gpu_count;
    struct top_tenant **tenants; /* owned; sorted by name */
    size_t tenant_count, tenant_room;
    bool is_known; /* there was a refresh */
};

void top_model_init(struct top_model *model, const char *host);
void top_model_fini(struct top_model *model);

void top_model_begin(struct top_model *model);
/* Both: -ENOMEM, and the tenant is as it was. What is listed stays the caller's. */
int top_model_put(struct top_model *model, const struct listing_tenant *listed) MUST_CHECK;
int top_model_put_silent(struct top_model *model, const char *name) MUST_CHECK;
/* Identity and measurements of a card; its sums are top_model_end()'s. One too many is left out. */
void top_model_put_gpu(struct top_model *model, const struct top_gpu *gpu);
/* Drops what was not put, sums up, and adds a sample to each history. */
void top_model_end(struct top_model *model);

/* Over the tenant's GPUs: the sum, or MESSAGE_UNKNOWN where nothing is known. */
uint64_t top_model_used_milli_percent(const struct top_tenant *tenant);
uint64_t top_model_used_bytes(const struct top_tenant *tenant);
/* The largest of its caps; 100000 where one has none. */
uint64_t top_model_cap_milli_percent(const struct top_tenant *tenant);

const char *top_model_state_word(enum top_state state);
