#include "hypervisor/event_stream.h"

#include "hypervisor/api_json.h"
#include "hypervisor/backend.h"
#include "hypervisor/event_log.h"
#include "hypervisor/json_value.h"
#include "hypervisor/snapshot.h"
#include "utils/atomics.h"
#include "utils/clock.h"
#include "utils/list.h"
#include "utils/parse.h"
#include "utils/str.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* An event's texts with each character escaped, and the rest of it. */
#define LINE_SIZE 2048

/* A sample's text, for all readers that want it. */
struct sample {
    _Atomic uint32_t references; /* relaxed up, ordered down */
    uint64_t sequence;           /* of the snapshot */
    size_t length;
    char text[];
};

struct event_hub {
    const struct backend *backend;
    pthread_mutex_t lock; /* guards the newest sample and the readers */
    struct sample *sample;
    struct list readers; /* all streams */
};

struct event_stream {
    struct http_stream stream; /* first: the server knows it by this */
    struct event_hub *hub;
    struct list node; /* of the hub's */
    bool is_operator;
    char peer[64];
    uint64_t after;   /* the last event's number that was taken from the log */
    bool has_begun;   /* the first words are on their way */
    bool is_ending;   /* ends after what is pending */
    bool is_too_slow; /* and for that reason */
    bool is_finite;
    uint64_t last;                             /* the one that a finite stream ends with */
    uint64_t sample_period_ns, next_sample_ns; /* 0: no samples; 0: at once */
    uint64_t last_sequence;                    /* of the snapshot that was sent */
    uint64_t keep_alive_ns;                    /* the instant */
    /* What is pending: a line of our own, or a shared sample. */
    char line[LINE_SIZE];
    struct sample *sample;
    size_t pending_length, pending_sent;
};

int event_hub_new(struct event_hub **ret_hub, const struct backend *backend, struct err *err)
{
    struct event_hub *hub = calloc(1, sizeof(*hub));

    if (!hub)
        return err_set(err, ENOMEM, "allocate the event hub");
    hub->backend = backend;
    list_init(&hub->readers);
    (void)pthread_mutex_init(&hub->lock, NULL); /* cannot fail without attributes */
    *ret_hub = hub;
    return 0;
}

static void release_sample(struct sample *sample)
{
    /* Ordered: other holders are done with it before it is freed. */
    if (sample && sub_ordered(&sample->references, 1) == 1)
        free(sample);
}

void event_hub_free(struct event_hub *hub)
{
    if (!hub)
        return;
    release_sample(hub->sample);
    (void)pthread_mutex_destroy(&hub->lock);
    free(hub);
}

static struct sample *new_sample(const struct snapshot *snapshot)
{
    static const char begin[] = "event: sample\ndata: ", end[] = "\n\n";
    json_t *json = api_json_sample(snapshot);
    CLEANUP_FREE char *text = json_value_write(json);
    size_t length = text ? strlen(text) : 0;
    size_t size = strlen(begin) + length + sizeof(end);
    struct sample *sample = text ? calloc(1, sizeof(*sample) + size) : NULL;

    json_decref(json);
    if (!sample)
        return NULL;
    store_relaxed(&sample->references, 1);
    sample->sequence = snapshot->sequence;
    sample->length = size - 1;
    (void)str_format(sample->text, size, "%s%s%s", begin, text, end); /* fits: just counted */
    return sample;
}

/* A reference to the newest snapshot's sample; NULL: no memory. */
static struct sample *get_sample(struct event_hub *hub)
{
    struct snapshot *snapshot = hub->backend->get_snapshot(hub->backend->context);
    struct sample *sample;

    (void)pthread_mutex_lock(&hub->lock); /* these two fail for misuse only */
    if (!hub->sample || hub->sample->sequence != snapshot->sequence) {
        release_sample(hub->sample);
        hub->sample = new_sample(snapshot);
    }
    sample = hub->sample;
    if (sample)
        (void)add_relaxed(&sample->references, 1);
    (void)pthread_mutex_unlock(&hub->lock);
    snapshot_release(snapshot);
    return sample;
}

static void say(struct event_stream *stream, const char *format, ...) PRINTF_LIKE(2, 3);
static void say(struct event_stream *stream, const char *format, ...)
{
    struct str str;
    va_list args;

    str_init(&str, stream->line, sizeof(stream->line));
    va_start(args, format);
    str_add_list(&str, format, args);
    va_end(args);
    stream->pending_length = str.length;
    stream->pending_sent = 0;
}

