#include "cli/burn.h"

#include "cli/burn_calibration.h"
#include "cli/burn_feeder.h"
#include "cli/burn_watch.h"
#include "utils/clock.h"
#include "utils/file.h"
#include "utils/str.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define LONG_KERNELS 20u

/* What a file of --save-rate holds: work, kernel length in us, units a nanosecond. */
static int load_rate(struct burn_kernel *kernel, const char *path, double *ret_rate,
                     struct err *err)
{
    unsigned long long kernel_us;
    unsigned int work;
    double rate;
    char text[128];

    if (file_read(path, text, sizeof(text), err) < 0)
        return -err->code;
    if (sscanf(text, "%u %llu %lf", &work, &kernel_us, &rate) != 3 || !work || !isfinite(rate) ||
        rate <= 0)
        return err_say(err, EINVAL, "'%s' is no file of --save-rate", path);
    if (kernel_us != kernel->units)
        return err_say(err, EINVAL, "'%s' is of kernels of %llu us", path, kernel_us);
    kernel->work = work;
    *ret_rate = rate;
    return 0;
}

static int save_rate(const struct burn_kernel *kernel, const char *path, double rate,
                     struct err *err)
{
    char text[128];
    int length = snprintf(text, sizeof(text), "%u %llu %.9g\n", kernel->work,
                          (unsigned long long)kernel->units, rate);

    return file_write(path, text, (size_t)length, err);
}

static int find_rate(struct burn_kernel *kernel, const struct burn_options *options,
                     double *ret_rate, struct err *err)
{
    int rc;

    if (options->rate_path) {
        rc = load_rate(kernel, options->rate_path, ret_rate, err);
        if (!rc && options->is_graph)
            rc = burn_kernel_judge(kernel, burn_kernel_make_graph(kernel), "make a graph", err);
        return rc;
    }
    rc = burn_calibration_run(kernel, options->is_graph, ret_rate, err);
    if (!rc && options->save_rate_path)
        rc = save_rate(kernel, options->save_rate_path, *ret_rate, err);
    return rc;
}

static int hold_memory(struct burn_kernel *kernel, uint64_t bytes, struct err *err)
{
    CUdeviceptr pointer;

    if (!bytes)
        return 0;
    return burn_kernel_judge(kernel, kernel->cuda.cuMemAlloc_v2(&pointer, bytes), "hold memory",
                             err);
}

/* Long kernels are measured over many of them. */
static uint64_t measured_ns(const struct burn_options *options)
{
    uint64_t least_ns =
        LONG_KERNELS * options->kernel_us * NS_PER_US * 100000 / options->cap_milli_percent;

    if (options->kernel_us < BURN_LONG_US || least_ns < options->seconds_ns)
        return options->seconds_ns;
    return least_ns;
}

static int measure(struct burn_kernel *kernel, const struct burn_options *options, double rate,
                   struct burn_result *result, struct err *err)
{
    struct burn_feeder *feeder;
    struct burn_watch watch = {.kernel = kernel,
                               .rate = rate,
                               .begin_ns = options->start_at_ns,
                               .span_ns = measured_ns(options),
                               .trace_path = options->trace_path,
                               .trace_ns = options->trace_ns};
    int rc;

    /* Whoever aligns several would compare what was not measured at the same time. */
    if (options->start_at_ns && options->start_at_ns < clock_now_ns())
        return err_say(err, EINVAL, "the instant of --start-at was past before all was ready");
    rc = burn_feeder_start(&feeder, kernel, options, err);
    if (rc < 0)
        return rc;
    if (!watch.begin_ns)
        watch.begin_ns = clock_now_ns() + options->warm_up_ns;
    rc = burn_watch_run(&watch, result, err);
    if (!rc && options->cool_down_ns && !burn_watch_is_ended())
        clock_sleep_until_ns(clock_now_ns() + options->cool_down_ns);
    burn_feeder_stop(feeder, watch.begin_ns, result);
    if (options->kernel_us >= BURN_LONG_US)
        result->windows.count = 0;
    return rc;
}

int burn_run(const struct burn_options *options, struct burn_result *ret_result, struct err *err)
{
    static struct burn_kernel kernel; /* the process ends with this: the driver cleans up */
    double rate = 0;
    int rc = burn_kernel_open(&kernel, options->kernel_us, options->stream_count, err);

    if (!rc)
        rc = hold_memory(&kernel, options->memory_bytes, err);
    if (!rc)
        rc = find_rate(&kernel, options, &rate, err);
    if (!rc && options->seconds_ns)
        rc = measure(&kernel, options, rate, ret_result, err);
    return rc;
}
