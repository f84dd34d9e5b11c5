#pragma once
/*
 * budget - the law that keeps one tenant to its cap on one GPU: a budget of measured GPU time in
 * short windows, with carry-over, and looks at the measure at the earliest instant at which the
 * budget can be used up. docs/design/control-law.md has its derivation and results. Time and
 * measure are passed in.
 *
 * States and who makes the transitions (budget_step()):
 *
 *   ON    channels enabled; a look or the next window is due at wake_ns
 *   OFF   channels disabled until the next window (or until a larger cap pays for more)
 *
 * Invariants: 1. a stay in OFF ends at a window's start: the next one whose balance is worth a run.
 * 2. The balance lies within [-BUDGET_DEBT_NS, two windows' budgets], or a window's and a least run
 * where that is more. 3. A tenant below its cap is never disabled.
 */
#include <stdbool.h>
#include <stdint.h>

#define BUDGET_CAP_NONE 100000u /* milli-percent: no cap */
#define BUDGET_DEBT_NS  UINT64_C(50000000)

/* What was measured, at one instant, of the tenant on this GPU. */
struct budget_measure {
    uint64_t net_ns;   /* GPU time since whenever, switch costs taken off; only differences count */
    bool is_on_engine; /* it occupies the engine now */
};

enum budget_action { BUDGET_KEEP, BUDGET_ENABLE, BUDGET_DISABLE };

struct budget_parameters {
    uint32_t cap_milli_percent;   /* 1..100000 */
    uint64_t window_ns, phase_ns; /* windows start at multiples of the window, plus the phase */
    uint32_t idle_factor_milli;   /* the idle correction (erl/idle.h), thousandths; 1000: none */
};

struct budget {
    struct budget_parameters parameters;
    bool is_started, is_on;
    int64_t balance_ns;
    uint64_t settled_net_ns; /* measure up to which the balance is settled */
    uint64_t window_end_ns;
    uint64_t enabled_ns; /* begin of the on-time not yet in the rate */
    uint64_t on_used_ns; /* used since enabled_ns */
    uint32_t looks_left;
    uint32_t rate_milli; /* moving average of used per on-time */
    uint64_t wake_ns;    /* when budget_step() is due next */
};

void budget_init(struct budget *budget, const struct budget_parameters *parameters);

/*
 * To be called at wake_ns or as soon after as may be, with a fresh measure. Says what to do with
 * the channels; the caller does it and calls budget_done(). `may_disable` false (no call left in
 * the rate limit, a guard not armed): the overrun is carried.
 */
enum budget_action budget_step(struct budget *budget, uint64_t now_ns,
                               const struct budget_measure *measure, bool may_disable);

/* New parameters, in force now: what the cap's change is worth in this window is paid or taken. */
enum budget_action budget_change(struct budget *budget, uint64_t now_ns,
                                 const struct budget_measure *measure,
                                 const struct budget_parameters *parameters, bool may_disable);

/*
 * The measure starts anew (records were lost, the sampler was reopened): no use is charged for the
 * gap.
 */
void budget_resume(struct budget *budget, const struct budget_measure *measure);
