#include "sim/service.h"

#include "sim/storage.h"
#include "utils/clock.h"
#include "utils/str.h"

#include <errno.h>
#include <string.h>

#define PROCESSES_MAX     512
#define H100_DEVICE_ID    0x233010DEu
#define H100_SUBSYSTEM_ID 0x16C110DEu
#define H100_PROCESSORS   132
#define H100_MAJOR        9
#define H100_MINOR        0
#define NS_PER_PERCENT    ((GPU_BUSY_SAMPLES - 1) * GPU_SAMPLE_NS / 100)

struct rows {
    uint8_t *bytes;
    size_t size, used;
    uint32_t count;
};

static void add_row(struct rows *rows, const void *row, size_t size)
{
    if (rows->size - rows->used < size)
        return;
    memcpy(rows->bytes + rows->used, row, size);
    rows->used += size;
    rows->count++;
}

static void add_gpu(struct rows *rows, const struct board *board)
{
    uint64_t samples = board->sample_count;
    struct wire_gpu row = {
        .index = board->index,
        .minor = board->index,
        .gpu_id = board->gpu_id,
        .is_lost = board->is_lost,
        .memory_bytes = board->memory_bytes,
        .memory_reserved_bytes = board->reserved_bytes,
        .memory_used_bytes = board->used_bytes,
        .pci_bus = board->gpu_id >> 8,
        .pci_device_id = H100_DEVICE_ID,
        .pci_subsystem_id = H100_SUBSYSTEM_ID,
        .utilisation_percent =
            samples > 0 ? board->samples[(samples - 1) % BOARD_SAMPLES].percent : 0,
        .multiprocessors = H100_PROCESSORS,
        .compute_major = H100_MAJOR,
        .compute_minor = H100_MINOR,
    };

    (void)str_format(row.name, sizeof(row.name), "%s", board->name);
    (void)str_format(row.uuid, sizeof(row.uuid), "%s", board->uuid);
    (void)str_format(row.bus_id, sizeof(row.bus_id), "%s", board->bus_id);
    (void)str_format(row.driver_version, sizeof(row.driver_version), "%s", BOARD_DRIVER);
    memcpy(row.uuid_bytes, board->uuid_bytes, sizeof(row.uuid_bytes));
    add_row(rows, &row, sizeof(row));
}

struct processes {
    struct wire_process list[PROCESSES_MAX];
    uint64_t busy_ns[PROCESSES_MAX]; /* over the last second */
    uint32_t count;
};

/* The place of a pid's row, made if need be; the last place of all when the table is full. */
static uint32_t find_process(struct processes *processes, uint32_t pid)
{
    uint32_t i;

    for (i = 0; i < processes->count; i++) {
        if (processes->list[i].pid == pid)
            return i;
    }
    if (i == PROCESSES_MAX)
        return i - 1;
    processes->list[i] = (struct wire_process){.pid = pid};
    processes->busy_ns[i] = 0;
    processes->count++;
    return i;
}

static void collect_processes(struct processes *processes, const struct board *board)
{
    processes->count = 0;
    LIST_EACH(node, &board->storages)
    {
        const struct storage *storage = CONTAINER_OF(node, struct storage, node);

        processes->list[find_process(processes, storage->pid)].memory_bytes += storage->bytes;
    }
    LIST_EACH(node, &board->gpu.groups)
    {
        const struct gpu_group *group = CONTAINER_OF(node, struct gpu_group, node);
        uint32_t i = find_process(processes, group->identity.pid);

        processes->list[i].is_compute = 1;
        processes->busy_ns[i] +=
            group->busy_samples_ns[0] - group->busy_samples_ns[GPU_BUSY_SAMPLES - 1];
    }
}

static void add_samples(struct rows *rows, const struct board *board, uint64_t since_us)
{
    uint64_t first = board->sample_count > BOARD_SAMPLES ? board->sample_count - BOARD_SAMPLES : 0;

    for (uint64_t i = first; i < board->sample_count; i++) {
        const struct board_sample *sample = &board->samples[i % BOARD_SAMPLES];
        struct wire_sample row = {
            .time_us = board_clock_ns(board, sample->time_ns) / NS_PER_US,
            .percent = sample->percent,
        };

        if (row.time_us > since_us)
            add_row(rows, &row, sizeof(row));
    }
}

static void add_utilisations(struct rows *rows, const struct processes *processes, uint64_t now_us)
{
    for (uint32_t i = 0; i < processes->count; i++) {
        uint64_t percent = (processes->busy_ns[i] + NS_PER_PERCENT / 2) / NS_PER_PERCENT;
        struct wire_sample row = {
            .time_us = now_us,
            .percent = (uint32_t)(percent > 100 ? 100 : percent),
            .pid = processes->list[i].pid,
        };

        if (processes->list[i].is_compute)
            add_row(rows, &row, sizeof(row));
    }
}

static int add_rows(struct machine *machine, const struct wire_request *request, struct rows *rows)
{
    static struct processes processes; /* too big for the stack; the server is one thread */
    const struct board *board = machine_board(machine, request->index);
    uint64_t sampled_us;

    if (request->query == WIRE_QUERY_GPUS || request->query == WIRE_QUERY_NVML_GPUS) {
        for (uint32_t i = 0; i < MACHINE_BOARDS_MAX; i++) {
            if (machine_board(machine, i))
                add_gpu(rows, machine_board(machine, i));
        }
        return 0;
    }
    if (!board || board->is_lost)
        return board ? EIO : ENODEV;
    switch (request->query) {
    case WIRE_QUERY_PROCESSES:
        collect_processes(&processes, board);
        for (uint32_t i = 0; i < processes.count; i++)
            add_row(rows, &processes.list[i], sizeof(processes.list[i]));
        return 0;
    case WIRE_QUERY_SAMPLES:
        add_samples(rows, board, request->since_us);
        return 0;
    case WIRE_QUERY_UTILISATIONS:
        collect_processes(&processes, board);
        sampled_us = board_clock_ns(board, board->gpu.next_sample_ns - GPU_SAMPLE_NS) / NS_PER_US;
        if (sampled_us > request->since_us)
            add_utilisations(rows, &processes, sampled_us);
        return 0;
    default:
        return EINVAL;
    }
}

void service_answer(struct machine *machine, const struct wire_request *request,
                    struct wire_reply *reply, void *bytes, size_t size)
{
    struct rows rows = {.bytes = bytes, .size = size};

    if (machine->faults.no_nvml && request->query != WIRE_QUERY_GPUS) {
        reply->error = ENODEV;
        return;
    }
    reply->error = (uint32_t)add_rows(machine, request, &rows);
    reply->count = rows.count;
    reply->args_bytes = (uint32_t)rows.used;
}
