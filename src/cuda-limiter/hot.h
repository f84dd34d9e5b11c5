#pragma once
/*
 * hot - what stands on the way of every call, in one cache line. The driver leaves cold caches
 * behind: a line more costs a call as much as all that is done with it (bench_calls). Each part is
 * written by the module that it says.
 */
#include "rm/mediator.h"
#include "utils/atomics.h"
#include "utils/attr.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * guest's: what is true of this process alone, in a page of its own that the kernel clears in a
 * child which has a copy of our memory, however it was made. Not cleared and not our pid: a child
 * that shares our memory.
 */
struct hot_page {
    _Atomic pid_t pid;
    _Atomic bool has_contacted;
};

typedef int hot_ioctl(int fd, unsigned long request, ...);

struct hot {
    _Atomic(struct hot_page *) page; /* guest's; NULL until the driver is first met */
    _Atomic(hot_ioctl *) ioctl;      /* next's; NULL until the first call of any */
    struct mediator mediator;        /* transport's; its counters are what comes first in it */
};

extern __attribute__((visibility("hidden"))) struct hot hot;

/* The same of each thread, for one offset in one place. */
struct hot_thread {
    uintptr_t stack_end; /* transport's: how far up its stack is known to be there */
    bool is_proven;      /* transport's */
    bool is_holding;     /* guest's: it has the lock; what comes now is a signal handler */
    bool is_forking;     /* guest's: it has the lock for fork(), with all at rest */
    int cancel_state;    /* guest's: what it was before the lock */
};

extern __attribute__((visibility("hidden"))) __thread struct hot_thread hot_thread;
