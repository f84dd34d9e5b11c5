#include "cli/burn.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "utils/log.h"
#include "utils/parse.h"

#include <jansson.h>
#include <stdio.h>

/* Each reads one option where it is given; 0, or COMMAND_USAGE after saying what is wrong. */
static int read_number(const struct command_line *line, const char *name, uint64_t most,
                       uint64_t *value)
{
    const char *text = command_value(line, name);
    struct err err;

    if (text && parse_u64(value, text, 1, most, &err) < 0)
        return command_usage_error(line, "--%s: %s", name, err.text);
    return COMMAND_OK;
}

static int read_seconds(const struct command_line *line, const char *name, uint64_t *value_ns)
{
    const char *text = command_value(line, name);
    struct err err;

    if (text && parse_seconds(value_ns, text, &err) < 0)
        return command_usage_error(line, "--%s: %s", name, err.text);
    return COMMAND_OK;
}

static int read_part(const struct command_line *line, const char *name, uint32_t *milli_percent)
{
    const char *text = command_value(line, name);
    struct err err;

    if (text && parse_percent(milli_percent, text, &err) < 0)
        return command_usage_error(line, "--%s: %s", name, err.text);
    return COMMAND_OK;
}

static int read_memory(const struct command_line *line, uint64_t *bytes)
{
    const char *text = command_value(line, "memory");
    struct parse_size size;
    struct err err;

    if (!text)
        return COMMAND_OK;
    if (parse_size(&size, text, &err) < 0)
        return command_usage_error(line, "--memory: %s", err.text);
    if (!size.bytes)
        return command_usage_error(line, "--memory: a size in bytes is needed here");
    *bytes = size.bytes;
    return COMMAND_OK;
}

static int read_options(const struct command_line *line, struct burn_options *options)
{
    uint64_t streams = 1, trace_ms = 100;

    if (line->operand_count)
        return command_usage_error(line, "'%s' is not understood", line->operands[0]);
    if (read_number(line, "kernel-us", 10000000, &options->kernel_us) ||
        read_seconds(line, "seconds", &options->seconds_ns) ||
        read_seconds(line, "warm-up", &options->warm_up_ns) ||
        read_seconds(line, "cool-down", &options->cool_down_ns) ||
        read_number(line, "depth", 100000, &options->depth) ||
        read_memory(line, &options->memory_bytes) ||
        read_part(line, "busy", &options->busy_milli_percent) ||
        read_number(line, "streams", BURN_STREAMS_MAX, &streams) ||
        read_number(line, "every", 10000000, &options->every_us) ||
        read_part(line, "cap-percent", &options->cap_milli_percent) ||
        read_number(line, "start-at", UINT64_MAX, &options->start_at_ns) ||
        read_number(line, "trace-ms", 100000, &trace_ms))
        return COMMAND_USAGE;
    if (!options->seconds_ns && !command_has(line, "save-rate"))
        return command_usage_error(line, "--seconds: nothing can be measured in no time");
    options->is_graph = command_has(line, "graph");
    options->stream_count = options->is_graph ? 1 : (uint32_t)streams;
    options->trace_ns = trace_ms * 1000000;
    options->rate_path = command_value(line, "rate");
    options->save_rate_path = command_value(line, "save-rate");
    options->trace_path = command_value(line, "trace");
    return COMMAND_OK;
}

static json_t *known(bool is_known, double value)
{
    return is_known ? json_real(value) : json_null();
}

static void print_json(const struct burn_options *options, const struct burn_result *result)
{
    const struct burn_spread *windows = &result->windows;
    const struct burn_latencies *latencies = &result->latencies;
    bool has_windows = windows->count > 0;
    json_t *latency =
        result->has_latencies
            ? json_pack("{s:f, s:f, s:f, s:f}", "p50", latencies->p50_us, "p90", latencies->p90_us,
                        "p99", latencies->p99_us, "max", latencies->max_us)
            : json_null();
    json_t *object = json_pack(
        "{s:I, s:f, s:I, s:f, s:o, s:o, s:o, s:o, s:o, s:o, s:I}", "kernel_us",
        (json_int_t)options->kernel_us, "seconds", result->seconds, "kernels",
        (json_int_t)result->kernels, "share_percent", result->share_percent, "window_mean_percent",
        known(has_windows, windows->mean), "window_sd_percent",
        known(has_windows, windows->deviation), "window_min_percent",
        known(has_windows, windows->least), "window_max_percent", known(has_windows, windows->most),
        "longest_pause_ms", known(result->longest_pause_ms >= 0, result->longest_pause_ms),
        "latency_us", latency, "errors", (json_int_t)result->errors);

    (void)json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
    printf("\n");
    json_decref(object);
}

static void print_text(const struct burn_options *options, const struct burn_result *result)
{
    const struct burn_spread *windows = &result->windows;
    const struct burn_latencies *latencies = &result->latencies;

    printf("%.2f %% of the GPU in %.1f s: %llu kernels of %llu us\n", result->share_percent,
           result->seconds, (unsigned long long)result->kernels,
           (unsigned long long)options->kernel_us);
    if (windows->count)
        printf("over 100 ms windows: %.2f +- %.2f %%, %.2f to %.2f %%; longest pause %.1f ms\n",
               windows->mean, windows->deviation, windows->least, windows->most,
               result->longest_pause_ms);
    if (result->has_latencies)
        printf("latency: p50 %.0f us, p90 %.0f us, p99 %.0f us, max %.0f us\n", latencies->p50_us,
               latencies->p90_us, latencies->p99_us, latencies->max_us);
}

int cmd_burn(const struct command_line *line)
{
    struct burn_options options = {.kernel_us = 100,
                                   .seconds_ns = UINT64_C(5000000000),
                                   .warm_up_ns = UINT64_C(500000000),
                                   .busy_milli_percent = 100000,
                                   .cap_milli_percent = 100000};
    struct burn_result result = {.longest_pause_ms = -1};
    struct err err = {0};
    int status = read_options(line, &options);

    if (status)
        return status;
    if (burn_run(&options, &result, &err) < 0) {
        log_error("burn: %s", err.text);
        return COMMAND_FAILED;
    }
    if (!options.seconds_ns)
        return COMMAND_OK;
    if (command_has(line, "json"))
        print_json(&options, &result);
    else
        print_text(&options, &result);
    (void)fflush(stdout);
    if (result.errors)
        log_error("burn: a call of CUDA failed while measuring");
    return result.errors ? COMMAND_FAILED : COMMAND_OK;
}
