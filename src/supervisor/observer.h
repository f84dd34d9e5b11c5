#pragma once
/*
 * observer - NVML's utilisation of GPUs, read in a thread of its own: a reading takes over a
 * millisecond and loading NVML tens of them, which no timing thread may wait for.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stdint.h>

struct observer;

/* Loads nothing until somebody is interested. */
int observer_new(struct observer **ret_observer, struct err *err) MUST_CHECK;
void observer_free(struct observer *observer);

/*
 * The newest sample of the GPU with this UUID: whole percents, UINT32_MAX while none is known;
 * *ret_stamp differs for each sample. Asking counts as interest for the next second.
 */
uint32_t observer_read(struct observer *observer, const char *uuid, uint64_t *ret_stamp);
