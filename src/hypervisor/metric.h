#pragma once
/*
 * metric - the rows of macro/metrics.def as data: what a metric is called, which labels it has, and
 * how its number is taken from a snapshot. Numbers stay whole: a milliwatt is written as 0.001, not
 * by way of a float that has no such value.
 */
#include "macro/metrics.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct metrics_own;
struct snapshot;
struct snapshot_gpu;
struct snapshot_share;
struct snapshot_tenant;

/* value * times / 10^decimals; a value of SNAPSHOT_UNKNOWN is none. */
struct metric_number {
    uint64_t value;
    uint64_t times; /* at least 1 */
    unsigned int decimals;
};

/* What a metric is taken of. Which pointers are set depends on its scope; all are borrowed. */
struct metric_subject {
    const struct snapshot *snapshot;
    const struct metrics_own *own;
    const struct snapshot_gpu *gpu;
    const struct snapshot_tenant *tenant;
    const struct snapshot_share *share;
    const char *word; /* the component, verdict, state or priority that this is about */
    bool is_so;       /* and whether it is the one that holds */
    uint64_t count;   /* of faults, of standalone tenants, or of foreign processes */
    uint64_t bytes;   /* that the latter use */
};

struct metric {
    const char *name; /* as in Prometheus' text format */
    const char *unit; /* "": none */
    const char *help; /* a sentence */
    enum metrics_type type;
    enum metrics_scope scope;
    uint32_t labels; /* METRICS_BIT() of each */
    struct metric_number (*take)(const struct metric_subject *at);
};

/* Conversions from what snapshots have to base units, for metrics.def. */
struct metric_number metric_flag(bool is_so); /* 1 or 0 */
struct metric_number metric_count(uint64_t value);
struct metric_number metric_percent(uint64_t percent);             /* to a ratio */
struct metric_number metric_milli_percent(uint64_t milli_percent); /* to a ratio */
struct metric_number metric_cap(uint32_t milli_percent); /* 100000 and more is no cap: unknown */
struct metric_number metric_milli(uint64_t thousandths);
struct metric_number metric_micro(uint64_t millionths);
struct metric_number metric_nano(uint64_t billionths);
struct metric_number metric_kibi(uint64_t kibi);
struct metric_number metric_mega(uint64_t millions);

/* All of them in the order of the table. */
const struct metric *metric_table(size_t *ret_count);

/* "gauge", ...; the label's name. */
const char *metric_type_word(enum metrics_type type);
const char *metric_label_name(enum metrics_label label);

/* Whether there is a number: false where it is unknown, or too large to be true. */
bool metric_is_known(struct metric_number number);

/* Prints the exact decimal number, without an exponent; it must be known. */
void metric_print(struct metric_number number, FILE *file);
