#pragma once
/*
 * neighbours - the plan of one tenant from the facts that all tenants of a GPU publish.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct governor;
struct governor_input;
struct message_explained;
struct region_control;
struct slices_plan;

/* Returns whether another tenant is active on the GPU. */
bool neighbours_plan(struct slices_plan *ret_plan, const struct governor *governor,
                     const struct governor_input *input, uint64_t now_ns);

/* Enters the others that have work or channels on the explained GPU, and how many there are. */
void neighbours_describe(struct message_explained *explained,
                         const struct region_control *const *peers, size_t count);
