#include "hypervisor/hardware.h"

#include "hypervisor/inventory.h"
#include "utils/clock.h"
#include "utils/log.h"
#include "utils/str.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define INTERVAL_NS     NS_PER_SEC
#define RETRY_NS        (10 * NS_PER_SEC)
#define END_NS          (2 * NS_PER_SEC)
#define STALE_NS        (10 * NS_PER_SEC)
#define STALE_FIRST_NS  (60 * NS_PER_SEC) /* opening NVML wakes cards: seconds for each */
#define STALE_INTERVALS 5

struct hardware {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* is_ending, has_ended; on CLOCK_MONOTONIC */
    bool is_ending, has_ended;
    bool is_abandoned;               /* the thread frees it all */
    struct inventory *inventory;     /* the thread's */
    struct hardware_reading working; /* the thread's */
    struct hardware_reading newest;
};

static void lock(struct hardware *hardware)
{
    (void)pthread_mutex_lock(&hardware->lock); /* fails for misuse only */
}

static void unlock(struct hardware *hardware)
{
    (void)pthread_mutex_unlock(&hardware->lock);
}

/* With the lock held: until the instant, or until the flag is set; returns the flag. */
static bool wait_until(struct hardware *hardware, const bool *flag, uint64_t instant_ns)
{
    const struct timespec instant = {.tv_sec = (time_t)(instant_ns / NS_PER_SEC),
                                     .tv_nsec = (long)(instant_ns % NS_PER_SEC)};

    while (!*flag &&
           pthread_cond_timedwait(&hardware->changed, &hardware->lock, &instant) != ETIMEDOUT)
        continue;
    return *flag;
}

static void destroy(struct hardware *hardware)
{
    (void)pthread_cond_destroy(&hardware->changed); /* fail for misuse only */
    (void)pthread_mutex_destroy(&hardware->lock);
    inventory_free(hardware->inventory);
    free(hardware);
}

static void *run(void *context)
{
    struct hardware *hardware = context;
    uint64_t interval_ns = hardware->working.interval_ns;
    uint64_t due_ns = clock_now_ns();
    bool is_abandoned;

    lock(hardware);
    while (!wait_until(hardware, &hardware->is_ending, due_ns)) {
        unlock(hardware);
        inventory_look(hardware->inventory, due_ns, &hardware->working);
        hardware->working.sequence++;
        hardware->working.taken_ns = clock_now_ns();
        /* Cards that take longer than an interval are read without a pause, not twice in a row. */
        due_ns += interval_ns;
        if (due_ns < hardware->working.taken_ns)
            due_ns = hardware->working.taken_ns;
        lock(hardware);
        hardware->newest = hardware->working;
    }
    hardware->has_ended = true;
    is_abandoned = hardware->is_abandoned;
    (void)pthread_cond_broadcast(&hardware->changed); /* cannot fail */
    unlock(hardware);
    if (is_abandoned)
        destroy(hardware);
    return NULL;
}

static int start(struct hardware *hardware, struct err *err)
{
    pthread_condattr_t attributes;
    int rc;

    (void)pthread_mutex_init(&hardware->lock, NULL); /* these cannot fail on Linux */
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&hardware->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    rc = pthread_create(&hardware->thread, NULL, run, hardware);
    if (rc == 0)
        return 0;
    (void)pthread_cond_destroy(&hardware->changed);
    (void)pthread_mutex_destroy(&hardware->lock);
    return err_set(err, rc, "start the thread that reads the GPUs");
}

int hardware_new(struct hardware **ret_hardware, const struct hardware_options *options,
                 struct err *err)
{
    struct hardware *hardware = calloc(1, sizeof(*hardware));
    int rc;

    if (!hardware)
        return err_set(err, ENOMEM, "allocate what the GPUs measure");
    hardware->working.interval_ns =
        options && options->interval_ns ? options->interval_ns : INTERVAL_NS;
    hardware->working.taken_ns = clock_now_ns();
    hardware->newest = hardware->working;
    rc = inventory_new(&hardware->inventory,
                       options && options->retry_ns ? options->retry_ns : RETRY_NS, err);
    if (rc == 0)
        rc = start(hardware, err);
    if (rc < 0) {
        inventory_free(hardware->inventory);
        free(hardware);
        return rc;
    }
    *ret_hardware = hardware;
    return 0;
}

void hardware_free(struct hardware *hardware)
{
    pthread_t thread;
    bool has_ended;

    if (!hardware)
        return;
    lock(hardware);
    hardware->is_ending = true;
    (void)pthread_cond_broadcast(&hardware->changed); /* cannot fail */
    has_ended = wait_until(hardware, &hardware->has_ended, clock_now_ns() + END_NS);
    hardware->is_abandoned = !has_ended;
    thread = hardware->thread;
    unlock(hardware);
    if (!has_ended) {
        log_warn("NVML does not return: leaving the thread that waits for it");
        (void)pthread_detach(thread); /* fails for misuse only */
        return;
    }
    (void)pthread_join(thread, NULL); /* is at its end */
    destroy(hardware);
}

void hardware_read(struct hardware *hardware, struct hardware_reading *ret_reading)
{
    lock(hardware);
    *ret_reading = hardware->newest;
    unlock(hardware);
}

const struct hardware_gpu *hardware_find(const struct hardware_reading *reading, const char *uuid)
{
    for (uint32_t i = 0; i < reading->gpu_count; i++)
        if (str_equals(reading->gpus[i].uuid, uuid))
            return &reading->gpus[i];
    return NULL;
}

bool hardware_is_stale(const struct hardware_reading *reading, uint64_t now_ns)
{
    uint64_t patience_ns =
        reading->sequence == 0 ? STALE_FIRST_NS : STALE_NS + STALE_INTERVALS * reading->interval_ns;

    return now_ns > reading->taken_ns && now_ns - reading->taken_ns > patience_ns;
}

static int compare_pids(const void *a, const void *b)
{
    int32_t left = *(const int32_t *)a, right = *(const int32_t *)b;

    return (left > right) - (left < right);
}

static bool has_pid(const int32_t *pids, size_t count, int32_t pid)
{
    return bsearch(&pid, pids, count, sizeof(pid), compare_pids) != NULL;
}

uint64_t hardware_sum_memory(const struct hardware_gpu *gpu, const int32_t *pids, size_t count)
{
    uint64_t sum_bytes = 0;

    if (!gpu->has_processes)
        return TELEMETRY_UNKNOWN;
    for (uint32_t i = 0; i < gpu->process_count; i++) {
        if (!has_pid(pids, count, gpu->processes[i].pid))
            continue;
        if (gpu->processes[i].memory_bytes == TELEMETRY_UNKNOWN)
            return TELEMETRY_UNKNOWN;
        sum_bytes += gpu->processes[i].memory_bytes;
    }
    return sum_bytes;
}
