#include "cli/client.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/listing.h"
#include "supervisor/runtime.h"
#include "utils/log.h"
#include "utils/parse.h"
#include "utils/str.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* --- JSON --- */

static json_t *number_or_null(uint64_t value)
{
    return value == MESSAGE_UNKNOWN ? json_null() : json_integer((json_int_t)value);
}

static json_t *percent_or_null(uint64_t milli_percent)
{
    return milli_percent == MESSAGE_UNKNOWN ? json_null()
                                            : json_real((double)milli_percent / 1000.0);
}

static json_t *gpu_to_json(const struct message_status_gpu *gpu)
{
    return json_pack(
        "{s:s, s:i, s:o, s:o, s:o, s:o, s:i, s:s, s:o, s:o}", "uuid", gpu->uuid, "index",
        (int)gpu->nvml_index, "memory_limit_bytes",
        number_or_null(gpu->memory_limit_bytes == REGION_NO_LIMIT ? MESSAGE_UNKNOWN
                                                                  : gpu->memory_limit_bytes),
        "memory_used_bytes", number_or_null(gpu->memory_used_bytes), "compute_limit_percent",
        percent_or_null(gpu->cap_milli_percent == LISTING_NO_CAP ? MESSAGE_UNKNOWN
                                                                 : gpu->cap_milli_percent),
        "compute_used_percent", percent_or_null(gpu->used_milli_percent), "weight",
        (int)gpu->weight, "priority", region_priority_word(gpu->priority), "slice_us",
        number_or_null(gpu->slice_us), "duty_percent", percent_or_null(gpu->duty_milli_percent));
}

static json_t *to_json(const struct listing_tenant *shown)
{
    json_t *processes = json_array(), *gpus = json_array();

    for (size_t i = 0; i < shown->status.process_count; i++) {
        const struct message_status_process *process = &shown->status.processes[i];

        (void)json_array_append_new(
            processes, json_pack("{s:i, s:s, s:o}", "pid", (int)process->pid, "comm", process->comm,
                                 "memory_bytes", number_or_null(listing_process_bytes(process))));
    }
    for (size_t i = 0; i < shown->status.gpu_count; i++)
        (void)json_array_append_new(gpus, gpu_to_json(&shown->status.gpus[i]));
    return json_pack("{s:s, s:o, s:s, s:s, s:o, s:o}", "name", shown->name, "supervisor_pid",
                     shown->is_orphan ? json_null()
                                      : json_integer(shown->status.tenant.supervisor_pid),
                     "engine", listing_engine_word(shown), "state", listing_state_word(shown),
                     "processes", processes, "gpus", gpus);
}

/* --- text --- */

static void print_heading(void)
{
    bool is_bold = isatty(STDOUT_FILENO);

    printf("%s%-20s %-9s %-3s %-8s %9s %9s %8s %8s %6s %-8s%s\n", is_bold ? "\033[1m" : "", "NAME",
           "STATE", "GPU", "PROCESS", "MEM USED", "MEM MAX", "GPU USED", "GPU MAX", "WEIGHT",
           "PRIORITY", is_bold ? "\033[0m" : "");
}

static const char *size_text(char *text, size_t size, uint64_t bytes)
{
    if (bytes == UINT64_MAX)
        (void)str_format(text, size, "-");
    else
        (void)str_format(text, size, "%lluMiB", (unsigned long long)(bytes >> 20));
    return text;
}

static const char *percent_text(char *text, size_t size, uint64_t milli_percent)
{
    if (milli_percent == UINT64_MAX)
        (void)str_format(text, size, "-");
    else
        (void)str_format(text, size, "%.1f%%", (double)milli_percent / 1000.0);
    return text;
}

static void print_text(const struct listing_tenant *shown)
{
    for (size_t i = 0; i < shown->status.gpu_count; i++) {
        const struct message_status_gpu *gpu = &shown->status.gpus[i];
        char used[24], limit[24], share[24], cap[24], count[24] = "-";

        if (!shown->is_orphan)
            (void)str_format(count, sizeof(count), "%zu", shown->status.process_count); /* fits */
        printf("%-20s %-9s %-3u %-8s %9s %9s %8s %8s %6u %-8s\n", i ? "" : shown->name,
               i ? "" : listing_state_word(shown), gpu->nvml_index, i ? "" : count,
               size_text(used, sizeof(used), gpu->memory_used_bytes),
               size_text(limit, sizeof(limit), gpu->memory_limit_bytes),
               percent_text(share, sizeof(share), gpu->used_milli_percent),
               percent_text(cap, sizeof(cap),
                            gpu->cap_milli_percent == LISTING_NO_CAP ? UINT64_MAX
                                                                     : gpu->cap_milli_percent),
               gpu->weight, region_priority_word(gpu->priority));
    }
    if (shown->is_orphan)
        printf("%-20s no supervisor: caps are lifted (vgpu run --adopt %s gives it one)\n", "",
               shown->name);
    if (shown->status.tenant.engine != REGION_ENGINE_RM)
        printf("%-20s memory limit only: the GPU's scheduler does not obey (see vgpu doctor)\n",
               "");
}

static int list(const struct command_line *line, const struct runtime *runtime,
                struct listing *listing)
{
    struct err err;

    for (int i = 0; i < line->operand_count; i++) {
        if (parse_name(line->operands[i], &err) < 0)
            return command_usage_error(line, "%s", err.text);
        listing_add(listing, line->operands[i]);
    }
    listing_sort(listing);
    if (!line->operand_count && listing_fill(listing, runtime, &err) < 0) {
        log_error("ps: %s", err.text);
        return COMMAND_FAILED;
    }
    return COMMAND_OK;
}

static int show(const struct command_line *line, const struct runtime *runtime,
                const struct listing *listing)
{
    bool as_json = command_has(line, "json");
    json_t *array = json_array();
    int status = COMMAND_OK, printed = 0;

    for (size_t i = 0; i < listing->count; i++) {
        struct err err = {0};
        struct listing_tenant shown;

        if (listing_ask(&shown, runtime, listing->names[i], &err) < 0) {
            if (line->operand_count || (err.code != ENOENT && err.code != ECONNREFUSED)) {
                log_error("ps: %s", err.text);
                status = COMMAND_FAILED;
            }
            continue; /* what nobody lives in is not shown */
        }
        if (!as_json && !printed++)
            print_heading();
        if (as_json)
            (void)json_array_append_new(array, to_json(&shown));
        else
            print_text(&shown);
        listing_tenant_fini(&shown);
    }
    if (as_json) {
        (void)json_dumpf(array, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
        printf("\n");
    }
    json_decref(array);
    return status;
}

int cmd_ps(const struct command_line *line)
{
    CLEANUP_FREE struct listing *listing = calloc(1, sizeof(*listing));
    struct runtime runtime;
    struct err err;
    int status;

    if (!listing || client_open_runtime(&runtime, &err) < 0) {
        log_error("ps: %s", listing ? err.text : "out of memory");
        return COMMAND_FAILED;
    }
    runtime_sweep(&runtime);
    status = list(line, &runtime, listing);
    return status ? status : show(line, &runtime, listing);
}
