#include "supervisor/observer.h"

#include "supervisor/gpus.h"
#include "utils/clock.h"
#include "utils/log.h"
#include "utils/str.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#define POLL_NS     (100 * NS_PER_MS)
#define INTEREST_NS NS_PER_SEC
#define RETRY_NS    (10 * NS_PER_SEC)

struct reading {
    char uuid[48];
    uint64_t wanted_until_ns;
    uint64_t stamp;
    uint32_t percent;
};

struct observer {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_stopping;
    struct reading readings[GPUS_MAX];
    uint32_t count;
    struct gpus *gpus; /* the thread's own */
    uint64_t retry_ns;
};

static struct gpus *open_gpus(struct observer *observer, uint64_t now_ns)
{
    struct err err;

    if (observer->gpus || now_ns < observer->retry_ns)
        return observer->gpus;
    observer->retry_ns = now_ns + RETRY_NS;
    if (gpus_open(&observer->gpus, &err) < 0) {
        log_debug("observer: %s", err.text);
        return NULL;
    }
    if (gpus_load_nvml(observer->gpus, &err) < 0) {
        log_debug("observer: %s", err.text);
        gpus_close(observer->gpus);
        observer->gpus = NULL;
    }
    return observer->gpus;
}

static bool read_one(struct gpus *gpus, const char *uuid, uint32_t *ret_percent,
                     uint64_t *ret_stamp)
{
    for (uint32_t i = 0; i < gpus_count(gpus); i++)
        if (str_equals(gpus_card(gpus, i)->uuid, uuid))
            return gpus_utilisation(gpus, i, ret_percent, ret_stamp) == 0;
    return false;
}

/* Called with the lock held, which NVML's calls do not keep. */
static bool refresh(struct observer *observer, uint32_t i, uint64_t now_ns)
{
    struct reading reading = observer->readings[i];
    struct gpus *gpus;

    if (now_ns > reading.wanted_until_ns)
        return false;
    (void)pthread_mutex_unlock(&observer->lock);
    gpus = open_gpus(observer, now_ns);
    if (!gpus || !read_one(gpus, reading.uuid, &reading.percent, &reading.stamp))
        reading.percent = UINT32_MAX;
    (void)pthread_mutex_lock(&observer->lock);
    observer->readings[i].percent = reading.percent;
    observer->readings[i].stamp = reading.stamp;
    return true;
}

static void wait_for_interest(struct observer *observer, bool is_wanted)
{
    uint64_t next_ns = clock_now_ns() + POLL_NS;
    struct timespec next = {.tv_sec = (time_t)(next_ns / NS_PER_SEC),
                            .tv_nsec = (long)(next_ns % NS_PER_SEC)};

    if (is_wanted)
        (void)pthread_cond_timedwait(&observer->changed, &observer->lock, &next);
    else
        (void)pthread_cond_wait(&observer->changed, &observer->lock);
}

static void *run(void *argument)
{
    struct observer *observer = argument;

    (void)pthread_mutex_lock(&observer->lock);
    while (!observer->is_stopping) {
        bool is_wanted = false;

        for (uint32_t i = 0; i < observer->count; i++)
            is_wanted |= refresh(observer, i, clock_now_ns());
        if (!observer->is_stopping)
            wait_for_interest(observer, is_wanted);
    }
    (void)pthread_mutex_unlock(&observer->lock);
    return NULL;
}

int observer_new(struct observer **ret_observer, struct err *err)
{
    struct observer *observer = calloc(1, sizeof(*observer));
    pthread_condattr_t attributes;
    int rc;

    if (!observer)
        return err_set(err, ENOMEM, "allocate the observer");
    (void)pthread_mutex_init(&observer->lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&observer->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    rc = pthread_create(&observer->thread, NULL, run, observer);
    if (rc) {
        free(observer);
        return err_set(err, rc, "start the observer");
    }
    *ret_observer = observer;
    return 0;
}

void observer_free(struct observer *observer)
{
    if (!observer)
        return;
    (void)pthread_mutex_lock(&observer->lock);
    observer->is_stopping = true;
    (void)pthread_cond_broadcast(&observer->changed);
    (void)pthread_mutex_unlock(&observer->lock);
    (void)pthread_join(observer->thread, NULL);
    gpus_close(observer->gpus);
    (void)pthread_cond_destroy(&observer->changed);
    (void)pthread_mutex_destroy(&observer->lock);
    free(observer);
}

static struct reading *find_or_add(struct observer *observer, const char *uuid)
{
    struct reading *reading;

    for (uint32_t i = 0; i < observer->count; i++)
        if (str_equals(observer->readings[i].uuid, uuid))
            return &observer->readings[i];
    if (observer->count == GPUS_MAX)
        return NULL;
    reading = &observer->readings[observer->count++];
    reading->percent = UINT32_MAX;
    (void)str_format(reading->uuid, sizeof(reading->uuid), "%s", uuid); /* both hold a UUID */
    return reading;
}

uint32_t observer_read(struct observer *observer, const char *uuid, uint64_t *ret_stamp)
{
    uint64_t now_ns = clock_now_ns();
    uint32_t percent = UINT32_MAX;
    struct reading *reading;

    (void)pthread_mutex_lock(&observer->lock);
    reading = find_or_add(observer, uuid);
    *ret_stamp = reading ? reading->stamp : 0;
    if (reading) {
        percent = reading->percent;
        if (now_ns > reading->wanted_until_ns)
            (void)pthread_cond_signal(&observer->changed);
        reading->wanted_until_ns = now_ns + INTEREST_NS;
    }
    (void)pthread_mutex_unlock(&observer->lock);
    return percent;
}
