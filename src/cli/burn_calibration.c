#include "cli/burn_calibration.h"

#include "cli/burn_kernel.h"
#include "utils/clock.h"

#include <errno.h>
#include <stdint.h>

#define PIECES     16
#define PIECE_US   400u
#define FIT_US     100u
#define FIT_ROUNDS 3
#define ROUNDS     3
#define BATCHES    20
#define BATCH_US   5000u

#define BATCHES_LEAST 3
#define BATCHES_NS    (1500 * NS_PER_MS)
#define BEHIND        0.985 /* events and joins between pieces take a percent at most */

/* Some work on all streams, timed on the GPU's own clock. */
struct timing {
    struct burn_kernel *kernel;
    CUevent marks[PIECES + 1], joins[BURN_STREAMS_MAX];
};

static CUresult make_events(struct timing *timing)
{
    const struct cuda_library *cuda = &timing->kernel->cuda;
    CUresult result = CUDA_SUCCESS;

    for (size_t i = 0; i <= PIECES && result == CUDA_SUCCESS; i++)
        result = cuda->cuEventCreate(&timing->marks[i], CU_EVENT_BLOCKING_SYNC);
    for (size_t i = 0; i < timing->kernel->stream_count && result == CUDA_SUCCESS; i++)
        result = cuda->cuEventCreate(&timing->joins[i], CU_EVENT_DISABLE_TIMING);
    return result;
}

/* Records a mark that all that was launched before comes before, and all that follows behind. */
static CUresult mark(struct timing *timing, size_t place)
{
    const struct burn_kernel *kernel = timing->kernel;
    const struct cuda_library *cuda = &kernel->cuda;
    CUresult result = CUDA_SUCCESS;

    for (uint32_t i = 1; i < kernel->stream_count && result == CUDA_SUCCESS; i++) {
        result = cuda->cuEventRecord(timing->joins[i], kernel->streams[i]);
        if (result == CUDA_SUCCESS)
            result = cuda->cuStreamWaitEvent(kernel->streams[0], timing->joins[i], 0);
    }
    if (result == CUDA_SUCCESS)
        result = cuda->cuEventRecord(timing->marks[place], kernel->streams[0]);
    for (uint32_t i = 1; i < kernel->stream_count && result == CUDA_SUCCESS; i++)
        result = cuda->cuStreamWaitEvent(kernel->streams[i], timing->marks[place], 0);
    return result;
}

static CUresult launch(struct timing *timing, uint32_t count)
{
    CUresult result = CUDA_SUCCESS;

    for (uint32_t i = 0; i < timing->kernel->stream_count && result == CUDA_SUCCESS; i++)
        result = burn_kernel_launch_many(timing->kernel, i, count);
    return result;
}

/* `pieces` times `count` kernels on each stream; the best units a nanosecond of a piece. */
static CUresult time_pieces(struct timing *timing, size_t pieces, uint32_t count, double *best)
{
    struct burn_kernel *kernel = timing->kernel;
    double units = (double)kernel->units * count * kernel->stream_count;
    CUresult result = launch(timing, burn_kernel_round(kernel, 1)); /* so that it begins at work */

    for (size_t i = 0; i <= pieces && result == CUDA_SUCCESS; i++) {
        result = mark(timing, i);
        if (result == CUDA_SUCCESS && i < pieces)
            result = launch(timing, count);
    }
    if (result == CUDA_SUCCESS)
        result = kernel->cuda.cuEventSynchronize(timing->marks[pieces]);
    for (size_t i = 0; i < pieces && result == CUDA_SUCCESS; i++) {
        float milliseconds = 0;

        result =
            kernel->cuda.cuEventElapsedTime(&milliseconds, timing->marks[i], timing->marks[i + 1]);
        if (milliseconds > 0 && units / ((double)milliseconds * 1e6) > *best)
            *best = units / ((double)milliseconds * 1e6);
    }
    return result;
}

/* As many kernels as take about `wanted_us`. */
static uint32_t kernels_in(const struct burn_kernel *kernel, uint64_t wanted_us)
{
    return burn_kernel_round(kernel, wanted_us / kernel->units / kernel->stream_count);
}

/* With kernels of one length for all: what a unit is must not depend on the length. */
static CUresult fit(struct timing *timing)
{
    struct burn_kernel *kernel = timing->kernel;
    CUresult result = CUDA_SUCCESS;
    uint64_t units = kernel->units;

    kernel->units = FIT_US;
    for (int i = 0; i < FIT_ROUNDS && result == CUDA_SUCCESS; i++) {
        double rate = 0, work;

        result = time_pieces(timing, PIECES, kernels_in(kernel, PIECE_US), &rate);
        work = kernel->work * rate * 1000.0;
        kernel->work = work < 1 ? 1 : work > 1e6 ? 1000000 : (uint32_t)(work + 0.5);
    }
    kernel->units = units;
    return result;
}

/*
 * Kernels longer than a piece are as fast as those of its length, but for the gap between kernels.
 */
static CUresult time_best_pieces(struct timing *timing, double *best)
{
    struct burn_kernel *kernel = timing->kernel;
    const struct burn_kernel saved = *kernel;
    CUresult result = CUDA_SUCCESS;

    if (kernel->units > PIECE_US) {
        kernel->units = PIECE_US;
        kernel->graph = NULL;
    }
    for (int i = 0; i < ROUNDS && result == CUDA_SUCCESS; i++)
        result = time_pieces(timing, PIECES, kernels_in(kernel, PIECE_US), best);
    kernel->units = saved.units;
    kernel->graph = saved.graph;
    return result;
}

static CUresult time_best_batch(struct timing *timing, double *best)
{
    uint32_t count = kernels_in(timing->kernel, BATCH_US);
    uint64_t begin_ns = clock_now_ns();
    CUresult result = CUDA_SUCCESS;

    for (int i = 0; i < BATCHES && result == CUDA_SUCCESS; i++) {
        result = time_pieces(timing, 1, count, best);
        if (i + 1 >= BATCHES_LEAST && clock_now_ns() - begin_ns > BATCHES_NS)
            break;
    }
    return result;
}

int burn_calibration_run(struct burn_kernel *kernel, bool with_graph, double *ret_rate,
                         struct err *err)
{
    struct timing timing = {.kernel = kernel};
    double of_pieces = 0, of_batches = 0;
    CUresult result = make_events(&timing);

    if (result == CUDA_SUCCESS)
        result = fit(&timing);
    if (result == CUDA_SUCCESS && with_graph)
        result = burn_kernel_make_graph(kernel);
    if (result == CUDA_SUCCESS)
        result = time_best_pieces(&timing, &of_pieces);
    if (result == CUDA_SUCCESS)
        result = time_best_batch(&timing, &of_batches);
    if (result != CUDA_SUCCESS)
        return burn_kernel_judge(kernel, result, "calibrate", err);
    if (of_batches <= 0)
        return err_say(err, EIO, "calibrate: the GPU's clock stands still");
    *ret_rate = of_batches < BEHIND * of_pieces ? of_pieces : of_batches;
    return 0;
}
