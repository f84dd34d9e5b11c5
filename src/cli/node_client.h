#pragma once
/*
 * node_client - the vgpu command's side of the daemon's control socket: `$VGPU_RUNTIME_DIR/control`
 * where that is set, else /run/vgpu/control. A socket that is neither root's nor this user's is
 * not believed, and a daemon that does not answer is, for the next five seconds, not there.
 */
#include "ipc/message.h"
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>

/* The directory in which the daemon is looked for. */
const char *node_client_base(void);

/* -ENOENT: there is no daemon. */
int node_client_connect(int *ret_fd, struct err *err) MUST_CHECK;

/* A connection on which the tenant's supervisor is asked. -ENOENT: no daemon, or not its tenant. */
int node_client_select(int *ret_fd, const char *name, struct err *err) MUST_CHECK;

/*
 * Asks for a tenant; *front_fd (taken) becomes its supervisor's. Waits for as long as the daemon
 * does, and says so to a person once. The daemon's refusal comes back in `err`.
 */
int node_client_create(int fd, const struct message_create *create, int *front_fd,
                       struct message_created *ret_created, struct err *err) MUST_CHECK;

/* Calls back for each of the daemon's tenants. -ENOENT: there is no daemon. */
typedef void node_client_visit(void *context, const char *name);
int node_client_list(node_client_visit *visit, void *context, struct err *err) MUST_CHECK;

/* Has it read its configuration again; its refusal comes back in `err`. */
int node_client_reload(struct err *err) MUST_CHECK;
