#pragma once
/*
 * faults - what is wrong with the simulated machine, as NAME[=VALUE] from the command line or from
 * a program on it. NAME=off makes it well again; what was on a lost GPU is gone all the same.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>
#include <stdint.h>

struct faults {
    bool slice_inert;     /* SET_TIMESLICE is accepted and does nothing */
    bool disable_inert;   /* FIFO_DISABLE_CHANNELS is accepted and does nothing */
    bool disable_refused; /* ... answers insufficient permissions */
    bool no_records;      /* event buffers are refused */
    bool no_nvml;         /* NVML does not start */
    uint32_t slow_controls_ms;
    uint32_t lost_gpus, missing_gpus; /* a bit for each */
};

/* -EINVAL with words for an unknown name or a value that does not fit it. */
int faults_set(struct faults *faults, const char *text, struct err *err) MUST_CHECK;

struct faults_help {
    const char *name, *words;
};

/* All faults in the order of the help; ends with a NULL name. */
const struct faults_help *faults_list(void);
