#include "cli/history.h"

void history_add(struct history *history, uint64_t milli_percent)
{
    history->samples[history->next] =
        milli_percent < HISTORY_UNKNOWN ? (uint32_t)milli_percent : HISTORY_UNKNOWN;
    history->next = (history->next + 1) % HISTORY_LENGTH;
    if (history->count < HISTORY_LENGTH)
        history->count++;
}

uint32_t history_get(const struct history *history, size_t age)
{
    if (age >= history->count)
        return HISTORY_UNKNOWN;
    return history->samples[(history->next + HISTORY_LENGTH - 1 - age) % HISTORY_LENGTH];
}
