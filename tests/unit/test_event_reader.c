#include "tests/harness.h"

#include "cli/event_reader.h"
#include "utils/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct {
    struct event_reader stream;
    char got[512]; /* id|name|data; */
    struct err err;
} at;

static int take(void *context, const struct event_reader_event *event, struct err *err)
{
    struct str *got = context;

    str_add(got, "%s|%s|%s;", event->id, event->name, event->data);
    return str_equals(event->name, "refuse") ? err_set(err, EPIPE, "refused") : 0;
}

static int feed_in_steps(const char *text, size_t length, size_t step)
{
    struct str got;
    int rc = 0;

    str_init(&got, at.got, sizeof(at.got));
    event_reader_init(&at.stream, take, &got);
    for (size_t i = 0; !rc && i < length; i += step)
        rc =
            event_reader_feed(&at.stream, text + i, step < length - i ? step : length - i, &at.err);
    event_reader_fini(&at.stream);
    return rc;
}

static void check_events(const char *text, const char *wanted)
{
    for (size_t step = 1; step < 8; step++) {
        CHECK_OK(feed_in_steps(text, strlen(text), step), &at.err);
        CHECK_STR_EQ(at.got, wanted);
    }
}

TEST(an_event_has_id_name_and_data)
{
    check_events("id: 7\nevent: tenant-created\ndata: {}\n\n", "7|tenant-created|{};");
    check_events("data:a\n\n", "|message|a;");
}

TEST(lines_end_in_any_of_three_ways)
{
    check_events("data: a\r\n\r\ndata: b\r\rdata: c\n\n", "|message|a;|message|b;|message|c;");
}

TEST(lines_of_data_are_one_text)
{
    check_events("data: a\ndata:\ndata:  b\n\n", "|message|a\n\n b;");
    check_events("data\n\n", "|message|;");
}

TEST(the_id_stays_and_the_name_does_not)
{
    check_events("id: 1\nevent: x\ndata: a\n\ndata: b\n\n", "1|x|a;1|message|b;");
}

TEST(what_is_no_event_is_passed_over)
{
    check_events(": keep-alive\n\nretry: 100\n\nevent: lonely\n\nother: x\ndata: a\n\n",
                 "|message|a;");
    check_events("data: not ended\n", "");
}

TEST(a_new_connection_forgets_half_an_event_but_not_the_id)
{
    struct str got;

    str_init(&got, at.got, sizeof(at.got));
    event_reader_init(&at.stream, take, &got);
    CHECK_OK(event_reader_feed(&at.stream, "id: 5\ndata: x\n\nevent: e\ndata: y\nda", 34, &at.err),
             &at.err);
    event_reader_restart(&at.stream);
    CHECK_OK(event_reader_feed(&at.stream, "data: z\n\n", 9, &at.err), &at.err);
    CHECK_STR_EQ(at.got, "5|message|x;5|message|z;");
    event_reader_fini(&at.stream);
}

TEST(an_id_counts_with_its_event_s_end)
{
    static const char cut[] = "id: 5\ndata: x\n\nid: 6\nevent: e\ndata: y\n";
    struct str got;

    str_init(&got, at.got, sizeof(at.got));
    event_reader_init(&at.stream, take, &got);
    CHECK_OK(event_reader_feed(&at.stream, cut, sizeof(cut) - 1, &at.err), &at.err);
    CHECK_STR_EQ(at.stream.id, "5"); /* what a new connection asks by */
    event_reader_restart(&at.stream);
    CHECK_OK(event_reader_feed(&at.stream, "data: z\n\nid: 6\n\n", 16, &at.err), &at.err);
    CHECK_STR_EQ(at.got, "5|message|x;5|message|z;");
    CHECK_STR_EQ(at.stream.id, "6"); /* an event without data still has an end */
    event_reader_fini(&at.stream);
}

TEST(zero_bytes_and_endless_lines_are_refused)
{
    static char line[EVENT_READER_DATA_MAX + 16];

    CHECK_EQ(feed_in_steps("data: \0\n\n", 9, 9), -EPROTO);
    memset(line, 'x', sizeof(line));
    CHECK_EQ(feed_in_steps(line, sizeof(line), 65536), -EPROTO);
    CHECK_EQ(feed_in_steps(line, EVENT_READER_DATA_MAX - 1, 65536), 0);
}

TEST(data_of_many_lines_is_bounded)
{
    struct str got;
    int rc = 0;

    str_init(&got, at.got, sizeof(at.got));
    event_reader_init(&at.stream, take, &got);
    for (size_t i = 0; !rc && i < EVENT_READER_DATA_MAX; i++)
        rc = event_reader_feed(&at.stream, "data: xxxxxxxxxxxxxxx\n", 22, &at.err);
    CHECK_EQ(rc, -EPROTO);
    event_reader_fini(&at.stream);
}

TEST(an_id_or_name_that_is_too_long_is_refused)
{
    char line[128];

    (void)str_format(line, sizeof(line), "id: %0*d\n", EVENT_READER_NAME_MAX, 7);
    CHECK_EQ(feed_in_steps(line, strlen(line), 128), -EPROTO);
    (void)str_format(line, sizeof(line), "event: %0*d\n", EVENT_READER_NAME_MAX, 7);
    CHECK_EQ(feed_in_steps(line, strlen(line), 128), -EPROTO);
}

TEST(the_sink_s_refusal_ends_the_reading)
{
    static const char text[] = "event: refuse\ndata: a\n\ndata: b\n\n";

    CHECK_EQ(feed_in_steps(text, sizeof(text) - 1, 4), -EPIPE);
    CHECK_STR_EQ(at.got, "|refuse|a;");
}
