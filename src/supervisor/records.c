#include "supervisor/records.h"

#include <stddef.h>
#include <string.h>

/* The driver may write this pid with time 0 for a context torn down: its time means nothing. */
#define PID_INVALID UINT32_MAX

void records_init(struct records *records)
{
    memset(records, 0, sizeof(*records));
}

const struct records_process *records_find(const struct records *records, pid_t pid)
{
    for (uint32_t i = 0; i < records->process_count; i++)
        if (records->processes[i].is_used && records->processes[i].pid == pid)
            return &records->processes[i];
    return NULL;
}

static struct records_process *find_or_add(struct records *records, pid_t pid)
{
    struct records_process *hole = NULL;

    for (uint32_t i = 0; i < records->process_count; i++) {
        struct records_process *process = &records->processes[i];

        if (process->is_used && process->pid == pid)
            return process;
        if (!process->is_used && !hole)
            hole = process;
    }
    if (!hole && records->process_count < RECORDS_PROCESSES_MAX)
        hole = &records->processes[records->process_count++];
    if (hole)
        *hole = (struct records_process){.pid = pid, .is_used = true};
    return hole;
}

static void drop_open_intervals(struct records *records)
{
    for (uint32_t i = 0; i < records->process_count; i++)
        records->processes[i].is_on_engine = false;
}

void records_lose(struct records *records, uint64_t count)
{
    if (!count)
        return;
    records->lost_count += count;
    records->has_sequence = false;
    drop_open_intervals(records); /* invariant 1 */
}

static void check_sequence(struct records *records, uint16_t sequence)
{
    if (records->has_sequence && sequence != records->next_sequence)
        records_lose(records, (uint16_t)(sequence - records->next_sequence));
    records->has_sequence = true;
    records->next_sequence = (uint16_t)(sequence + 1);
}

static void take_start(struct records_process *process, const struct rm_switch_record *record)
{
    process->is_on_engine = true;
    process->context = record->context;
    process->since_gpu_ns = record->time_ns;
}

static void take_end(struct records_process *process, const struct rm_switch_record *record)
{
    if (!process->is_on_engine)
        process->last_end_gpu_ns = record->time_ns;
    if (!process->is_on_engine || record->time_ns < process->since_gpu_ns)
        return;
    process->closed_ns += record->time_ns - process->since_gpu_ns;
    process->interval_count++;
    process->is_on_engine = false;
    process->last_end_gpu_ns = record->time_ns;
}

void records_take(struct records *records, const struct rm_switch_record *record)
{
    struct records_process *process;

    check_sequence(records, record->sequence);
    if (record->tag != RM_RECORD_START && record->tag != RM_RECORD_END)
        return;
    if (record->pid == PID_INVALID || !record->time_ns)
        return;
    process = find_or_add(records, (pid_t)record->pid);
    if (!process)
        return;
    if (record->time_ns > records->newest_gpu_ns)
        records->newest_gpu_ns = record->time_ns;
    if (record->tag == RM_RECORD_START)
        take_start(process, record);
    else
        take_end(process, record);
}

void records_forget(struct records *records, pid_t pid)
{
    for (uint32_t i = 0; i < records->process_count; i++)
        if (records->processes[i].is_used && records->processes[i].pid == pid)
            records->processes[i].is_used = false;
}
