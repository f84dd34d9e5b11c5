#include "cli/bench.h"
#include "cli/child.h"
#include "cli/client.h"
#include "cli/trial.h"
#include "utils/clock.h"
#include "utils/log.h"
#include "utils/str.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB            (UINT64_C(1) << 20)
#define CHILD_NS       (60 * NS_PER_SEC)
#define CHANGES        6
#define CHANGE_NS      (350 * NS_PER_MS)
#define NEAR_PERCENT   4.0
#define COST_ROUNDS    3
#define STARTUP_ROUNDS 9
#define STEP_POLL_NS   (5 * NS_PER_MS)
#define TEXT_MAX       4096

static void run_trial(struct bench *bench, const struct trial *trial, struct trial_figures *figures)
{
    struct err err;

    if (trial_run(bench->setup, trial, figures, &err) < 0)
        log_error("bench: %s", err.text);
}

/* --- latency --- */

void bench_latency(struct bench *bench, const char *claim)
{
    const struct trial_tenant tenants[] = {
        {.name = "bench-high",
         .run_options = "--priority high",
         .burn_options = "--kernel-us 200 --every 5000"},
        {.name = "bench-low", .run_options = "--priority low", .burn_options = "--kernel-us 1000"}};
    struct trial trial = {
        .tenants = tenants, .count = 1, .seconds = bench->seconds, .warm_up_seconds = 1};
    struct trial_figures alone[2] = {0}, beside[2] = {0};
    struct bench_row row = {.bar = 2.2, .unit = "x"};
    char more[48];

    run_trial(bench, &trial, alone);
    trial.count = 2;
    run_trial(bench, &trial, beside);
    row.got = alone[0].is_there && beside[0].is_there ? beside[0].p99_us / alone[0].p99_us : NAN;
    (void)str_format(more, sizeof(more), " (%.0f us)", alone[0].p99_us);
    bench_rows_add(&bench->rows, claim, more, &row);
}

/* --- changed caps --- */

struct changes {
    const struct bench *bench;
    uint64_t instants_ns[CHANGES];
    double caps[CHANGES];
    size_t count;
};

static void change(void *context)
{
    struct changes *changes = context;
    char name[64];

    changes->count = 0;
    trial_name(changes->bench->setup, name, "bench-set");
    for (size_t i = 0; i < CHANGES; i++) {
        uint32_t cap = i % 2 ? 20000 : 80000;
        struct message_set set = {
            .fields = MESSAGE_SET_COMPUTE, .gpu_mask = UINT32_MAX, .cap_milli_percent = cap};
        struct err err;

        message_init(&set, MESSAGE_SET, sizeof(set));
        changes->instants_ns[i] = clock_now_ns();
        changes->caps[i] = cap / 1000.0;
        if (client_set(&changes->bench->runtime, name, &set, &err) < 0) {
            log_error("bench: %s", err.text);
            return;
        }
        changes->count++;
        clock_sleep_until_ns(changes->instants_ns[i] + CHANGE_NS);
    }
}

/*
 * From a change to the begin of the first of two windows in a row at the new cap; NAN where none.
 */
static double settled_ms(const char *path, uint64_t instant_ns, double cap)
{
    FILE *trace = fopen(path, "re");
    unsigned long long begin_ns, first_ns = 0;
    double share, result = NAN;

    while (trace && isnan(result) && fscanf(trace, "%llu %lf", &begin_ns, &share) == 2) {
        if (begin_ns < instant_ns || fabs(share - cap) > NEAR_PERCENT)
            first_ns = 0;
        else if (first_ns)
            result = (double)(first_ns - instant_ns) / 1e6;
        else
            first_ns = begin_ns;
    }
    if (trace)
        (void)fclose(trace);
    return result;
}

void bench_changes(struct bench *bench, const char *claim)
{
    char path[64], options[128];
    struct trial_tenant tenants[] = {
        {.name = "bench-set",
         .run_options = "--compute 20%",
         .burn_options = "--kernel-us 100",
         .more_options = options},
        {.name = "bench-free", .run_options = "", .burn_options = "--kernel-us 100"}};
    struct changes changes = {.bench = bench};
    const struct trial trial = {.tenants = tenants,
                                .count = 2,
                                .seconds = 5,
                                .warm_up_seconds = 1,
                                .watch = change,
                                .context = &changes};
    struct trial_figures figures[2] = {0};
    struct bench_row row = {.bar = 60, .unit = "ms"};

    (void)str_format(path, sizeof(path), "/tmp/vgpu-trace-%d", (int)getpid()); /* fits */
    (void)str_format(options, sizeof(options), "--trace %s --trace-ms 20", path);
    run_trial(bench, &trial, figures);
    row.got = changes.count == CHANGES ? 0 : NAN;
    for (size_t i = 0; i < changes.count && !isnan(row.got); i++) {
        double took_ms = settled_ms(path, changes.instants_ns[i], changes.caps[i]);

        row.got = isnan(took_ms) || took_ms > row.got ? took_ms : row.got;
    }
    (void)unlink(path); /* it may be missing */
    bench_rows_add(&bench->rows, claim, "", &row);
}

/* --- memory --- */

struct kinds {
    uint64_t steps, others; /* done; and of them those where the two figures differ */
};

