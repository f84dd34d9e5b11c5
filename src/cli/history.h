#pragma once
/*
 * history - the newest samples of something, one for each refresh.
 */
#include <stddef.h>
#include <stdint.h>

#define HISTORY_LENGTH  512
#define HISTORY_UNKNOWN UINT32_MAX

struct history {
    uint32_t samples[HISTORY_LENGTH]; /* milli-percent, or HISTORY_UNKNOWN */
    size_t next, count;
};

/* UINT64_MAX and whatever else is beyond 32 bits is not known. */
void history_add(struct history *history, uint64_t milli_percent);

/* Age 0 is the newest; HISTORY_UNKNOWN for what is not there. */
uint32_t history_get(const struct history *history, size_t age);
