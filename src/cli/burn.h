#pragma once
/*
 * burn - a guest that keeps a GPU busy in a known way and says what it got.
 */
#include "cli/burn_figures.h"
#include "cli/burn_kernel.h"
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>
#include <stdint.h>

#define BURN_LONG_US 20000u /* from here on only means over many kernels say something */

struct burn_options {
    uint64_t kernel_us, seconds_ns, warm_up_ns, cool_down_ns;
    uint64_t depth;              /* 0: chosen */
    uint64_t memory_bytes;       /* 0: none */
    uint32_t busy_milli_percent; /* 100000: always */
    bool is_graph;
    uint32_t stream_count;
    uint64_t every_us; /* 0: always busy */
    uint32_t cap_milli_percent;
    uint64_t start_at_ns; /* 0: after warming up */
    const char *rate_path, *save_rate_path, *trace_path;
    uint64_t trace_ns;
};

struct burn_result {
    uint64_t kernels; /* whole ones of work done while measuring */
    double seconds, share_percent;
    struct burn_spread windows; /* of 100 ms; count 0: not claimed */
    double longest_pause_ms;    /* negative: not measured */
    bool has_latencies;
    struct burn_latencies latencies;
    uint64_t errors;
};

int burn_run(const struct burn_options *options, struct burn_result *ret_result,
             struct err *err) MUST_CHECK;