/* Whether NVML and the ledger agree on the tenant's process, to the MiB. */
static bool agree(struct bench *bench, const char *name)
{
    uint64_t mine_bytes = 0, nvml_bytes = 0;
    struct client_tenant status;
    bool has_nvml = false;

    if (client_status(&bench->runtime, name, &status, NULL) < 0)
        return false;
    for (size_t i = 0; i < status.process_count; i++) {
        uint64_t bytes = 0;

        for (size_t slot = 0; slot < REGION_GPUS_MAX; slot++)
            if (status.processes[i].memory_bytes[slot] != MESSAGE_UNKNOWN)
                mine_bytes += status.processes[i].memory_bytes[slot];
        if (gpus_process_memory(bench->gpus, 0, status.processes[i].pid, &bytes) == 0) {
            nvml_bytes += bytes;
            has_nvml = true;
        }
    }
    client_tenant_fini(&status);
    return has_nvml && mine_bytes / MIB == nvml_bytes / MIB;
}

static uint64_t count_lines(const struct child *child)
{
    char text[TEXT_MAX];
    uint64_t lines = 0;

    child_read(child, text, sizeof(text));
    for (const char *at = strchr(text, '\n'); at; at = strchr(at + 1, '\n'))
        lines++;
    return lines;
}

/* The guest says a line after each step and waits for one. */
static void follow(struct bench *bench, struct child *child, const char *name, struct kinds *kinds)
{
    uint64_t until_ns = clock_now_ns() + CHILD_NS;
    char text[TEXT_MAX];

    while (clock_now_ns() < until_ns) {
        if (count_lines(child) == kinds->steps) {
            clock_sleep_until_ns(clock_now_ns() + STEP_POLL_NS);
            continue;
        }
        kinds->steps++;
        kinds->others += !agree(bench, name);
        child_read(child, text, sizeof(text));
        if (write(child->input_fd, "\n", 1) != 1 || strstr(text, "everything freed"))
            return;
    }
}

void bench_memory(struct bench *bench, const char *claim)
{
    struct bench_row row = {.got = NAN, .bar = 0, .unit = "steps"};
    struct kinds kinds = {0};
    struct child child;
    char name[64], more[32] = "";
    struct err err = {0};

    trial_name(bench->setup, name, "bench-kinds");
    child_init(&child);
    child_add(&child, trial_program(bench->setup));
    child_add_list(&child, "run --memory 8GiB --name");
    child_add(&child, name);
    child_add(&child, "--");
    child_add(&child, trial_program(bench->setup));
    child_add_list(&child, "probe kinds");
    if (child_start(&child, true, &err) == 0) {
        follow(bench, &child, name, &kinds);
        if (child_wait(&child, CHILD_NS, &err) == 0)
            row.got = (double)kinds.others;
        (void)str_format(more, sizeof(more), ", of %llu", (unsigned long long)kinds.steps);
    }
    child_fini(&child);
    bench_rows_add(&bench->rows, claim, more, &row);
}

/* --- costs --- */

/* Runs a probe, as a tenant or not; returns what it took in ms, NAN where it failed. */
static double run_probe(struct bench *bench, const char *what, bool is_tenant, char *text)
{
    uint64_t begin_ns = clock_now_ns();
    struct child child;
    int rc;

    child_init(&child);
    child_add(&child, trial_program(bench->setup));
    if (is_tenant) {
        child_add_list(&child, "run --memory 8GiB --");
        child_add(&child, trial_program(bench->setup));
    }
    child_add(&child, "probe");
    child_add(&child, what);
    rc = child_start(&child, false, NULL);
    if (!rc)
        rc = child_wait(&child, CHILD_NS, NULL);
    child_read(&child, text, TEXT_MAX);
    child_fini(&child);
    return rc ? NAN : (double)(clock_now_ns() - begin_ns) / 1e6;
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;

    return left < right ? -1 : left > right;
}

static double median(double *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (isnan(values[i]))
            return NAN;
    qsort(values, count, sizeof(*values), compare);
    return values[count / 2];
}

void bench_startup(struct bench *bench, const char *claim)
{
    double with_ms[STARTUP_ROUNDS], without_ms[STARTUP_ROUNDS];
    struct bench_row row = {.bar = 10, .unit = "ms"};
    char text[TEXT_MAX];

    for (size_t i = 0; i < STARTUP_ROUNDS; i++) {
        without_ms[i] = run_probe(bench, "start", false, text);
        with_ms[i] = run_probe(bench, "start", true, text);
    }
    row.got = median(with_ms, STARTUP_ROUNDS) - median(without_ms, STARTUP_ROUNDS);
    bench_rows_add(&bench->rows, claim, "", &row);
}

#define COSTS 3

static void read_costs(struct bench *bench, bool is_tenant, double costs[COSTS][COST_ROUNDS],
                       size_t round)
{
    static const char *const names[COSTS] = {"launch_us", "alloc_us", "info_us"};
    char text[TEXT_MAX];
    double took_ms = run_probe(bench, "cost", is_tenant, text);
    json_t *object = isnan(took_ms) ? NULL : json_loads(text, 0, NULL);

    for (size_t i = 0; i < COSTS; i++) {
        const json_t *value = json_object_get(object, names[i]);

        costs[i][round] = value ? json_number_value(value) : NAN;
    }
    json_decref(object);
}

/* In turn, so that what changes on the machine meanwhile hits both. */
void bench_costs(struct bench *bench, const char *claim)
{
    static const char *const names[COSTS] = {": a launch", ": an allocation",
                                             ": asking for memory"};
    double native_us[COSTS][COST_ROUNDS], limited_us[COSTS][COST_ROUNDS];

    for (size_t round = 0; round < COST_ROUNDS; round++) {
        read_costs(bench, false, native_us, round);
        read_costs(bench, true, limited_us, round);
    }
    for (size_t i = 0; i < COSTS; i++) {
        double base_us = median(native_us[i], COST_ROUNDS);
        struct bench_row row = {.bar = 2, .unit = "%"};

        row.got = 100.0 * (median(limited_us[i], COST_ROUNDS) - base_us) / base_us;
        bench_rows_add(&bench->rows, claim, names[i], &row);
    }
}
