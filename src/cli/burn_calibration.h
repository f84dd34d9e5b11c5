#pragma once
/*
 * burn_calibration - how fast the kernels are where nothing holds them up.
 *
 * Two readings are taken: the best of long batches, which is right where nobody else is on the GPU,
 * and the best of many short pieces of work, some of which fit between two stops even of a tenant
 * with a small cap. Where the batches fall behind the pieces they were held up, and the pieces
 * count.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>

struct burn_kernel;

/*
 * Sets kernel->work so that a unit takes a microsecond, makes the kernel's graph where
 * `with_graph`, and returns the units a nanosecond that it reaches alone.
 */
int burn_calibration_run(struct burn_kernel *kernel, bool with_graph, double *ret_rate,
                         struct err *err) MUST_CHECK;
