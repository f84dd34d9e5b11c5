#pragma once
/*
 * event_log - what has happened: a ring of the newest events with rising numbers, written by the
 * loop, read by any number of readers, each at its own pace. A reader that falls behind the ring is
 * told so and is to be sent away: nobody waits for it.
 *
 * The numbers begin with the instant of the log's start: those of a daemon before are smaller, so
 * that its readers are told of a gap instead of being given others' numbers again. They stay exact
 * in a double (below 2^53) until the year 2248.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stddef.h>
#include <stdint.h>

#define EVENT_LOG_LENGTH 1024 /* events kept */

enum event_kind {
    EVENT_TENANT_CREATED,
    EVENT_TENANT_CHANGED, /* limits, priority, weight */
    EVENT_TENANT_ENDED,
    EVENT_TENANT_SUSPENDED,
    EVENT_TENANT_RESUMED,
    EVENT_TENANT_QUEUED,
    EVENT_TENANT_REFUSED,
    EVENT_SUPERVISOR_LOST,
    EVENT_SUPERVISOR_STARTED, /* another one, for a tenant that was there */
    EVENT_PROCESS_JOINED,
    EVENT_PROCESS_LEFT,
    EVENT_FOREIGN_FOUND,   /* a process that uses a GPU and belongs to no tenant */
    EVENT_FOREIGN_STOPPED, /* asked to end or killed, by the policy */
    EVENT_FOREIGN_GONE,
    EVENT_GPU_LOST,
    EVENT_GPU_BACK,
    EVENT_FAULT_BEGAN, /* of /healthz */
    EVENT_FAULT_ENDED,
    EVENT_CONFIGURATION_LOADED,
    EVENT_KIND_END
};

struct event {
    uint64_t number;  /* the one before and 1; of this daemon */
    uint64_t unix_ms; /* for people */
    enum event_kind kind;
    char tenant[64]; /* empty: of none */
    int32_t pid;     /* 0: of no process */
    char text[160];  /* one sentence */
};

struct event_log;

/* The first event's number is 1 + 1024 * start_unix_ms; 0 for tests: 1. */
int event_log_new(struct event_log **ret_log, uint64_t start_unix_ms, struct err *err) MUST_CHECK;
void event_log_free(struct event_log *log);

/* Adds one (number and unix_ms are filled in) and calls the listener, if there is one. */
void event_log_add(struct event_log *log, const struct event *event);

/* Who wants to hear of each (on the adder's thread, without a lock): one listener; NULL: none. */
void event_log_listen(struct event_log *log, void (*listener)(void *context), void *context);

/*
 * The events after number `after`, at most `max`; returns how many. -ESTALE: some of them are not
 * there any more.
 */
int event_log_read(struct event_log *log, uint64_t after, struct event *ret_events,
                   size_t max) MUST_CHECK;
/* The newest number; the one before the first: none yet. */
uint64_t event_log_last(struct event_log *log);
/* The number before the oldest event that is kept: after it there is all. */
uint64_t event_log_before(struct event_log *log);

/* "tenant-created", ... */
const char *event_kind_word(enum event_kind kind);
