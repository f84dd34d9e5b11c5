#pragma once
/*
 * burn_feeder - the thread that keeps kernels in flight, waiting without spinning.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stdint.h>

struct burn_feeder;
struct burn_kernel;
struct burn_options;
struct burn_result;

int burn_feeder_start(struct burn_feeder **ret_feeder, struct burn_kernel *kernel,
                      const struct burn_options *options, struct err *err) MUST_CHECK;

/*
 * Ends the thread; adds errors and the latencies of requests since `begin_ns` to the result.
 */
void burn_feeder_stop(struct burn_feeder *feeder, uint64_t begin_ns, struct burn_result *result);
