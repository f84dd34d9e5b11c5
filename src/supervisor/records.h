#pragma once
/*
 * records - sums of engine time per process out of the GPU's context-switch records: arithmetic on
 * records that somebody else fetched.
 *
 * A start record opens an interval of a context, its end record closes it. An end without a start
 * (the context was there before us) counts nothing: what cannot be known is not guessed. After a
 * gap in the sequence every open interval is dropped and the next starts count again (invariant 1:
 * no interval spans a hole). Times are the GPU's clock.
 */
#include "abi/rm.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define RECORDS_PROCESSES_MAX 1024

struct records_process {
    pid_t pid;
    bool is_used; /* this entry of the table */
    bool is_on_engine;
    uint32_t context;         /* of the open interval */
    uint64_t since_gpu_ns;    /* its begin */
    uint64_t last_end_gpu_ns; /* 0: none yet */
    uint64_t closed_ns;
    uint64_t interval_count;
};

struct records {
    struct records_process processes[RECORDS_PROCESSES_MAX];
    uint32_t process_count; /* entries looked at; holes are reused */
    bool has_sequence;
    uint16_t next_sequence;
    uint64_t lost_count;    /* records missed, as far as the sequence tells */
    uint64_t newest_gpu_ns; /* time of the newest record; 0: none yet */
};

void records_init(struct records *records);

/* Takes in one record; what is not a start or an end only moves the sequence. */
void records_take(struct records *records, const struct rm_switch_record *record);

/* Says that `count` records were overwritten before they were read. */
void records_lose(struct records *records, uint64_t count);

/* NULL for a process that never was on the engine. */
const struct records_process *records_find(const struct records *records, pid_t pid);
void records_forget(struct records *records, pid_t pid);
