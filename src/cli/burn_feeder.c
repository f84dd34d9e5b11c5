#include "cli/burn_feeder.h"

#include "cli/burn.h"
#include "utils/atomics.h"
#include "utils/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define BATCHES      8
#define QUEUED_NS    (8 * NS_PER_MS)
#define DEPTH_MOST   512u
#define PERIOD_NS    (10 * NS_PER_MS)
#define REQUESTS_MAX (1u << 20)

/* Kernels are launched in batches, an event behind each; at most `batches` are in flight. */
struct burn_feeder {
    pthread_t thread;
    struct burn_kernel *kernel;
    const struct burn_options *options;
    _Atomic bool is_stopping;
    uint32_t batch_kernels; /* launched between two events */
    uint32_t batches;       /* in flight */
    CUevent events[BURN_STREAMS_MAX][BATCHES];
    uint64_t errors;
    struct burn_request *requests;
    size_t request_count;
};

static CUresult feed_once(struct burn_feeder *feeder, uint64_t turn)
{
    const struct cuda_library *cuda = &feeder->kernel->cuda;
    CUresult result = CUDA_SUCCESS;

    for (uint32_t stream = 0; stream < feeder->kernel->stream_count && result == CUDA_SUCCESS;
         stream++) {
        CUevent event = feeder->events[stream][turn % feeder->batches];

        if (turn >= feeder->batches)
            result = cuda->cuEventSynchronize(event);
        if (result == CUDA_SUCCESS)
            result = burn_kernel_launch_many(feeder->kernel, stream, feeder->batch_kernels);
        if (result == CUDA_SUCCESS)
            result = cuda->cuEventRecord(event, feeder->kernel->streams[stream]);
    }
    return result;
}

static CUresult drain(struct burn_feeder *feeder)
{
    const struct cuda_library *cuda = &feeder->kernel->cuda;
    CUresult result = CUDA_SUCCESS;

    for (uint32_t stream = 0; stream < feeder->kernel->stream_count && result == CUDA_SUCCESS;
         stream++) {
        result = cuda->cuEventRecord(feeder->events[stream][0], feeder->kernel->streams[stream]);
        if (result == CUDA_SUCCESS)
            result = cuda->cuEventSynchronize(feeder->events[stream][0]);
    }
    return result;
}

static void run_busy(struct burn_feeder *feeder)
{
    for (uint64_t turn = 0; !load_relaxed(&feeder->is_stopping); turn++)
        if (feed_once(feeder, turn) != CUDA_SUCCESS) {
            feeder->errors++;
            return;
        }
}

/* Works for a part of a period, in its own time, then sleeps for the rest of it. */
static void run_partly(struct burn_feeder *feeder)
{
    uint64_t work_ns = PERIOD_NS * feeder->options->busy_milli_percent / 100000;
    uint64_t kernel_ns = feeder->options->kernel_us * NS_PER_US;
    uint64_t count = work_ns / kernel_ns ? work_ns / kernel_ns : 1;

    while (!load_relaxed(&feeder->is_stopping)) {
        CUresult result = CUDA_SUCCESS;

        for (uint64_t i = 0; i < count && result == CUDA_SUCCESS; i++)
            result = burn_kernel_launch(feeder->kernel, 0, -1);
        if (result == CUDA_SUCCESS)
            result = drain(feeder);
        if (result != CUDA_SUCCESS) {
            feeder->errors++;
            return;
        }
        clock_sleep_until_ns(clock_now_ns() + PERIOD_NS - work_ns);
    }
}

static CUresult request(struct burn_feeder *feeder, struct burn_request *request)
{
    int slot = (int)(feeder->request_count % BURN_SLOTS);
    CUresult result;

    feeder->kernel->ends[slot] = 0;
    request->begin_ns = clock_now_ns();
    result = burn_kernel_launch(feeder->kernel, 0, slot);
    if (result == CUDA_SUCCESS)
        result = drain(feeder);
    request->seen_ns = clock_now_ns();
    request->end_gpu_ns = feeder->kernel->ends[slot];
    return result;
}

