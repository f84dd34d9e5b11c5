#pragma once
/*
 * telemetry - NVML, found by dlopen: names, and what it measures. Every function but open and close
 * accepts NULL (no NVML here) and then says -ENOTSUP. `index` counts as NVML does.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stdint.h>
#include <sys/types.h>

struct telemetry;

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