/* From where a new reader reads on: not from what is lost, or belongs to another daemon. */
static void begin(struct event_stream *stream, uint64_t now_ns)
{
    struct event_log *events = stream->hub->backend->events;
    uint64_t oldest = event_log_before(events);
    uint64_t last = event_log_last(events);

    stream->has_begun = true;
    stream->keep_alive_ns = now_ns + EVENT_STREAM_KEEP_ALIVE_NS;
    /* Who asks from number 0 on wants what there is, and has lost nothing. */
    if (!stream->after)
        stream->after = oldest;
    if (stream->after >= oldest && stream->after <= last) {
        say(stream, "retry: 2000\n\n");
        return;
    }
    say(stream, ": gap: number %llu is not known here any more\nretry: 2000\n\n",
        (unsigned long long)stream->after);
    stream->after = oldest;
}

/*
 * Events were lost before they were read. A reader that follows is sent away, so that it notices;
 * one that wants what there is gets what is left of it.
 */
static void tell_loss(struct event_stream *stream)
{
    if (stream->is_finite) {
        say(stream, ": gap: events after %llu are lost\n\n", (unsigned long long)stream->after);
        stream->after = event_log_before(stream->hub->backend->events);
        return;
    }
    say(stream, ": gap: you were too slow, events after %llu are lost\n\n",
        (unsigned long long)stream->after);
    stream->is_ending = true;
    stream->is_too_slow = true;
}

static bool take_event(struct event_stream *stream)
{
    struct event event;
    CLEANUP_FREE char *text = NULL;
    json_t *json;
    int got = event_log_read(stream->hub->backend->events, stream->after, &event, 1);

    if (got == -ESTALE) {
        tell_loss(stream);
        return true;
    }
    if (got <= 0)
        return false;
    json = api_json_event(&event);
    text = json_value_write(json);
    json_decref(json);
    if (!text) /* no memory: again, with the next wake */
        return false;
    stream->after = event.number;
    say(stream, "id: %llu\nevent: %s\ndata: %s\n\n", (unsigned long long)event.number,
        event_kind_word(event.kind), text);
    return true;
}

static bool take_sample(struct event_stream *stream, uint64_t now_ns)
{
    struct sample *sample;

    if (!stream->sample_period_ns || now_ns < stream->next_sample_ns)
        return false;
    /* At the reader's pace, without making up for what was not taken in time. */
    stream->next_sample_ns = now_ns + stream->sample_period_ns;
    sample = get_sample(stream->hub);
    if (!sample || sample->sequence == stream->last_sequence) {
        release_sample(sample);
        return false;
    }
    stream->last_sequence = sample->sequence;
    stream->sample = sample;
    stream->pending_length = sample->length;
    stream->pending_sent = 0;
    return true;
}

/* Makes the next piece pending; false: there is none now. */
static bool take_next(struct event_stream *stream, uint64_t now_ns)
{
    if (stream->is_ending)
        return false;
    if (!stream->has_begun) {
        begin(stream, now_ns);
        return true;
    }
    if (stream->is_finite && stream->after >= stream->last) {
        stream->is_ending = true;
        return false;
    }
    if (take_event(stream) || take_sample(stream, now_ns))
        return true;
    if (now_ns < stream->keep_alive_ns)
        return false;
    say(stream, ": keep-alive\n\n");
    stream->keep_alive_ns = now_ns + EVENT_STREAM_KEEP_ALIVE_NS;
    return true;
}

static bool is_pending(const struct event_stream *stream)
{
    return stream->pending_sent < stream->pending_length;
}

static size_t give(struct event_stream *stream, char *buffer, size_t size)
{
    const char *text = stream->sample ? stream->sample->text : stream->line;
    size_t left = stream->pending_length - stream->pending_sent;
    size_t given = left < size ? left : size;

    memcpy(buffer, text + stream->pending_sent, given);
    stream->pending_sent += given;
    if (stream->pending_sent == stream->pending_length) {
        release_sample(stream->sample);
        stream->sample = NULL;
    }
    return given;
}

ssize_t event_stream_read(struct http_stream *base, char *buffer, size_t size, uint64_t now_ns,
                          uint64_t *ret_wake_ns)
{
    struct event_stream *stream = CONTAINER_OF(base, struct event_stream, stream);
    size_t given = 0;

    /* As much as fits: a burst of events is few writes. */
    while (given < size && (is_pending(stream) || take_next(stream, now_ns)))
        given += give(stream, buffer + given, size - given);
    if (given) {
        stream->keep_alive_ns = now_ns + EVENT_STREAM_KEEP_ALIVE_NS;
        return (ssize_t)given;
    }
    if (stream->is_ending)
        return stream->is_too_slow ? HTTP_STREAM_DROPPED : HTTP_STREAM_END;
    *ret_wake_ns = stream->keep_alive_ns;
    if (stream->sample_period_ns && stream->next_sample_ns < *ret_wake_ns)
        *ret_wake_ns = stream->next_sample_ns;
    return 0;
}

