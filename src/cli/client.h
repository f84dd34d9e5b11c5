#pragma once
/*
 * client - the vgpu command's side of a tenant's control socket.
 */
#include "ipc/message.h"
#include "supervisor/runtime.h"
#include "utils/attr.h"
#include "utils/err.h"

#include <stddef.h>

#define CLIENT_PROCESSES_MAX 1024

struct client_tenant {
    struct message_status_tenant tenant;
    struct message_status_process *processes; /* tenant.process_count of them at most */
    size_t process_count;
    struct message_status_gpu gpus[REGION_GPUS_MAX];
    size_t gpu_count;
};

struct client_explanation {
    struct message_explained gpus[REGION_GPUS_MAX];
    size_t gpu_count;
};

/*
 * Asks a tenant's supervisor. -ENOENT: no such tenant; -ECONNREFUSED: it has no supervisor (now);
 * -ETIMEDOUT: it does not answer within two seconds. The caller calls client_tenant_fini().
 */
int client_status(const struct runtime *runtime, const char *name, struct client_tenant *ret_tenant,
                  struct err *err) MUST_CHECK;
void client_tenant_fini(struct client_tenant *tenant);

/* Sends a SET; the supervisor's refusal comes back in `err`. */
int client_set(const struct runtime *runtime, const char *name, const struct message_set *set,
               struct err *err) MUST_CHECK;

/* The user's own directory of tenants; where that is another's, and a daemon's, then that one. */
int client_open_runtime(struct runtime *ret_runtime, struct err *err) MUST_CHECK;

/* Makes *runtime, which is the user's own, the daemon's where that (alone) keeps the tenant. */
int client_find_runtime(struct runtime *runtime, const char *name, struct err *err) MUST_CHECK;

/*
 * Asks why the tenant's plan is as it is: one answer for each GPU that it may use. Errors as those
 * of client_status().
 */
int client_explain(const struct runtime *runtime, const char *name,
                   struct client_explanation *ret_explanation, struct err *err) MUST_CHECK;
