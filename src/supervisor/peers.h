#pragma once
/*
 * peers - the other supervisors of this user, found through the tenant directory; their control
 * pages, mapped read-only, are what the controller plans from. A peer's death is the end of its
 * connection. Who comes looks for those that are there and asks each for its page, which tells
 * those to look as well; the directory is not watched, because giving up an inotify descriptor
 * takes 12 ms at a process's end, and somebody waits for that of a supervisor.
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

/* Looks through `<base>/tenants` as soon as the loop runs, and once a second. */
int peers_new(struct peers **ret_peers, const struct peers_config *config,
              struct err *err) MUST_CHECK;

/* Looks at once: somebody asked for our page whom we may not know yet. */
void peers_look(struct peers *peers);
