#pragma once
/*
 * burn_watch - reads how far the kernels have come, window by window.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>
#include <stdint.h>

struct burn_kernel;
struct burn_result;

struct burn_watch {
    struct burn_kernel *kernel;
    double rate;                /* alone, units a nanosecond */
    uint64_t begin_ns, span_ns; /* what is measured */
    const char *trace_path;     /* NULL: no trace */
    uint64_t trace_ns;
};

/* Sleeps until begin_ns, then measures; fills kernels, seconds, share, windows, pause. */
int burn_watch_run(const struct burn_watch *watch, struct burn_result *result,
                   struct err *err) MUST_CHECK;

/* Whether a signal ended the measuring early. */
bool burn_watch_is_ended(void);
