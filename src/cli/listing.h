#pragma once
/*
 * listing - the tenants that this user can see, and what is known of each: what its supervisor
 * says, or of an orphan what it left. For `vgpu ps` and `vgpu top`; any thread may ask.
 */
#include "cli/client.h"
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>
#include <stddef.h>

#define LISTING_TENANTS_MAX 1024
#define LISTING_NO_CAP      100000u /* milli-percent */

struct runtime;

struct listing {
    char names[LISTING_TENANTS_MAX][64];
    size_t count;
};

struct listing_tenant {
    char name[64];
    bool is_orphan; /* it has no supervisor: only limits, weight and priority are known */
    struct client_tenant status;
};

/* A name more; one too many is left out. */
void listing_add(struct listing *listing, const char *name);
void listing_sort(struct listing *listing);

/* Adds the names of all tenants, in order. */
int listing_fill(struct listing *listing, const struct runtime *runtime,
                 struct err *err) MUST_CHECK;

/*
 * What is known of one. -ENOENT, -ECONNREFUSED: nobody lives in it; -ETIMEDOUT: its supervisor
 * does not answer within two seconds. The caller calls listing_tenant_fini().
 */
int listing_ask(struct listing_tenant *ret_tenant, const struct runtime *runtime, const char *name,
                struct err *err) MUST_CHECK;
void listing_tenant_fini(struct listing_tenant *tenant);

/* The words that people and JSON have for a tenant: "running", "orphaned"; "rm", "memory-only". */
const char *listing_state_word(const struct listing_tenant *tenant);
const char *listing_engine_word(const struct listing_tenant *tenant);

/* Over all GPUs; MESSAGE_UNKNOWN where it is not known of one. */
uint64_t listing_process_bytes(const struct message_status_process *process);
