#pragma once
/*
 * burn_kernel - kernels of known length that count what they do: a unit is one microsecond of work
 * (by calibration on hardware, by contract on the simulator), and a counter in pinned host memory
 * grows by one for each. What counts is work, not time: a kernel taken off the GPU does not
 * advance.
 */
#include "cli/cuda_library.h"
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>
#include <stdint.h>

#define BURN_STREAMS_MAX 16
#define BURN_SLOTS       4096 /* end stamps that can be told apart at a time */

struct burn_kernel {
    struct cuda_library cuda;
    CUcontext context;
    CUfunction function;
    CUstream streams[BURN_STREAMS_MAX];
    CUgraphExec graph; /* NULL: kernels are launched one by one */
    uint32_t stream_count;
    uint32_t graph_kernels;
    unsigned int grid;
    uint64_t units;              /* of one kernel */
    uint32_t work;               /* turns of the inner loop for a unit */
    volatile uint64_t *counters; /* one a stream, pinned; written by the GPU */
    volatile uint64_t *ends;     /* BURN_SLOTS stamps of the GPU's clock, pinned */
};

int burn_kernel_open(struct burn_kernel *kernel, uint64_t units, uint32_t stream_count,
                     struct err *err) MUST_CHECK;

/* Launches one kernel; `slot` says where its end is stamped (-1: nowhere). */
CUresult burn_kernel_launch(struct burn_kernel *kernel, uint32_t stream, int slot);

/* The same with another number of units. */
CUresult burn_kernel_launch_units(struct burn_kernel *kernel, uint32_t stream, uint64_t units,
                                  int slot);

/* Units done so far, by all streams. */
uint64_t burn_kernel_progress(const struct burn_kernel *kernel);

/* From here on burn_kernel_launch_many() launches through a graph of graph_kernels kernels. */
CUresult burn_kernel_make_graph(struct burn_kernel *kernel);

/* Launches `count` kernels as the program is to; `count` is one of burn_kernel_round(). */
CUresult burn_kernel_launch_many(struct burn_kernel *kernel, uint32_t stream, uint32_t count);

/* The number of kernels next to `count` that can be launched. */
uint32_t burn_kernel_round(const struct burn_kernel *kernel, uint64_t count);

/* A result as an error: -EIO with the driver's name for it. */
int burn_kernel_judge(const struct burn_kernel *kernel, CUresult result, const char *what,
                      struct err *err) MUST_CHECK;
