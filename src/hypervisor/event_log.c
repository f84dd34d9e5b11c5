#include "hypervisor/event_log.h"

#include "utils/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

/* More events than that happen in no millisecond, on average over a daemon's life. */
#define NUMBERS_PER_MS 1024

struct event_log {
    pthread_mutex_t lock;
    uint64_t start; /* the number before the first event */
    uint64_t last;  /* the newest event's number */
    void (*listener)(void *context);
    void *listener_context;
    struct event events[EVENT_LOG_LENGTH]; /* event n lies at n % EVENT_LOG_LENGTH */
};

static void lock(struct event_log *log)
{
    (void)pthread_mutex_lock(&log->lock); /* fails for misuse only */
}

static void unlock(struct event_log *log)
{
    (void)pthread_mutex_unlock(&log->lock);
}

int event_log_new(struct event_log **ret_log, uint64_t start_unix_ms, struct err *err)
{
    struct event_log *log = calloc(1, sizeof(*log));

    if (!log)
        return err_set(err, ENOMEM, "allocate the event log");
    log->start = log->last = start_unix_ms * NUMBERS_PER_MS;
    (void)pthread_mutex_init(&log->lock, NULL); /* cannot fail without attributes */
    *ret_log = log;
    return 0;
}

void event_log_free(struct event_log *log)
{
    if (!log)
        return;
    (void)pthread_mutex_destroy(&log->lock);
    free(log);
}

void event_log_add(struct event_log *log, const struct event *event)
{
    void (*listener)(void *context);
    void *context;
    struct event *place;

    lock(log);
    place = &log->events[++log->last % EVENT_LOG_LENGTH];
    *place = *event;
    place->number = log->last;
    place->unix_ms = clock_unix_ms();
    listener = log->listener;
    context = log->listener_context;
    unlock(log);
    if (listener)
        listener(context);
}

void event_log_listen(struct event_log *log, void (*listener)(void *context), void *context)
{
    lock(log);
    log->listener = listener;
    log->listener_context = context;
    unlock(log);
}

/* With the lock held. */
static uint64_t before_oldest(const struct event_log *log)
{
    return log->last - log->start > EVENT_LOG_LENGTH ? log->last - EVENT_LOG_LENGTH : log->start;
}

int event_log_read(struct event_log *log, uint64_t after, struct event *ret_events, size_t max)
{
    int count = 0;

    lock(log);
    if (after < before_oldest(log))
        count = -ESTALE;
    else
        while (after < log->last && (size_t)count < max)
            ret_events[count++] = log->events[++after % EVENT_LOG_LENGTH];
    unlock(log);
    return count;
}

uint64_t event_log_last(struct event_log *log)
{
    uint64_t last;

    lock(log);
    last = log->last;
    unlock(log);
    return last;
}

uint64_t event_log_before(struct event_log *log)
{
    uint64_t before;

    lock(log);
    before = before_oldest(log);
    unlock(log);
    return before;
}

const char *event_kind_word(enum event_kind kind)
{
    static const char *const words[] = {
        [EVENT_TENANT_CREATED] = "tenant-created",
        [EVENT_TENANT_CHANGED] = "tenant-changed",
        [EVENT_TENANT_ENDED] = "tenant-ended",
        [EVENT_TENANT_SUSPENDED] = "tenant-suspended",
        [EVENT_TENANT_RESUMED] = "tenant-resumed",
        [EVENT_TENANT_QUEUED] = "tenant-queued",
        [EVENT_TENANT_REFUSED] = "tenant-refused",
        [EVENT_SUPERVISOR_LOST] = "supervisor-lost",
        [EVENT_SUPERVISOR_STARTED] = "supervisor-started",
        [EVENT_PROCESS_JOINED] = "process-joined",
        [EVENT_PROCESS_LEFT] = "process-left",
        [EVENT_FOREIGN_FOUND] = "foreign-found",
        [EVENT_FOREIGN_STOPPED] = "foreign-stopped",
        [EVENT_FOREIGN_GONE] = "foreign-gone",
        [EVENT_GPU_LOST] = "gpu-lost",
        [EVENT_GPU_BACK] = "gpu-back",
        [EVENT_FAULT_BEGAN] = "fault-began",
        [EVENT_FAULT_ENDED] = "fault-ended",
        [EVENT_CONFIGURATION_LOADED] = "configuration-loaded",
    };

    return (unsigned int)kind < EVENT_KIND_END ? words[kind] : "unknown";
}
