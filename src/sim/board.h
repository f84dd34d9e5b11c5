#pragma once
/*
 * board - one simulated GPU with all that is on its card: the model, the log of context switches,
 * the video memory, the clock, and what NVML knows of it.
 */
#include "sim/gpu.h"
#include "sim/switchlog.h"
#include "utils/attr.h"

#include <stdbool.h>
#include <stdint.h>

#define BOARD_SAMPLES 120 /* 24 seconds of utilisation */
#define BOARD_DRIVER  "580.159.04"

struct board_sample {
    uint64_t time_ns; /* CLOCK_MONOTONIC */
    uint32_t percent;
};

struct board {
    uint32_t index; /* also the minor */
    uint32_t gpu_id;
    bool is_lost;
    struct gpu gpu;
    struct switchlog records;

    uint64_t memory_bytes;   /* of the card */
    uint64_t reserved_bytes; /* by the driver */
    uint64_t used_bytes;
    struct list storages; /* video memory, of struct storage */

    uint64_t clock_base_ns, clock_base_unix_ns, drift_ppb;

    struct board_sample samples[BOARD_SAMPLES];
    uint64_t sample_count;

    char name[96], uuid[48], bus_id[32];
    uint8_t uuid_bytes[16];
};

struct board_options {
    uint32_t index;
    uint64_t memory_bytes;
    const char *name;
    uint64_t now_ns, now_unix_ns;
};

/* NULL without memory. */
struct board *board_new(const struct board_options *options) MUST_CHECK;
void board_free(struct board *board);

/* The GPU's own clock: Unix time at the start, some 17 us a second faster than the host's. */
uint64_t board_clock_ns(const struct board *board, uint64_t now_ns);
void board_lose(struct board *board);
/* It answers again; whoever calls has freed all that was on it. */
void board_return(struct board *board);
