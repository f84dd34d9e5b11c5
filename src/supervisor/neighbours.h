#pragma once
/*
 * neighbours - the plan of one tenant from the facts that all tenants of a GPU publish.
 */
#include <stdbool.h>
#include <stdint.h>

struct governor;
struct governor_input;
struct slices_plan;

/* Returns whether another tenant is active on the GPU. */
bool neighbours_plan(struct slices_plan *ret_plan, const struct governor *governor,
                     const struct governor_input *input, uint64_t now_ns);
