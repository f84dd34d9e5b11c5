#pragma once
/*
 * telemetry - NVML, found by dlopen: names, and what it measures. Every function but open and close
 * accepts NULL (no NVML here) and then says -ENOTSUP. `index` counts as NVML does. Not for several
 * threads at a time.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define TELEMETRY_UNKNOWN UINT64_MAX /* what NVML does not tell */

struct telemetry;

/* What one card measures of itself; each field is TELEMETRY_UNKNOWN where NVML does not tell it. */
struct telemetry_card {
    uint64_t memory_bytes;      /* of the card */
    uint64_t memory_used_bytes; /* by all processes; older drivers add what they keep themselves */
    uint64_t busy_percent, memory_busy_percent; /* of the driver's last sample period */
    uint64_t temperature_celsius, power_milliwatts;
    uint64_t graphics_clock_mhz, sm_clock_mhz, memory_clock_mhz, video_clock_mhz;
    uint64_t pcie_receive_kib_per_s, pcie_transmit_kib_per_s;
};

struct telemetry_process {
    pid_t pid;             /* as NVML sees it: 0 where it has none in our pid namespace */
    bool is_compute;       /* false: it only draws */
    uint64_t memory_bytes; /* TELEMETRY_UNKNOWN: not told */
};

/*
 * -ENOTSUP with words where there is no library, no function of those needed, or no driver behind
 * it.
 */
int telemetry_open(struct telemetry **ret_telemetry, struct err *err) MUST_CHECK;
void telemetry_close(struct telemetry *telemetry);

uint32_t telemetry_count(const struct telemetry *telemetry);
const char *telemetry_driver_version(const struct telemetry *telemetry);

/* NVML's index of the GPU with this UUID, or -ENODEV. */
int telemetry_find(struct telemetry *telemetry, const char *uuid) MUST_CHECK;

/* The product's name, borrowed; "GPU" where it is not told. */
const char *telemetry_name(const struct telemetry *telemetry, uint32_t index);

int telemetry_process_memory(struct telemetry *telemetry, uint32_t index, pid_t pid,
                             uint64_t *ret_bytes) MUST_CHECK;
int telemetry_utilisation(struct telemetry *telemetry, uint32_t index, uint32_t *ret_percent,
                          uint64_t *ret_stamp) MUST_CHECK;

/* "GPU-..."; false: not told (`ret_uuid` is untouched). */
bool telemetry_uuid(struct telemetry *telemetry, uint32_t index, char *ret_uuid,
                    size_t size) MUST_CHECK;

/*
 * Everything that the card tells of itself. Takes 40 ms and more, as NVML measures PCIe for 20 ms
 * each way: never on a loop. What one function cannot tell leaves the rest as it is. Errors:
 *
 *   -ENODEV   the GPU is lost: it was there when NVML was opened, or NVML said so already then
 *   -ESTALE   NVML has to be opened anew: the driver was unloaded or replaced
 *   -ENOTSUP  NVML knows of no such GPU
 */
int telemetry_read_card(struct telemetry *telemetry, uint32_t index,
                        struct telemetry_card *ret_card) MUST_CHECK;

/*
 * Who uses the card, each pid once: with compute contexts, as a client of MPS, or for drawing.
 * Errors as above, and -ENOSPC: there are more than `max`, or than NVML could tell.
 */
int telemetry_processes(struct telemetry *telemetry, uint32_t index,
                        struct telemetry_process *ret_processes, size_t max,
                        size_t *ret_count) MUST_CHECK;
