#pragma once
/*
 * bench - the accuracy self-test: runs the rows of bench.def and keeps what was got beside the bar.
 */
#include "cli/bench_rows.h"
#include "supervisor/gpus.h"
#include "supervisor/runtime.h"
#include "utils/attr.h"
#include "utils/err.h"

#include <regex.h>
#include <stdbool.h>

struct trial_setup;

struct bench {
    struct runtime runtime;
    struct gpus *gpus;
    struct trial_setup *setup;
    const regex_t *wanted; /* NULL: every row of the level */
    int level;
    double seconds;
    struct bench_rows rows;
};

/* Measures all that is wanted; with `is_list` the claims are printed and nothing is measured. */
void bench_run(struct bench *bench, bool is_list);

/* The rows that are no trials (bench_others.c). */
#define TRIAL(level, warm_up, seconds, claim)
#define TENANT(run_options, burn_options, processes)
#define SHARE(tenant, wanted, bar)
#define SPREAD(tenant, bar)
#define PART(tenant, wanted, bar)
#define SUM(bar)
#define OTHER(level, function, claim) void bench_##function(struct bench *bench, const char *name);
#include "cli/bench.def"
