#pragma once
/*
 * mutex - a lock in one word, for what stands on the way of a program's calls: taken and left with
 * one instruction each where nobody else wants it, and without a call into libc, whose lines of
 * code are cold there. No owner, not recursive, not fair; all zero is free. Guest-safe.
 */
#include "utils/atomics.h"
#include "utils/attr.h"

#include <stdint.h>

struct mutex {
    _Atomic uint32_t word; /* enum mutex_state */
};

enum mutex_state { MUTEX_FREE, MUTEX_HELD, MUTEX_HELD_AND_WANTED };

/* For the functions below: sleeps until it is ours; wakes one who sleeps. */
void mutex_wait(struct mutex *mutex);
void mutex_wake(struct mutex *mutex);

static inline void mutex_lock(struct mutex *mutex)
{
    uint32_t state = MUTEX_FREE;

    /* Pairs with the exchange of whoever had it: what was done under it is seen. */
    if (!LIKELY(cas_ordered(&mutex->word, &state, MUTEX_HELD)))
        mutex_wait(mutex);
}

static inline void mutex_unlock(struct mutex *mutex)
{
    /* Pairs with the lock of whoever has it next. */
    if (!LIKELY(exchange_ordered(&mutex->word, MUTEX_FREE) == MUTEX_HELD))
        mutex_wake(mutex);
}

/* A look that says nothing about the next instant, unless whoever looks is the only thread. */
static inline bool mutex_is_held(const struct mutex *mutex)
{
    return load_relaxed(&mutex->word) != MUTEX_FREE;
}
