#include "cli/event_reader.h"

#include "utils/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void event_reader_init(struct event_reader *stream, event_reader_sink *sink, void *context)
{
    *stream = (struct event_reader){.sink = sink, .context = context};
}

void event_reader_fini(struct event_reader *stream)
{
    free(stream->line);
    free(stream->data);
    stream->line = stream->data = NULL;
}

static void forget_event(struct event_reader *stream)
{
    stream->name[0] = '\0';
    stream->data_length = 0;
    stream->has_data = false;
}

void event_reader_restart(struct event_reader *stream)
{
    forget_event(stream);
    memcpy(stream->next_id, stream->id, sizeof(stream->id));
    stream->line_length = 0;
    stream->was_return = false;
}

/* Makes room for `more` bytes and a NUL. */
static int make_room(char **buffer, size_t *size, size_t length, size_t more, struct err *err)
{
    size_t wanted = *size ? *size : 256;
    char *larger;

    if (length + more + 1 <= *size)
        return 0;
    if (length + more + 1 > EVENT_READER_DATA_MAX)
        return err_say(err, EPROTO, "an event is longer than %zu bytes", EVENT_READER_DATA_MAX);
    while (wanted < length + more + 1)
        wanted *= 2;
    larger = realloc(*buffer, wanted);
    if (!larger)
        return err_set(err, ENOMEM, "read an event");
    *buffer = larger;
    *size = wanted;
    return 0;
}

/* Lines of data are put together with line feeds. */
static int add_data(struct event_reader *stream, const char *value, struct err *err)
{
    size_t length = strlen(value);
    int rc = make_room(&stream->data, &stream->data_size, stream->data_length, length + 1, err);

    if (rc < 0)
        return rc;
    if (stream->has_data)
        stream->data[stream->data_length++] = '\n';
    memcpy(stream->data + stream->data_length, value, length + 1);
    stream->data_length += length;
    stream->has_data = true;
    return 0;
}

static int end_event(struct event_reader *stream, struct err *err)
{
    struct event_reader_event event = {.id = stream->next_id,
                                       .name = stream->name[0] ? stream->name : "message",
                                       .data = stream->data};
    int rc = stream->has_data ? stream->sink(stream->context, &event, err) : 0;

    /* Not before: who asks again by the id would miss an event that was cut off. */
    if (!rc)
        memcpy(stream->id, stream->next_id, sizeof(stream->id));
    forget_event(stream);
    return rc;
}

/* An id or name that is too long is none of ours. */
static int keep(char *ret_field, size_t size, const char *value, struct err *err)
{
    if (!str_format(ret_field, size, "%s", value))
        return err_say(err, EPROTO, "an event's id or name is longer than %zu bytes", size - 1);
    return 0;
}

static int end_line(struct event_reader *stream, struct err *err)
{
    char *line = stream->line, *value;

    if (!stream->line_length)
        return end_event(stream, err);
    line[stream->line_length] = '\0';
    stream->line_length = 0;
    value = strchr(line, ':');
    if (value == line)
        return 0; /* a comment: it keeps the connection alive */
    if (value)
        *value++ = '\0';
    else
        value = line + strlen(line);
    if (*value == ' ')
        value++;
    if (str_equals(line, "data"))
        return add_data(stream, value, err);
    if (str_equals(line, "event"))
        return keep(stream->name, sizeof(stream->name), value, err);
    if (str_equals(line, "id"))
        return keep(stream->next_id, sizeof(stream->next_id), value, err);
    return 0; /* `retry`, and what the standard says is to be ignored */
}

static int add_byte(struct event_reader *stream, char c, struct err *err)
{
    bool is_second = c == '\n' && stream->was_return;
    int rc;

    stream->was_return = c == '\r';
    if (is_second)
        return 0;
    if (c == '\n' || c == '\r')
        return end_line(stream, err);
    if (!c)
        return err_say(err, EPROTO, "an event has a zero byte in it");
    rc = make_room(&stream->line, &stream->line_size, stream->line_length, 1, err);
    if (rc < 0)
        return rc;
    stream->line[stream->line_length++] = c;
    return 0;
}

int event_reader_feed(struct event_reader *stream, const char *bytes, size_t size, struct err *err)
{
    for (size_t i = 0; i < size; i++) {
        int rc = add_byte(stream, bytes[i], err);

        if (rc < 0)
            return rc;
    }
    return 0;
}
