#pragma once
/*
 * standalone - the tenants of other users' `vgpu run`: found in their runtime directories, shown,
 * and left alone. What lies there is theirs and hostile: it is looked at by a thread of its own
 * (place_search.h), which the loop waits for at no time, and who answers on a socket is believed of
 * nothing but what is shown of it. They are not admitted by us, and nothing is reserved for them.
 */
#include "utils/attr.h"
#include "utils/err.h"
#include "utils/list.h"

#include <stdint.h>
#include <uv.h>

#define STANDALONE_TENANTS_MAX 256

struct keeper;
struct standalone;

/* The directory, the daemon's own, is left out. */
int standalone_new(struct standalone **ret_standalone, uv_loop_t *loop, const char *own_base,
                   struct err *err) MUST_CHECK;
/* NULL is fine. Waits for the thread for a second at most; one that hangs frees what it has. */
void standalone_free(struct standalone *standalone);

/*
 * Once a second: takes what was found in the directories that the patterns (as a shell's, commas
 * between them) name, has them searched again, and asks those that are known how they are.
 */
void standalone_look(struct standalone *standalone, const char *patterns, uint64_t now_ns);

/* When the newest search began of which all is taken; before the first, when we began. */
uint64_t standalone_searched_ns(const struct standalone *standalone);

/* Their keepers (keeper.h), each with is_observed; NULL: none is called so and has answered. */
const struct list *standalone_keepers(const struct standalone *standalone);
const struct keeper *standalone_find(const struct standalone *standalone, const char *name);
