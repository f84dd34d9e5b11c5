#pragma once
/*
 * fake_nvml - an NVML that says what the test tells it to. The linker has dlopen and its like
 * arrive here (--wrap).
 */
#include "abi/nvml.h"

#include <stdatomic.h>
#include <stdbool.h>

#define FAKE_NVML_GRAPHICS_MAX 4

struct fake_nvml {
    bool is_absent;
    bool is_old;         /* it has the functions of driver 510 and no more */
    const char *missing; /* a function that it lacks */
    nvmlReturn_t start, answer;
    const char *failing; /* a function that answers `failure`, or with a * those that begin so */
    nvmlReturn_t failure;
    int failing_device;     /* ... of this one alone, where it is asked of a device; -1: of all */
    const char *uuids[2];   /* where not NULL: of the first devices */
    unsigned int lost_mask; /* of devices whose handle cannot be had */
    unsigned int device_count, process_count, sample_count;
    nvmlValueType_t type;
    unsigned int percent;
    unsigned long long newest_us, bytes;
    nvmlProcessInfo_t graphics[FAKE_NVML_GRAPHICS_MAX];
    unsigned int graphics_count;
    bool is_endless;                           /* strings are filled to their end */
    _Atomic bool is_stuck;                     /* rates are not told until it is over */
    _Atomic int rates_count, closed_count;     /* how often rates were asked for; it was closed */
    int open_count, start_count, opened_count; /* open now, started now, ever opened */
};

extern struct fake_nvml fake_nvml;

/* Three devices, GPU-a and GPU-b with one that is lost between them; pids 100 and 101. */
void fake_nvml_prepare(void);
