#pragma once
/*
 * peers - the other supervisors of this user, found through the tenant directory; their control
 * pages, mapped read-only, are what the controller plans from. A peer's death is the end of its
 * connection.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <uv.h>

struct controller;
struct peers;
struct runtime;

/* All of it but the name is borrowed for as long as the peers are. */
struct peers_config {
    uv_loop_t *loop;
    const struct runtime *runtime;
    const char *own_name; /* 63 characters at most; not looked for */
    struct controller *controller;
};

/* Watches `<base>/tenants` from now on. */
int peers_new(struct peers **ret_peers, const struct peers_config *config,
              struct err *err) MUST_CHECK;

/* Lets all peers go; the loop must run once more to finish closing before the memory is freed. */
void peers_free(struct peers *peers);
