#pragma once
/*
 * control_loop - the budget law and the slice planner around a model of a GPU (sim/gpu.h), in the
 * model's time: what the supervisors of one GPU do, each with a timing thread of its own, driver
 * calls that take as long as they were measured to take, and wake-ups that come late.
 *
 * A tenant's measure is what the switch records say (closed intervals less a save of 95 us each,
 * and the open one), its truth what its kernels ran. A loop_tenant is filled in by the test and its
 * results are read there.
 */
#include "erl/budget.h"
#include "erl/slices.h"
#include "erl/stretch.h"
#include "sim/gpu.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define US     UINT64_C(1000)
#define MS     UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)

#define LOOP_TENANTS_MAX 12
#define LOOP_GROUPS_MAX  16
#define LOOP_SPANS_MAX   2048
#define LOOP_DELAYS_MAX  4096
#define LOOP_CALLS_MAX   2048

struct loop;

enum loop_priority { LOOP_NORMAL, LOOP_HIGH, LOOP_LOW };

/* One channel group with its one channel. */
struct loop_group {
    struct loop_tenant *tenant;
    struct gpu_group group;
    struct gpu_channel channel;
    uint64_t next_submit_ns, finished_count;
};

struct loop_tenant {
    /* What it may have. */
    uint32_t cap_milli_percent; /* 0: no cap */
    uint32_t weight;            /* 0: 1 */
    enum loop_priority priority;
    /* What it wants: kernels of kernel_ns (0: 10 ms), each `sleep_ns` after the end of the one
     * before, or (period_ns) each so long after the begin of the one before. */
    uint64_t kernel_ns, sleep_ns, period_ns;
    uint64_t begin_ns;    /* when it starts to work */
    uint32_t group_count; /* 0: 1 */

    /* Results of the newest loop_measure(): percent of wall time, over spans of 100 ms. */
    double mean, deviation, least, most;
    double spans[LOOP_SPANS_MAX];
    size_t span_count;
    double delays_us[LOOP_DELAYS_MAX]; /* from a kernel's submission to its end */
    size_t delay_count;
    uint64_t calls;
    uint64_t longest_off_ns;

    /* The loop's own. */
    struct loop *loop;
    struct loop_group groups[LOOP_GROUPS_MAX];
    struct slices_plan plan;
    struct budget budget;
    struct stretch stretch;
    uint64_t off_ns;
    bool is_off;
    bool is_capped;
    uint64_t closed_ns, interval_count, since_ns;
    bool on_engine;
    uint64_t active_until_ns, due_ns, off_since_ns, measured_busy_ns;
};

struct loop {
    struct loop_tenant tenants[LOOP_TENANTS_MAX];
    size_t tenant_count;
    uint64_t jitter_ns;                 /* a wake-up is late by up to this */
    uint64_t late_from_ns, late_for_ns; /* the first wake-up from then on is so much late, once */
    uint32_t late_per_thousand;         /* wake-ups that are late by up to late_most_ns */
    uint64_t late_most_ns;

    uint64_t switch_calls, most_calls_a_second;
    struct gpu gpu;
    uint64_t random, plan_ns;
    uint64_t call_times_ns[LOOP_CALLS_MAX];
};

/* `tenant_count` of the tenants have been filled in, the rest of the loop is zero. */
void loop_start(struct loop *loop);
void loop_run(struct loop *loop, uint64_t span_ns);
/* Runs on and fills in the tenants' results for spans of `span_ns`. */
void loop_measure_spans(struct loop *loop, uint64_t span_ns, size_t count);
void loop_measure(struct loop *loop, uint64_t seconds);

/* A changed cap, told to every planner at once. */
void loop_set_cap(struct loop *loop, size_t tenant, uint32_t cap_milli_percent);
void loop_set_work(struct loop *loop, size_t tenant, uint64_t kernel_ns, uint64_t sleep_ns);

/* The part of a tenant's delays that are at most the result is `percent`. */
double loop_delay_us(struct loop_tenant *tenant, double percent);
double loop_sum(const struct loop *loop);
