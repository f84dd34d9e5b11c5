#pragma once
/*
 * standalone - the tenants of other users' `vgpu run`: found in their runtime directories, shown,
 * and left alone. What lies there is theirs and hostile: directories are taken as they are owned,
 * files are not read, and who answers on a socket is believed of nothing but what is shown of it.
 * They are not admitted by us, and nothing is reserved for them.
 */
#include "utils/attr.h"
#include "utils/err.h"
#include "utils/list.h"

#include <stdint.h>
#include <uv.h>

struct standalone;

struct standalone_config {
    uv_loop_t *loop;
    const char *own_base;             /* borrowed: the daemon's runtime directory is left out */
    void (*on_change)(void *context); /* something that is shown has changed */
    void *context;
};

int standalone_new(struct standalone **ret_standalone, const struct standalone_config *config,
                   struct err *err) MUST_CHECK;
/* NULL is fine. */
void standalone_free(struct standalone *standalone);

/* Looks in the directories that the patterns (as a shell's, commas between them) name. */
void standalone_look(struct standalone *standalone, const char *patterns, uint64_t now_ns);

/* Their keepers (keeper.h), each with is_observed. */
const struct list *standalone_keepers(const struct standalone *standalone);