static ssize_t read_now(struct http_stream *stream, char *buffer, size_t size,
                        uint64_t *ret_wake_ns)
{
    return event_stream_read(stream, buffer, size, clock_now_ns(), ret_wake_ns);
}

static void release(struct http_stream *base)
{
    struct event_stream *stream = CONTAINER_OF(base, struct event_stream, stream);

    (void)pthread_mutex_lock(&stream->hub->lock); /* these two fail for misuse only */
    list_remove(&stream->node);
    (void)pthread_mutex_unlock(&stream->hub->lock);
    release_sample(stream->sample);
    free(stream);
}

/* Takes it in, where there is room for it. */
static int join(struct event_hub *hub, struct event_stream *stream, struct err *err)
{
    uint32_t all = 0, others = 0, alike = 0;
    int rc = 0;

    (void)pthread_mutex_lock(&hub->lock); /* these two fail for misuse only */
    LIST_EACH(node, &hub->readers)
    {
        const struct event_stream *each = CONTAINER_OF(node, struct event_stream, node);

        all++;
        others += !each->is_operator;
        alike += !each->is_operator && str_equals(each->peer, stream->peer);
    }
    if (!stream->is_operator && alike >= EVENT_STREAM_PEER_MAX)
        rc = err_say(err, EAGAIN, "%s has %u readers already", stream->peer, alike);
    else if (all >= EVENT_STREAM_READERS_MAX ||
             (!stream->is_operator && others >= EVENT_STREAM_READERS_MAX - EVENT_STREAM_OPERATORS))
        rc = err_say(err, EAGAIN, "there are %u readers already", all);
    else
        list_append(&hub->readers, &stream->node);
    (void)pthread_mutex_unlock(&hub->lock);
    return rc;
}

int event_stream_new(struct http_stream **ret_stream, struct event_hub *hub,
                     const struct event_stream_start *start, struct err *err)
{
    struct event_stream *stream = calloc(1, sizeof(*stream));
    int rc;

    if (!stream)
        return err_set(err, ENOMEM, "allocate an event stream");
    stream->is_operator = start->is_operator;
    (void)str_format(stream->peer, sizeof(stream->peer), "%s", start->peer); /* the same size */
    rc = join(hub, stream, err);
    if (rc < 0) {
        free(stream);
        return rc;
    }
    stream->stream = (struct http_stream){read_now, release};
    stream->hub = hub;
    stream->last = event_log_last(hub->backend->events);
    stream->after = start->has_after ? start->after : stream->last;
    stream->is_finite = start->is_finite;
    stream->sample_period_ns = start->sample_period_ns;
    *ret_stream = &stream->stream;
    return 0;
}

/* 0.1 to 10, as a period. */
static int parse_pace(uint64_t *ret_period_ns, const char *text, struct err *err)
{
    uint64_t billionths;

    /* A number of times a second and one of seconds are written alike. */
    if (parse_seconds(&billionths, text, err) < 0)
        return err_say(err, EINVAL, "samples_hz: '%s' is no number", text);
    if (billionths < NS_PER_SEC / 10 || billionths > 10 * NS_PER_SEC)
        return err_say(err, ERANGE, "samples_hz: '%s' is not between 0.1 and 10", text);
    *ret_period_ns = NS_PER_SEC * 1000 / (billionths / NS_PER_MS);
    return 0;
}

static int parse_follow(bool *ret_is_finite, const char *text, struct err *err)
{
    if (!str_equals(text, "true") && !str_equals(text, "false"))
        return err_say(err, EINVAL, "follow: '%s' is neither true nor false", text);
    *ret_is_finite = str_equals(text, "false");
    return 0;
}

int event_stream_parse(struct event_stream_start *ret_start, const struct event_stream_words *words,
                       struct err *err)
{
    struct event_stream_start start = {0};
    const char *number = words->last_event_id ? words->last_event_id : words->after;
    int rc = words->follow ? parse_follow(&start.is_finite, words->follow, err) : 0;

    if (rc == 0 && words->samples_hz)
        rc = parse_pace(&start.sample_period_ns, words->samples_hz, err);
    if (rc < 0)
        return rc;
    if (number && parse_u64(&start.after, number, 0, UINT64_MAX, err) < 0)
        return err_wrap(err, words->last_event_id ? "Last-Event-ID" : "after");
    start.has_after = number || start.is_finite;
    *ret_start = start;
    return 0;
}
