#pragma once
/*
 * ledger - how much video memory a tenant's processes hold, exact at every instant.
 *
 * It lies in shared memory that every process of the tenant and its supervisor write. Bytes are
 * reserved before the driver is asked and released where it refuses or when they are freed; a
 * reservation is one compare-and-swap on the total of its GPU slot, so the total never exceeds the
 * limit, not by one byte, whoever allocates beside. There is no lock: a process killed at any
 * instant leaves a row from which the reaper knows whether its last change had happened or not
 * (ledger.c has the protocol, tests/spin/ledger.pml its model).
 *
 * Any number of threads of a process use its row at once. Guest-safe: no allocation, no stdio.
 * Nothing in the memory is trusted: garbage makes figures wrong, and the tenant is the one it
 * harms.
 */
#include "ipc/region.h"
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define LEDGER_PAGE_BYTES  4096u
#define LEDGER_SLOTS_MAX   REGION_GPUS_MAX /* GPU slots, numbered as in the control page */
#define LEDGER_ROWS_MAX    256u            /* processes at a time */
#define LEDGER_THREADS_MAX 8u              /* of one process inside a call at the same instant */
#define LEDGER_TOTAL_MAX   ((UINT64_C(1) << 30) * LEDGER_PAGE_BYTES - LEDGER_PAGE_BYTES)

struct ledger;

/*
 * A process's row. The stamp is of this use of the row alone, never 0: a row used anew has another.
 */
struct ledger_row {
    uint32_t index;
    uint32_t reserved;
    uint64_t stamp;
};

struct ledger_owner {
    struct ledger_row row;
    pid_t pid;           /* as the supervisor that attached it sees it */
    uint64_t start_time; /* field 22 of /proc/<pid>/stat */
};

/* Bytes of memory that a ledger takes; what shm_create() is asked for. */
size_t ledger_size(void);

/* Makes a ledger of ledger_size() zero bytes. */
struct ledger *ledger_init(void *memory);

/* A ledger made by another process; -EPROTO where magic, version or length are not ours. */
int ledger_open(struct ledger **ret_ledger, void *memory, struct err *err) MUST_CHECK;

/*
 * The supervisor's: gives a process a row; -EAGAIN where none is free. The same process may have
 * several one after another (it called exec) and each is reaped by itself.
 */
int ledger_attach(struct ledger *ledger, pid_t pid, uint64_t start_time,
                  struct ledger_row *ret_row) MUST_CHECK;

/* Who has row `index`; false where nobody does. For a supervisor that takes a tenant over. */
bool ledger_get_owner(struct ledger *ledger, uint32_t index, struct ledger_owner *ret_owner);

/*
 * Takes `bytes` of GPU `slot`, unless the total would exceed `limit_bytes` then: -ENOMEM, nothing
 * taken. -EINVAL: not a multiple of LEDGER_PAGE_BYTES, or no such slot; -ESTALE: the row is not the
 * caller's any more; -EBUSY: more than LEDGER_THREADS_MAX threads stay in calls for a second.
 */
int ledger_reserve(struct ledger *ledger, const struct ledger_row *row, uint32_t slot,
                   uint64_t bytes, uint64_t limit_bytes) MUST_CHECK;

/* Asks for the cache lines that a change of the row will need, and waits for none. */
void ledger_prefetch(struct ledger *ledger, const struct ledger_row *row, uint32_t slot);

/* Gives back. As ledger_reserve(); -ERANGE, nothing given back, where the row holds less. */
int ledger_release(struct ledger *ledger, const struct ledger_row *row, uint32_t slot,
                   uint64_t bytes) MUST_CHECK;

/* Bytes taken of a slot by all rows; 0 for a slot that is none. */
uint64_t ledger_used(struct ledger *ledger, uint32_t slot);

/* Bytes that one row holds of a slot; 0 for a row or slot that is none. */
uint64_t ledger_row_used(struct ledger *ledger, uint32_t index, uint32_t slot);

/*
 * The supervisor's: gives back all that a row holds and frees the row. No thread of its process may
 * run any more. May be killed at any instant and called again, by its successor too; one caller at
 * a time. -ESTALE: the row is already another's or nobody's; -EBUSY: the words would not rest
 * (garbage is being written), to be called again later.
 */
int ledger_reap(struct ledger *ledger, const struct ledger_row *row) MUST_CHECK;

/*
 * Whether the totals are the sums of the rows. -EPROTO with words where not; -EAGAIN where changes
 * went on all the time. Bounded in time whatever the memory holds.
 */
int ledger_check(struct ledger *ledger, struct err *err) MUST_CHECK;
