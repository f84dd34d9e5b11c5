#pragma once
/*
 * census - what the switch records say of one tenant on one GPU: the time its processes had, net of
 * what switching costs, which of them are busy, and whether anybody else is. Arithmetic on a
 * sampler.
 */
#include "erl/budget.h"
#include "supervisor/roster.h"
#include "supervisor/sampler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CENSUS_PROCESSES_MAX 256
/*
 * A closed interval contains its own preemption and save: 65 to 122 us seen
 * (docs/design/control-law.md).
 */
#define CENSUS_SAVE_NS INT64_C(95000)

struct census_process {
    pid_t pid;
    int64_t net_ns;
    uint64_t interval_count;
    uint64_t busy_until_ns;
    uint32_t group_count;
    bool is_listed; /* still in the roster */
};

struct census {
    struct census_process processes[CENSUS_PROCESSES_MAX];
    size_t count;
    int64_t gone_net_ns;     /* of processes that have left */
    uint64_t gone_count;     /* of them: one that comes again is not known to be on the engine */
    int64_t net_ns;          /* of all, ever: only differences mean anything */
    uint64_t interval_count; /* closed ones of those that are listed */
    uint64_t last_end_ns;    /* newest end of an interval of ours */
    bool is_on_engine;
    uint64_t since_ns; /* begin of our open interval */
    uint32_t group_count, busy_group_count;
    uint64_t active_until_ns;    /* we had work within the last half second before that */
    uint64_t neighbour_until_ns; /* somebody else was on the engine */
};

void census_init(struct census *census);

/* Takes in what the sampler knows, as of `now_ns`. */
void census_update(struct census *census, struct sampler *sampler, const struct roster *roster,
                   uint64_t now_ns);

/*
 * Where there are no records: every group counts as busy. A slice that nobody uses costs nothing,
 * so that weights hold all the same; what was used is not known.
 */
void census_assume(struct census *census, const struct roster *roster, uint64_t now_ns);

/* What the budget law settles by. */
struct budget_measure census_measure(const struct census *census);
