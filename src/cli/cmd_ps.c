#include "cli/client.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "supervisor/process.h"
#include "supervisor/runtime.h"
#include "supervisor/tenant.h"
#include "utils/log.h"
#include "utils/parse.h"
#include "utils/str.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TENANTS_MAX 1024
#define NO_CAP      100000u

static const char *const priorities[] = {"low", "normal", "high"};

struct listing {
    const struct runtime *runtime;
    char names[TENANTS_MAX][64];
    size_t count;
};

/* What is shown of a tenant: what its supervisor says, or of an orphan what it left. */
struct shown {
    const char *name, *state, *engine;
    bool is_orphan;
    struct client_tenant status;
};

static int add_name(void *context, const char *name)
{
    struct listing *listing = context;

    if (listing->count < TENANTS_MAX)
        (void)str_format(listing->names[listing->count++], 64, "%s", name); /* bounded */
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* An orphan's limits are in its state; what it uses nobody knows. */
static bool fill_orphan(const struct runtime *runtime, struct shown *shown, struct err *ret_err)
{
    char path[RUNTIME_PATH_MAX], control[RUNTIME_PATH_MAX];
    struct tenant tenant;

    if (runtime_path(runtime, shown->name, "state", path, NULL) < 0 ||
        runtime_path(runtime, shown->name, "control", control, NULL) < 0 ||
        !process_has_tenant(control) || tenant_load(&tenant, path, ret_err) < 0)
        return false;
    shown->is_orphan = true;
    shown->state = "orphaned";
    shown->engine = tenant.engine == REGION_ENGINE_RM ? "rm" : "memory-only";
    for (uint32_t i = 0; i < tenant.gpu_count; i++) {
        struct message_status_gpu *gpu = &shown->status.gpus[shown->status.gpu_count];

        if (!tenant.quotas[i].is_allowed)
            continue;
        *gpu = (struct message_status_gpu){
            .nvml_index = tenant.cards[i].nvml_index,
            .weight = tenant.quotas[i].weight,
            .priority = tenant.quotas[i].priority,
            .memory_limit_bytes = tenant.quotas[i].memory_bytes,
            .memory_used_bytes = MESSAGE_UNKNOWN,
            .card_bytes = tenant.cards[i].memory_bytes,
            .cap_milli_percent = tenant.quotas[i].cap_milli_percent,
            .used_milli_percent = MESSAGE_UNKNOWN,
            .slice_us = MESSAGE_UNKNOWN,
            .duty_milli_percent = MESSAGE_UNKNOWN,
        };
        (void)str_format(gpu->uuid, sizeof(gpu->uuid), "%s", tenant.cards[i].uuid); /* same size */
        shown->status.gpu_count++;
    }
    return true;
}

/* Returns whether there is something to show; *ret_err says where there should have been. */
static bool fill(const struct runtime *runtime, const char *name, struct shown *shown,
                 struct err *ret_err)
{
    int rc;

    *shown = (struct shown){.name = name, .state = "running"};
    rc = client_status(runtime, name, &shown->status, ret_err);
    if (!rc) {
        shown->engine = shown->status.tenant.engine == REGION_ENGINE_RM ? "rm" : "memory-only";
        return true;
    }
    return (rc == -ECONNREFUSED || rc == -ENOENT) && fill_orphan(runtime, shown, ret_err);
}

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
        percent_or_null(gpu->cap_milli_percent == NO_CAP ? MESSAGE_UNKNOWN
                                                         : gpu->cap_milli_percent),
        "compute_used_percent", percent_or_null(gpu->used_milli_percent), "weight",
        (int)gpu->weight, "priority",
        priorities[gpu->priority <= REGION_HIGH ? gpu->priority : REGION_NORMAL], "slice_us",
        number_or_null(gpu->slice_us), "duty_percent", percent_or_null(gpu->duty_milli_percent));
}

