#pragma once
/*
 * visible - which GPUs a program sees, as CUDA_VISIBLE_DEVICES has it: indices, or UUIDs with GPU-
 * before them and cut short as far as they stay unique. The first entry that names nothing ends the
 * list; one that names a GPU twice leaves none.
 */
#include <stdint.h>

#define VISIBLE_MAX 32

/*
 * Fills `order` with indices into uuids, and returns how many. NULL text: all of them, in order.
 */
uint32_t visible_parse(uint32_t order[VISIBLE_MAX], const char *text, const char *const *uuids,
                       uint32_t count);
