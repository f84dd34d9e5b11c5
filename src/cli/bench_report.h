#pragma once
/*
 * bench_report - what bench found, as a table, as JSON and as a picture.
 */
#include <stdio.h>

struct bench_rows;

struct bench_report {
    const struct bench_rows *rows;
    const char *gpu, *driver, *engine;
};

void bench_report_table(const struct bench_report *report, FILE *file);
void bench_report_json(const struct bench_report *report, FILE *file);

/* A bar for each row, as long as what was got is of its bar. */
void bench_report_svg(const struct bench_report *report, FILE *file);