static void run_requests(struct burn_feeder *feeder)
{
    uint64_t next_ns = clock_now_ns();

    while (!load_relaxed(&feeder->is_stopping) && feeder->request_count < REQUESTS_MAX) {
        next_ns += feeder->options->every_us * NS_PER_US;
        if (next_ns > clock_now_ns())
            clock_sleep_until_ns(next_ns);
        else
            next_ns = clock_now_ns(); /* late by more than a period: requests do not pile up */
        if (request(feeder, &feeder->requests[feeder->request_count]) != CUDA_SUCCESS) {
            feeder->errors++;
            return;
        }
        feeder->request_count++;
    }
}

static void *run(void *argument)
{
    struct burn_feeder *feeder = argument;

    if (feeder->kernel->cuda.cuCtxSetCurrent(feeder->kernel->context) != CUDA_SUCCESS) {
        feeder->errors++;
        return NULL;
    }
    if (feeder->options->every_us)
        run_requests(feeder);
    else if (feeder->options->busy_milli_percent < 100000)
        run_partly(feeder);
    else
        run_busy(feeder);
    /* What is in flight of long kernels ends with the process: nobody waits for it. */
    if (!feeder->errors && feeder->options->kernel_us < BURN_LONG_US &&
        drain(feeder) != CUDA_SUCCESS)
        feeder->errors++;
    return NULL;
}

static CUresult make_events(struct burn_feeder *feeder)
{
    CUresult result = CUDA_SUCCESS;

    for (uint32_t stream = 0; stream < feeder->kernel->stream_count; stream++)
        for (size_t i = 0; i < BATCHES && result == CUDA_SUCCESS; i++)
            result = feeder->kernel->cuda.cuEventCreate(
                &feeder->events[stream][i], CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING);
    return result;
}

/* Enough work in flight that waking this thread late does not show, and two kernels at least. */
static void choose_depth(struct burn_feeder *feeder)
{
    const struct burn_options *options = feeder->options;
    uint64_t depth = options->depth ? options->depth : QUEUED_NS / (options->kernel_us * NS_PER_US);

    if (depth > DEPTH_MOST)
        depth = DEPTH_MOST;
    feeder->batch_kernels = burn_kernel_round(feeder->kernel, (depth + BATCHES - 1) / BATCHES);
    feeder->batches = (uint32_t)(depth < 2 ? 2 : depth < BATCHES ? depth : BATCHES);
    if (options->depth == 1)
        feeder->batches = 1;
}

int burn_feeder_start(struct burn_feeder **ret_feeder, struct burn_kernel *kernel,
                      const struct burn_options *options, struct err *err)
{
    struct burn_feeder *feeder = calloc(1, sizeof(*feeder));
    CUresult result;
    int rc;

    if (!feeder)
        return err_set(err, ENOMEM, "begin");
    feeder->kernel = kernel;
    feeder->options = options;
    choose_depth(feeder);
    feeder->requests = options->every_us ? calloc(REQUESTS_MAX, sizeof(*feeder->requests)) : NULL;
    if (options->every_us && !feeder->requests) {
        free(feeder);
        return err_set(err, ENOMEM, "begin");
    }
    result = make_events(feeder);
    rc = burn_kernel_judge(kernel, result, "prepare", err);
    if (!rc) {
        rc = -pthread_create(&feeder->thread, NULL, run, feeder);
        if (rc < 0)
            (void)err_set(err, -rc, "start the feeding thread");
    }
    if (rc < 0) {
        free(feeder->requests);
        free(feeder);
        return rc;
    }
    *ret_feeder = feeder;
    return 0;
}

static void take_latencies(const struct burn_feeder *feeder, uint64_t begin_ns,
                           struct burn_result *result)
{
    size_t first = 0, count;
    double *values;

    while (first < feeder->request_count && feeder->requests[first].begin_ns < begin_ns)
        first++;
    count = feeder->request_count - first;
    values = count ? calloc(count, sizeof(*values)) : NULL;
    if (!values)
        return;
    burn_figures_requests(values, feeder->requests + first, count);
    result->latencies = burn_figures_latencies(values, count);
    result->has_latencies = true;
    free(values);
}

void burn_feeder_stop(struct burn_feeder *feeder, uint64_t begin_ns, struct burn_result *result)
{
    store_relaxed(&feeder->is_stopping, true);
    (void)pthread_join(feeder->thread, NULL);
    result->errors += feeder->errors;
    if (feeder->requests)
        take_latencies(feeder, begin_ns, result);
    free(feeder->requests);
    free(feeder);
}
