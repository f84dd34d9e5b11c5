#pragma once
/*
 * nearest - which of the known words somebody may have meant who wrote one that is not known.
 */
#include <stddef.h>

struct nearest {
    const char *word; /* what was written; borrowed */
    const char *best; /* borrowed from nearest_offer(); NULL: none yet */
    size_t distance;
};

void nearest_begin(struct nearest *ret_nearest, const char *word);
void nearest_offer(struct nearest *nearest, const char *known);
/* NULL where none is near enough to be worth naming. '-' and '_' are taken for the same. */
const char *nearest_get(const struct nearest *nearest);
