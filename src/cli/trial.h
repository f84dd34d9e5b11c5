#pragma once
/*
 * trial - tenants that burn at the same time, as `vgpu run ... -- vgpu burn --json ...`, and what
 * each of them got. The rate that a kernel reaches alone is measured before, outside of all limits,
 * once for each way to launch it.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRIAL_TENANTS_MAX 16

struct trial_tenant {
    const char *name;         /* of one trial; trial_name() makes the tenant's of it */
    const char *run_options;  /* of `vgpu run` */
    const char *burn_options; /* of `vgpu burn`; a constant: each is calibrated once */
    const char *more_options; /* of `vgpu burn`, that do not change its rate; may be NULL */
    unsigned int processes;   /* 0 is 1 */
};

struct trial_figures {
    double share_percent;                            /* of all processes */
    double spread_percent, longest_pause_ms, p99_us; /* of the first; NAN where not known */
    bool is_there;
};

struct trial {
    const struct trial_tenant *tenants;
    size_t count;
    double seconds, warm_up_seconds;
    void (*watch)(void *context); /* NULL, or called in the middle of the seconds, each time */
    void *context;
};

struct trial_setup; /* the rates that were measured, in a directory of their own */

int trial_setup_new(struct trial_setup **ret_setup, struct err *err) MUST_CHECK;
void trial_setup_free(struct trial_setup *setup);

/*
 * The whole name of a tenant of the trial that runs or comes next, which no other trial uses;
 * `ret_name` has 64 bytes.
 */
void trial_name(const struct trial_setup *setup, char *ret_name, const char *name);

/* This program's own path. */
const char *trial_program(const struct trial_setup *setup);

/*
 * Runs it, and once more where not all were ready in time; a tenant of which a process failed is
 * not there. -errno where none could be run.
 */
int trial_run(struct trial_setup *setup, const struct trial *trial,
              struct trial_figures *ret_figures, struct err *err) MUST_CHECK;
