#include "hypervisor/legacy_stream.h"

#include "hypervisor/json_value.h"
#include "utils/clock.h"
#include "utils/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LINE_SIZE 512 /* a task is half of that, as all of its parts are bounded */

struct legacy_stream {
    struct http_stream stream; /* first: the server knows it by this */
    struct legacy_tasks *tasks;
    struct legacy_stream_key key;
    bool has_begun;         /* the first words are on their way */
    bool is_over;           /* ends after what is pending */
    uint64_t keep_alive_ns; /* the instant */
    char line[LINE_SIZE];   /* what is pending */
    size_t pending_length, pending_sent;
};

static void say(struct legacy_stream *stream, const char *before, const char *text)
{
    struct str str;

    str_init(&str, stream->line, sizeof(stream->line));
    str_add(&str, "%s%s\n\n", before, text);
    stream->pending_length = str.length;
    stream->pending_sent = 0;
}

static bool take_task(struct legacy_stream *stream)
{
    CLEANUP_FREE char *text = NULL;
    struct legacy_task task;
    json_t *json;
    int rc = legacy_tasks_take(stream->tasks, &stream->key, clock_unix_ms(), &task);

    stream->is_over = rc < 0;
    if (rc <= 0)
        return false;
    json = legacy_tasks_json(&task, stream->key.pid);
    text = json ? json_value_write(json) : NULL;
    json_decref(json);
    /* No memory: the client comes again, and is given then what it has not answered. */
    stream->is_over = !text;
    if (text)
        say(stream, "data: ", text);
    return text;
}

/* Makes the next piece pending; false: there is none now. */
static bool take_next(struct legacy_stream *stream, uint64_t now_ns)
{
    if (stream->is_over)
        return false;
    if (!stream->has_begun) {
        stream->has_begun = true;
        say(stream, ": ", "listening");
        return true;
    }
    if (take_task(stream))
        return true;
    if (stream->is_over || now_ns < stream->keep_alive_ns)
        return false;
    say(stream, ": ", "keep-alive");
    return true;
}

static bool is_pending(const struct legacy_stream *stream)
{
    return stream->pending_sent < stream->pending_length;
}

static size_t give(struct legacy_stream *stream, char *buffer, size_t size)
{
    size_t left = stream->pending_length - stream->pending_sent;
    size_t given = left < size ? left : size;

    memcpy(buffer, stream->line + stream->pending_sent, given);
    stream->pending_sent += given;
    return given;
}

ssize_t legacy_stream_read(struct http_stream *base, char *buffer, size_t size, uint64_t now_ns,
                           uint64_t *ret_wake_ns)
{
    struct legacy_stream *stream = CONTAINER_OF(base, struct legacy_stream, stream);
    size_t given = 0;

    while (given < size && (is_pending(stream) || take_next(stream, now_ns))) {
        given += give(stream, buffer + given, size - given);
        stream->keep_alive_ns = now_ns + LEGACY_STREAM_KEEP_ALIVE_NS;
    }
    if (given)
        return (ssize_t)given;
    if (stream->is_over)
        return -1;
    *ret_wake_ns = stream->keep_alive_ns;
    return 0;
}

static ssize_t read_now(struct http_stream *stream, char *buffer, size_t size,
                        uint64_t *ret_wake_ns)
{
    return legacy_stream_read(stream, buffer, size, clock_now_ns(), ret_wake_ns);
}

static void release(struct http_stream *base)
{
    free(CONTAINER_OF(base, struct legacy_stream, stream));
}

int legacy_stream_new(struct http_stream **ret_stream, struct legacy_tasks *tasks,
                      const struct legacy_stream_key *key, struct err *err)
{
    struct legacy_stream *stream = calloc(1, sizeof(*stream));

    if (!stream)
        return err_set(err, ENOMEM, "allocate a stream of tasks");
    stream->stream = (struct http_stream){read_now, release};
    stream->tasks = tasks;
    stream->key = *key;
    *ret_stream = &stream->stream;
    return 0;
}
