#pragma once
/*
 * bench - the accuracy self-test: runs the rows of bench.def and keeps what was got beside the bar.
 */
#include "supervisor/gpus.h"
#include "supervisor/runtime.h"
#include "utils/attr.h"
#include "utils/err.h"

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>

#define BENCH_ROWS_MAX  128
#define BENCH_CLAIM_MAX 112

struct trial_setup;

struct bench_row {
    char claim[BENCH_CLAIM_MAX];
    double got; /* NAN: could not be measured, which fails */
    double bar;
    bool is_least; /* the bar is the least that passes, not the most */
    const char *unit;
};

struct bench {
    struct runtime runtime;
    struct gpus *gpus;
    struct trial_setup *setup;
    const regex_t *wanted; /* NULL: every row of the level */
    int level;
    double seconds;
    struct bench_row rows[BENCH_ROWS_MAX];
    size_t count;
};

/* Adds a row; the claim is made of two parts. */
void bench_add(struct bench *bench, const char *claim, const char *more,
               const struct bench_row *row);
bool bench_passes(const struct bench_row *row);

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