static uint64_t process_bytes(const struct message_status_process *process)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < REGION_GPUS_MAX; i++) {
        if (process->memory_bytes[i] == MESSAGE_UNKNOWN)
            return MESSAGE_UNKNOWN;
        sum += process->memory_bytes[i];
    }
    return sum;
}

static json_t *to_json(const struct shown *shown)
{
    json_t *processes = json_array(), *gpus = json_array();

    for (size_t i = 0; i < shown->status.process_count; i++) {
        const struct message_status_process *process = &shown->status.processes[i];

        (void)json_array_append_new(
            processes, json_pack("{s:i, s:s, s:o}", "pid", (int)process->pid, "comm", process->comm,
                                 "memory_bytes", number_or_null(process_bytes(process))));
    }
    for (size_t i = 0; i < shown->status.gpu_count; i++)
        (void)json_array_append_new(gpus, gpu_to_json(&shown->status.gpus[i]));
    return json_pack(
        "{s:s, s:o, s:s, s:s, s:o, s:o}", "name", shown->name, "supervisor_pid",
        shown->is_orphan ? json_null() : json_integer(shown->status.tenant.supervisor_pid),
        "engine", shown->engine, "state", shown->state, "processes", processes, "gpus", gpus);
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

static void print_text(const struct shown *shown)
{
    for (size_t i = 0; i < shown->status.gpu_count; i++) {
        const struct message_status_gpu *gpu = &shown->status.gpus[i];
        char used[24], limit[24], share[24], cap[24], count[24] = "-";

        if (!shown->is_orphan)
            (void)str_format(count, sizeof(count), "%zu", shown->status.process_count); /* fits */
        printf("%-20s %-9s %-3u %-8s %9s %9s %8s %8s %6u %-8s\n", i ? "" : shown->name,
               i ? "" : shown->state, gpu->nvml_index, i ? "" : count,
               size_text(used, sizeof(used), gpu->memory_used_bytes),
               size_text(limit, sizeof(limit), gpu->memory_limit_bytes),
               percent_text(share, sizeof(share), gpu->used_milli_percent),
               percent_text(cap, sizeof(cap),
                            gpu->cap_milli_percent == NO_CAP ? UINT64_MAX : gpu->cap_milli_percent),
               gpu->weight,
               priorities[gpu->priority <= REGION_HIGH ? gpu->priority : REGION_NORMAL]);
    }
    if (shown->is_orphan)
        printf("%-20s no supervisor: caps are lifted (vgpu run --adopt %s gives it one)\n", "",
               shown->name);
    if (!str_equals(shown->engine, "rm"))
        printf("%-20s memory limit only: the GPU's scheduler does not obey (see vgpu doctor)\n",
               "");
}

static int list(const struct command_line *line, struct listing *listing)
{
    struct err err;
    int rc = 0;

    for (int i = 0; i < line->operand_count; i++) {
        if (parse_name(line->operands[i], &err) < 0)
            return command_usage_error(line, "%s", err.text);
        (void)add_name(listing, line->operands[i]);
    }
    if (!line->operand_count)
        rc = runtime_each(listing->runtime, add_name, listing);
    if (rc < 0) {
        log_error("ps: the tenant directory cannot be read: %d", rc);
        return COMMAND_FAILED;
    }
    qsort(listing->names, listing->count, sizeof(listing->names[0]), compare_names);
    return COMMAND_OK;
}

static int show(const struct command_line *line, const struct listing *listing)
{
    bool as_json = command_has(line, "json");
    json_t *array = json_array();
    int status = COMMAND_OK, printed = 0;

    for (size_t i = 0; i < listing->count; i++) {
        struct err err = {0};
        struct shown shown;

        if (!fill(listing->runtime, listing->names[i], &shown, &err)) {
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
        client_tenant_fini(&shown.status);
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

    if (!listing || runtime_open(&runtime, &err) < 0) {
        log_error("ps: %s", listing ? err.text : "out of memory");
        return COMMAND_FAILED;
    }
    runtime_sweep(&runtime);
    listing->runtime = &runtime;
    status = list(line, listing);
    return status ? status : show(line, listing);
}
