#pragma once
/*
 * runtime - where tenants are published: `<base>/tenants/<name>/` with the files
 *
 *   control   the supervisor's socket (ipc/message.h)
 *   state     what a successor or an adopter needs (supervisor/tenant.h)
 *   lock      locked (flock) by front and supervisor together: the name is taken while one lives
 *
 * base is $VGPU_RUNTIME_DIR, else /run/vgpu for root, else $XDG_RUNTIME_DIR/vgpu, else
 * /tmp/vgpu-<uid>; a directory that others can neither read nor write, or it is refused.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>
#include <stddef.h>

#define RUNTIME_PATH_MAX 108 /* a socket's path must fit into sun_path */

struct runtime {
    char base[RUNTIME_PATH_MAX];
    bool is_shared; /* others may pass through its directories, to sockets that they may use */
};

/* Finds the base, and changes nothing. */
int runtime_find(struct runtime *ret_runtime, struct err *err) MUST_CHECK;

/* Finds the base, and makes it and its `tenants`. */
int runtime_open(struct runtime *ret_runtime, struct err *err) MUST_CHECK;

/*
 * The daemon's: `base` NULL or empty: as above. Root's is passable for others (mode 0711), whose
 * tenants' sockets lie there.
 */
int runtime_open_daemon(struct runtime *ret_runtime, const char *base, struct err *err) MUST_CHECK;

/* The one at `base`, which is there already. -ENAMETOOLONG, -EINVAL with words. */
int runtime_at(struct runtime *ret_runtime, const char *base, struct err *err) MUST_CHECK;

/* `<base>/tenants/<name>/<file>`; file NULL: the directory itself. -ENAMETOOLONG with words. */
int runtime_path(const struct runtime *runtime, const char *name, const char *file, char *ret_path,
                 struct err *err) MUST_CHECK; /* RUNTIME_PATH_MAX bytes */

enum runtime_claim {
    RUNTIME_CLAIMED,  /* the name is the caller's: *ret_lock_fd is held, the directory is there */
    RUNTIME_TAKEN,    /* a front or supervisor lives */
    RUNTIME_ORPHANED, /* neither does, but processes of the tenant do (adopt it) */
};

/*
 * Takes a name, or says why not (an enum runtime_claim, or a negative errno). What is left of a
 * tenant of which nobody lives is cleaned away. With `adopt` an orphaned tenant is claimed as it
 * is, and a name without an orphan is -ENOENT.
 */
int runtime_claim(const struct runtime *runtime, const char *name, bool adopt, int *ret_lock_fd,
                  struct err *err) MUST_CHECK;

/*
 * Takes a name with all that is there, at once: RUNTIME_CLAIMED or RUNTIME_TAKEN, or a negative
 * errno. Where nothing was, an empty directory is.
 */
int runtime_lock(const struct runtime *runtime, const char *name, int *ret_lock_fd,
                 struct err *err) MUST_CHECK;

/* Whether a lock is still the name's: who holds an older one has no say in what is there now. */
bool runtime_holds(const struct runtime *runtime, const char *name, int lock_fd);

/* Removes what a tenant left; whoever calls holds its lock or knows that nobody does. */
void runtime_remove(const struct runtime *runtime, const char *name);

/* Calls back for each name in the directory, until that returns other than 0, which it returns. */
typedef int runtime_visit(void *context, const char *name);
int runtime_each(const struct runtime *runtime, runtime_visit *visit, void *context);

/* Removes what is left of tenants of which nobody lives. */
void runtime_sweep(const struct runtime *runtime);
