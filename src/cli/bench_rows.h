#pragma once
/*
 * bench_rows - what bench got, each beside the bar that it has to reach.
 */
#include "utils/attr.h"

#include <stdbool.h>
#include <stddef.h>

#define BENCH_ROWS_MAX  128
#define BENCH_CLAIM_MAX 112

struct bench_row {
    char claim[BENCH_CLAIM_MAX];
    double got; /* NAN: could not be measured, which fails */
    double bar;
    bool is_least; /* the bar is the least that passes, not the most */
    const char *unit;
};

struct bench_rows {
    struct bench_row rows[BENCH_ROWS_MAX];
    size_t count;
};

/* Adds a row; its claim is made of two parts. Beyond BENCH_ROWS_MAX nothing is added. */
void bench_rows_add(struct bench_rows *rows, const char *claim, const char *more,
                    const struct bench_row *row);

bool bench_rows_passes(const struct bench_row *row);
size_t bench_rows_passed(const struct bench_rows *rows);
