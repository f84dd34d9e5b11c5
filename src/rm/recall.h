#pragma once
/*
 * recall - which device an object lies on, as it was last looked up in the registry: one word for
 * an object, read without the lock. Who looks something up, or removes an object, holds the
 * mediator's lock.
 *
 * A word is a whole answer, so that its reader sees what was true at the instant of the load, as if
 * it had held the lock then. An object's device never changes while the object is there; the word
 * goes with it, or earlier, where another object needs the place.
 */
#include "utils/atomics.h"
#include "utils/attr.h"

#include <stdbool.h>
#include <stdint.h>

#define RECALL_BITS  6u
#define RECALL_WORDS (1u << RECALL_BITS)

/* All zero is empty. */
struct recall {
    /* Below, the device instance + 1; above, the key's low bits. The upper ones are the place. */
    _Atomic uint64_t words[RECALL_WORDS]; /* relaxed */
};

/* Times an odd number: another key for each object, and objects made together lie apart. */
static inline uint64_t recall_key(uint32_t client, uint32_t handle)
{
    return ((uint64_t)client << 32 | handle) * UINT64_C(0x9E3779B97F4A7C15);
}

static inline bool recall_get(const struct recall *recall, uint32_t client, uint32_t handle,
                              uint32_t *ret_device_instance)
{
    uint64_t key = recall_key(client, handle);
    uint64_t word = load_relaxed(&recall->words[key >> (64 - RECALL_BITS)]);
    uint64_t device =
        word ^ key << RECALL_BITS; /* of another object, or of none: too large, or 0 */

    if (!device || device >= RECALL_WORDS)
        return false;
    *ret_device_instance = (uint32_t)device - 1;
    return true;
}

/* An instance that does not fit into a word (no machine has so many) is not kept. */
void recall_put(struct recall *recall, uint32_t client, uint32_t handle, uint32_t device_instance);

/* The object goes. */
void recall_drop(struct recall *recall, uint32_t client, uint32_t handle);
