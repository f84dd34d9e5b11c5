#pragma once
/*
 * event_reader - takes a text/event-stream apart as it comes in: events with their id, name and
 * data. Bounded: a line or an event that is too long is an error.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>
#include <stddef.h>

#define EVENT_READER_DATA_MAX ((size_t)1 << 20) /* bytes of an event's data, and of a line */
#define EVENT_READER_NAME_MAX 64

struct event_reader_event {
    const char *id;   /* of this event, or the newest before it; "" where there was none */
    const char *name; /* "message" where it has none */
    const char *data; /* NUL-terminated; valid during the call */
};

/* Returns 0, or a negative errno (with words in err) that ends the reading. */
typedef int event_reader_sink(void *context, const struct event_reader_event *event,
                              struct err *err);

struct event_reader {
    event_reader_sink *sink;
    void *context;
    char id[EVENT_READER_NAME_MAX];      /* of the newest event that was given on whole */
    char next_id[EVENT_READER_NAME_MAX]; /* of the one that comes; becomes `id` with its end */
    char name[EVENT_READER_NAME_MAX];
    char *line, *data; /* owned */
    size_t line_length, line_size, data_length, data_size;
    bool has_data, was_return; /* the last byte was CR */
};

void event_reader_init(struct event_reader *stream, event_reader_sink *sink, void *context);
void event_reader_fini(struct event_reader *stream);

/* Forgets an event that was not complete, as a new connection needs; keeps the id. */
void event_reader_restart(struct event_reader *stream);

/* -EPROTO, -ENOMEM with words, or what the sink returned. */
int event_reader_feed(struct event_reader *stream, const char *bytes, size_t size,
                      struct err *err) MUST_CHECK;
