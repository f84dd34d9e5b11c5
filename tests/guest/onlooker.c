/*
 * onlooker - what a daemon knows of the hardware and of foreign processes, without a daemon:
 *
 *     onlooker POLICY INTERVAL-MS FILE    policy: ignore, adopt, stop
 *
 * Writes what it knows to FILE as JSON after each reading, and a line for each event to stdout,
 * until it is ended.
 */
#include "cli/client.h"
#include "hypervisor/event_log.h"
#include "hypervisor/foreign.h"
#include "hypervisor/hardware.h"
#include "supervisor/runtime.h"
#include "utils/clock.h"
#include "utils/file.h"
#include "utils/str.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TENANTS_MAX 64

static volatile sig_atomic_t is_over;

static struct {
    struct hardware *hardware;
    struct foreign *foreign;
    struct hardware_reading reading;
    struct snapshot_gpu gpus[REGION_GPUS_MAX];
    struct runtime runtime;
    struct foreign_tenant tenants[TENANTS_MAX];
    char names[TENANTS_MAX][64];
    int32_t *pids[TENANTS_MAX];
    int32_t supervisors[TENANTS_MAX];
    size_t tenant_count;
    enum config_foreign_policy policy;
    const char *path;
} all;

static void on_signal(int number)
{
    is_over = 1;
}

static void on_event(void *context, const struct event *event)
{
    printf("%s %d %s\n", event_kind_word(event->kind), event->pid, event->text);
    (void)fflush(stdout);
}

static int compare_pids(const void *a, const void *b)
{
    return *(const int32_t *)a - *(const int32_t *)b; /* none is negative */
}

/* 0 goes on; a tenant that does not answer makes what is known useless: 1. */
static int add_tenant(void *context, const char *name)
{
    struct client_tenant status;
    size_t place = all.tenant_count;
    int rc = client_status(&all.runtime, name, &status, NULL);

    if (rc == -ENOENT)
        return 0; /* it has ended */
    if (rc < 0 || place == TENANTS_MAX)
        return 1;
    all.pids[place] = calloc(status.process_count + 1, sizeof(int32_t));
    for (size_t i = 0; i < status.process_count; i++)
        all.pids[place][i] = status.processes[i].pid;
    qsort(all.pids[place], status.process_count, sizeof(int32_t), compare_pids);
    (void)str_format(all.names[place], sizeof(all.names[place]), "%s", name); /* fits */
    all.supervisors[place] = status.tenant.supervisor_pid;
    all.tenants[place] = (struct foreign_tenant){
        .name = all.names[place], .pids = all.pids[place], .pid_count = status.process_count};
    all.tenant_count++;
    client_tenant_fini(&status);
    return 0;
}

static void must(int rc, const struct err *err)
{
    if (rc >= 0)
        return;
    fprintf(stderr, "guest: %s\n", err->text);
    exit(3);
}

static json_t *known(uint64_t value)
{
    return value == TELEMETRY_UNKNOWN ? json_null() : json_integer((json_int_t)value);
}

static json_t *describe_gpu(const struct hardware_gpu *gpu)
{
    json_t *sums = json_object();

    for (size_t i = 0; i < all.tenant_count; i++)
        (void)json_object_set_new(
            sums, all.names[i],
            known(hardware_sum_memory(gpu, all.tenants[i].pids, all.tenants[i].pid_count)));
    return json_pack("{sssisbsosososososo}", "uuid", gpu->uuid, "index", (int)gpu->nvml_index,
                     "is_lost", gpu->is_lost, "memory_bytes", known(gpu->card.memory_bytes),
                     "memory_used_bytes", known(gpu->card.memory_used_bytes), "busy_percent",
                     known(gpu->card.busy_percent), "temperature_celsius",
                     known(gpu->card.temperature_celsius), "power_milliwatts",
                     known(gpu->card.power_milliwatts), "tenants", sums);
}

static void write_all(void)
{
    json_t *gpus = json_array(), *foreign = json_array(), *root;
    uint32_t count;
    const struct snapshot_foreign *rows = foreign_list(all.foreign, &count);
    struct err err;
    char *text;

    for (uint32_t i = 0; i < all.reading.gpu_count; i++)
        (void)json_array_append_new(gpus, describe_gpu(&all.reading.gpus[i]));
    for (uint32_t i = 0; i < count; i++)
        (void)json_array_append_new(foreign, json_pack("{sisssisosb}", "pid", rows[i].pid, "comm",
                                                       rows[i].comm, "gpu", (int)rows[i].gpu,
                                                       "memory_bytes", known(rows[i].memory_bytes),
                                                       "is_stopped", rows[i].is_stopped));
    root = json_pack("{sIsbsoso}", "sequence", (json_int_t)all.reading.sequence, "has_nvml",
                     all.reading.has_nvml, "gpus", gpus, "foreign", foreign);
    text = json_dumps(root, 0);
    must(file_write(all.path, text, strlen(text), &err), &err);
    free(text);
    json_decref(root);
}

static void look(void)
{
    struct foreign_input input = {
        .reading = &all.reading,
        .gpus = all.gpus,
        .gpu_count = all.reading.gpu_count,
        .tenants = all.tenants,
        .tenants_ns = clock_now_ns(), /* before anybody is asked */
        .own_pids = all.supervisors,
        .policy = all.policy,
    };

    all.tenant_count = 0;
    if (runtime_each(&all.runtime, add_tenant, NULL) != 0)
        input.tenants_ns = 0;
    input.tenant_count = all.tenant_count;
    input.own_count = all.tenant_count;
    for (uint32_t i = 0; i < all.reading.gpu_count; i++) {
        all.gpus[i].nvml_index = all.reading.gpus[i].nvml_index;
        memcpy(all.gpus[i].uuid, all.reading.gpus[i].uuid, sizeof(all.gpus[i].uuid));
    }
    foreign_update(all.foreign, &input, clock_now_ns());
    write_all();
    for (size_t i = 0; i < all.tenant_count; i++)
        free(all.pids[i]);
}

int main(int argc, char **argv)
{
    static const char *const policies[] = {"ignore", "adopt", "stop"};
    const struct foreign_system system = {.describe = foreign_process_describe,
                                          .signal = foreign_process_signal,
                                          .add_event = on_event};
    struct hardware_options options = {.retry_ns = NS_PER_SEC / 5};
    uint64_t sequence = 0;
    struct err err;

    if (argc != 4)
        return 2;
    for (int i = 0; i < 3; i++)
        if (strcmp(argv[1], policies[i]) == 0)
            all.policy = (enum config_foreign_policy)i;
    options.interval_ns = strtoull(argv[2], NULL, 10) * NS_PER_MS;
    all.path = argv[3];
    (void)signal(SIGTERM, on_signal);
    must(runtime_open(&all.runtime, &err), &err);
    must(hardware_new(&all.hardware, &options, &err), &err);
    must(foreign_new(&all.foreign, &system, &err), &err);
    while (!is_over) {
        hardware_read(all.hardware, &all.reading);
        if (all.reading.sequence != sequence)
            look();
        sequence = all.reading.sequence;
        clock_sleep_until_ns(clock_now_ns() + 2 * NS_PER_MS);
    }
    foreign_free(all.foreign);
    hardware_free(all.hardware);
    return 0;
}
