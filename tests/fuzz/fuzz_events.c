/*
 * The libFuzzer target of cli/answer_reader, event_reader and event_text: any bytes as the answer
 * of a daemon, once in one piece and once byte by byte, which must come to the same.
 */
#include "cli/event_reader.h"
#include "cli/event_text.h"
#include "cli/answer_reader.h"
#include "utils/str.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct reading {
    struct answer_reader answer;
    struct event_reader stream;
    size_t event_count, body_bytes;
};

static int take_event(void *context, const struct event_reader_event *event, struct err *err)
{
    static char line[TEXT_MAX];
    struct reading *reading = context;
    struct str text;

    reading->event_count++;
    for (int as_json = 0; as_json < 2; as_json++) {
        str_init(&text, line, sizeof(line));
        if (event_text_write(event, as_json, &text, err) == 0 && strchr(line, '\033'))
            abort();
    }
    return 0;
}

static int take_body(void *context, const char *bytes, size_t size, struct err *err)
{
    struct reading *reading = context;

    reading->body_bytes += size;
    return event_reader_feed(&reading->stream, bytes, size, err);
}

static int read_all(struct reading *reading, const char *bytes, size_t size, size_t step)
{
    struct err err = {0};
    int rc = 0;

    memset(reading, 0, sizeof(*reading));
    answer_reader_init(&reading->answer, take_body, reading);
    event_reader_init(&reading->stream, take_event, reading);
    for (size_t at = 0; !rc && at < size; at += step)
        rc = answer_reader_feed(&reading->answer, bytes + at, step < size - at ? step : size - at,
                                &err);
    if (rc < 0 && (err.code != -rc || !err.text[0]))
        abort(); /* a failure without words */
    event_reader_fini(&reading->stream);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct reading whole, bytewise;
    const char *bytes = (const char *)data;
    int rc = read_all(&whole, bytes, size, size ? size : 1);

    if (read_all(&bytewise, bytes, size, 1) != rc || whole.event_count != bytewise.event_count)
        abort();
    if (!rc && whole.answer.state != bytewise.answer.state)
        abort();
    if (whole.body_bytes > size)
        abort();
    return 0;
}
