#pragma once
/*
 * next - the functions of libc that we stand in front of, as the next object in load order has
 * them: another preloaded library, or libc. Found by walking the ELF tables of what is loaded,
 * because dlsym() with RTLD_NEXT is neither ours to import (its version differs between libcs) nor
 * always answered for us.
 */
#include "cuda-limiter/hot.h"
#include "utils/attr.h"

#include <stddef.h>
#include <sys/types.h>

struct next {
#define LIBC(name, type, parameters) type(*name) parameters;
#include "macro/libc.def"
};

/*
 * Resolved at the first call of whichever thread comes first; a function that is nowhere is NULL.
 */
const struct next *next_get(void);

/* `ioctl` of these, for the way of every call. */
hot_ioctl *next_resolve_ioctl(void);

static inline hot_ioctl *next_ioctl(void)
{
    hot_ioctl *found = load_relaxed(&hot.ioctl);

    return LIKELY(found) ? found : next_resolve_ioctl();
}

/*
 * Any function by name: after us in load order, else anywhere but in us; NULL where it is nowhere.
 */
void *next_find(const char *name);
