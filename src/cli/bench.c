#include "cli/bench.h"

#include "cli/trial.h"
#include "utils/log.h"
#include "utils/str.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

enum kind { STEP_TRIAL, STEP_TENANT, STEP_SHARE, STEP_SPREAD, STEP_PART, STEP_SUM, STEP_OTHER };

struct step {
    enum kind kind;
    const char *text;    /* a claim, or options of run */
    const char *options; /* of burn */
    int number;          /* a level, a tenant, processes */
    double wanted, bar;  /* of a row; warming up and seconds of a trial */
    void (*function)(struct bench *bench, const char *claim);
};

static const struct step steps[] = {
#define TRIAL(level, warm_up, seconds, claim)                                                      \
    {STEP_TRIAL, claim, NULL, level, warm_up, seconds, NULL},
#define TENANT(run_options, burn_options, processes)                                               \
    {STEP_TENANT, run_options, burn_options, processes, 0, 0, NULL},
#define SHARE(tenant, wanted, bar)    {STEP_SHARE, NULL, NULL, tenant, wanted, bar, NULL},
#define SPREAD(tenant, bar)           {STEP_SPREAD, NULL, NULL, tenant, 0, bar, NULL},
#define PART(tenant, wanted, bar)     {STEP_PART, NULL, NULL, tenant, wanted, bar, NULL},
#define SUM(bar)                      {STEP_SUM, NULL, NULL, 0, 0, bar, NULL},
#define OTHER(level, function, claim) {STEP_OTHER, claim, NULL, level, 0, 0, bench_##function},
#include "cli/bench.def"
};

static bool is_wanted(const struct bench *bench, const struct step *step)
{
    if (bench->wanted)
        return regexec(bench->wanted, step->text, 0, NULL, 0) == 0;
    return step->number <= bench->level;
}

static double sum(const struct trial_figures *figures, size_t count)
{
    double total = 0;

    for (size_t i = 0; i < count; i++)
        total += figures[i].is_there ? figures[i].share_percent : NAN;
    return total;
}

static void judge(struct bench *bench, const char *claim, const struct step *step,
                  const struct trial_figures *figures, size_t count)
{
    const struct trial_figures *figure = &figures[step->number];
    double share = figure->is_there ? figure->share_percent : NAN;
    struct bench_row row = {.bar = step->bar, .unit = "points"};
    char more[48];

    switch (step->kind) {
    case STEP_SHARE:
        row.got = fabs(share - step->wanted);
        (void)str_format(more, sizeof(more), count > 1 ? ": off %.0f %%" : ": off", step->wanted);
        break;
    case STEP_SPREAD:
        row.got = figure->is_there ? figure->spread_percent : NAN;
        (void)str_format(more, sizeof(more), ": spread");
        break;
    case STEP_PART:
        row.got = fabs(100.0 * share / sum(figures, count) - step->wanted);
        (void)str_format(more, sizeof(more), ": tenant %d off %.1f %%", step->number + 1,
                         step->wanted);
        break;
    default:
        row.got = sum(figures, count);
        row.is_least = true;
        row.unit = "%";
        (void)str_format(more, sizeof(more), ": sum, at least");
        break;
    }
    bench_rows_add(&bench->rows, claim, more, &row);
}

/* The trial at `step`; returns the step behind its last row. */
static const struct step *run_trial(struct bench *bench, const struct step *step, bool is_run)
{
    const struct step *first = step++, *end = steps + ARRAY_LENGTH(steps);
    struct trial_tenant tenants[TRIAL_TENANTS_MAX];
    struct trial_figures figures[TRIAL_TENANTS_MAX] = {0};
    char names[TRIAL_TENANTS_MAX][16];
    struct trial trial = {.tenants = tenants, .warm_up_seconds = first->wanted};
    struct err err;

    trial.seconds = first->bar > bench->seconds ? first->bar : bench->seconds;
    for (; step < end && step->kind == STEP_TENANT; step++) {
        (void)str_format(names[trial.count], sizeof(names[0]), "bench%zu", trial.count); /* fits */
        tenants[trial.count] = (struct trial_tenant){.name = names[trial.count],
                                                     .run_options = step->text,
                                                     .burn_options = step->options,
                                                     .processes = (unsigned int)step->number};
        trial.count++;
    }
    if (is_run && trial_run(bench->setup, &trial, figures, &err) < 0)
        log_error("bench: %s: %s", first->text, err.text);
    for (; step < end && step->kind != STEP_TRIAL && step->kind != STEP_OTHER; step++)
        if (is_run)
            judge(bench, first->text, step, figures, trial.count);
    return step;
}

static void show_progress(const char *claim)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K%s", claim);
}

void bench_run(struct bench *bench, bool is_list)
{
    const struct step *step = steps, *end = steps + ARRAY_LENGTH(steps);

    while (step < end) {
        bool is_run = is_wanted(bench, step);

        if (is_run && is_list)
            printf("%s\n", step->text);
        is_run = is_run && !is_list;
        if (is_run)
            show_progress(step->text);
        if (step->kind == STEP_TRIAL) {
            step = run_trial(bench, step, is_run);
            continue;
        }
        if (is_run)
            step->function(bench, step->text);
        step++;
    }
    show_progress("");
}
