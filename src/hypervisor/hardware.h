#pragma once
/*
 * hardware - what NVML says of the cards, read by a thread of its own, because NVML takes 40 ms a
 * card, and for ever with one that hangs. Whoever shows it reads the newest reading, and sees by
 * its stamp whether the thread gets on. What was not told is unknown, never 0.
 */
#include "ipc/region.h"
#include "supervisor/telemetry.h"
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define HARDWARE_PROCESSES_MAX 512 /* of one card */

struct hardware_gpu {
    char uuid[48]; /* "GPU-..." */
    char model[64];
    uint32_t nvml_index;        /* newest */
    bool is_lost;               /* it was there, and does not answer */
    struct telemetry_card card; /* TELEMETRY_UNKNOWN all of it while it is lost or without NVML */
    bool has_processes;         /* false: who uses it is not known now, or they are too many */
    uint32_t process_count;
    struct telemetry_process processes[HARDWARE_PROCESSES_MAX];
};

/* 200 KiB: not for the stack. Cards keep their places for as long as the daemon lives. */
struct hardware_reading {
    uint64_t sequence;    /* raised with each; 0: none yet */
    uint64_t taken_ns;    /* CLOCK_MONOTONIC, when it was complete; before the first: the start's */
    uint64_t interval_ns; /* between two of them */
    bool has_nvml;        /* false: no library, or no driver behind it */
    char driver_version[32]; /* empty: not known */
    uint32_t gpu_count;
    struct hardware_gpu gpus[REGION_GPUS_MAX];
};

struct hardware_options {
    uint64_t interval_ns; /* 0: a second */
    uint64_t retry_ns;    /* until NVML is opened again that is not there; 0: ten seconds */
};

struct hardware;

/* Starts the thread; NVML is opened there. -ENOMEM, -EAGAIN with words. NULL options: all 0. */
int hardware_new(struct hardware **ret_hardware, const struct hardware_options *options,
                 struct err *err) MUST_CHECK;

/* Waits for the thread for at most two seconds; one that hangs in NVML frees it if it returns. */
void hardware_free(struct hardware *hardware);

/* Copies the newest one. Any thread, never blocks for long. */
void hardware_read(struct hardware *hardware, struct hardware_reading *ret_reading);

/* NULL where there is none with this UUID. */
const struct hardware_gpu *hardware_find(const struct hardware_reading *reading, const char *uuid);

/* Whether the thread has not got on for longer than opening NVML and reading cards can take. */
bool hardware_is_stale(const struct hardware_reading *reading, uint64_t now_ns);

/*
 * What these processes (in ascending order) have of a card's memory in all, as NVML says; TELEMETRY_UNKNOWN where that
 * of one of them is not known.
 */
uint64_t hardware_sum_memory(const struct hardware_gpu *gpu, const int32_t *pids, size_t count);
