#include "hypervisor/event_stream.h"

#include "hypervisor/backend.h"
#include "hypervisor/event_log.h"
#include "hypervisor/snapshot.h"
#include "tests/harness.h"
#include "utils/clock.h"
#include "utils/str.h"

#include <errno.h>
#include <string.h>

static struct {
    struct backend backend;
    struct snapshot *snapshot;
    struct event_hub *hub;
    struct http_stream *stream;
    char text[400000];
    uint64_t wake_ns;
} fixture;

static struct snapshot *get_snapshot(void *context)
{
    return snapshot_hold(fixture.snapshot);
}

static void begin(void)
{
    struct err err;

    fixture.backend.get_snapshot = get_snapshot;
    fixture.snapshot = snapshot_new(0);
    fixture.snapshot->sequence = 1;
    CHECK_OK(event_log_new(&fixture.backend.events, 0, &err), &err);
    CHECK_OK(event_hub_new(&fixture.hub, &fixture.backend, &err), &err);
}

static void subscribe_by(const struct event_stream_words *words)
{
    struct event_stream_start start;
    struct err err;

    CHECK_OK(event_stream_parse(&start, words, &err), &err);
    CHECK_OK(event_stream_new(&fixture.stream, fixture.hub, &start, &err), &err);
}

static void subscribe(const char *after, const char *samples_hz)
{
    subscribe_by(&(struct event_stream_words){.after = after, .samples_hz = samples_hz});
}

static void end(void)
{
    fixture.stream->release(fixture.stream);
    event_hub_free(fixture.hub);
    event_log_free(fixture.backend.events);
    snapshot_release(fixture.snapshot);
}

static void add(uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        event_log_add(fixture.backend.events, &(struct event){.kind = EVENT_GPU_LOST, .text = "x"});
}

/* All that there is at the instant, in pieces of `size`; returns what the last read said. */
static ssize_t read_all(uint64_t now_ns, size_t size)
{
    size_t length = 0;
    ssize_t got;

    while ((got = event_stream_read(fixture.stream, fixture.text + length, size, now_ns,
                                    &fixture.wake_ns)) > 0)
        length += (size_t)got;
    fixture.text[length] = '\0';
    return got;
}

static size_t count_of(const char *words)
{
    size_t count = 0;

    for (const char *found = fixture.text; (found = strstr(found, words)); found++)
        count++;
    return count;
}

TEST(a_reader_begins_with_now_or_where_it_says)
{
    begin();
    add(2);
    subscribe(NULL, NULL);
    CHECK_EQ(read_all(5, 4096), 0);
    CHECK_STR_EQ(fixture.text, "retry: 2000\n\n");
    CHECK_EQ(fixture.wake_ns, 5 + EVENT_STREAM_KEEP_ALIVE_NS);
    add(1);
    CHECK_EQ(read_all(6, 4096), 0);
    CHECK(str_starts_with(fixture.text, "id: 3\nevent: gpu-lost\ndata: {\"number\":3,"));
    fixture.stream->release(fixture.stream);
    subscribe("1", NULL);
    CHECK_EQ(read_all(5, 4096), 0);
    CHECK_EQ(count_of("id: "), 2);
    CHECK(strstr(fixture.text, "id: 2\n") != NULL);
    end();
}

TEST(pieces_may_be_of_any_size)
{
    char whole[4096];

    begin();
    add(3);
    subscribe("0", NULL);
    CHECK_EQ(read_all(5, 4096), 0);
    (void)str_format(whole, sizeof(whole), "%s", fixture.text);
    fixture.stream->release(fixture.stream);
    subscribe("0", NULL);
    CHECK_EQ(read_all(5, 1), 0);
    CHECK_STR_EQ(fixture.text, whole);
    end();
}

TEST(who_comes_too_late_is_told_of_the_gap)
{
    begin();
    add(EVENT_LOG_LENGTH + 10);
    subscribe("1", NULL);
    CHECK_EQ(read_all(5, 4096), 0);
    CHECK(str_starts_with(fixture.text, ": gap"));
    CHECK_EQ(count_of("\nid: "), EVENT_LOG_LENGTH);
    CHECK(strstr(fixture.text, "\nid: 11\n") != NULL);
    end();
}

TEST(numbers_of_another_daemon_are_a_gap_too)
{
    begin();
    add(2);
    subscribe("77", NULL);
    CHECK_EQ(read_all(5, 4096), 0);
    CHECK(str_starts_with(fixture.text, ": gap"));
    CHECK_EQ(count_of("\nid: "), 2);
    end();
}

TEST(so_are_smaller_ones_of_a_daemon_before)
{
    struct err err;

    begin();
    event_log_free(fixture.backend.events);
    CHECK_OK(event_log_new(&fixture.backend.events, 5, &err), &err);
    subscribe("77", NULL);
    add(2);
    CHECK_EQ(read_all(5, 4096), 0);
    CHECK(str_starts_with(fixture.text, ": gap: number 77 is not known here any more\n"));
    CHECK_EQ(count_of("\nid: "), 2);
    CHECK_EQ(count_of("\nid: 5121\n"), 1);
    end();
}

TEST(who_reads_too_slowly_is_sent_away)
{
    begin();
    subscribe("0", NULL);
    CHECK_EQ(read_all(5, 4096), 0);
    add(EVENT_LOG_LENGTH + 1);
    CHECK_EQ(read_all(6, 4096), HTTP_STREAM_DROPPED);
    CHECK(str_starts_with(fixture.text, ": gap: you were too slow, events after 0 are lost\n\n"));
    CHECK_EQ(count_of("id: "), 0);
    end();
}

TEST(who_asks_from_0_on_gets_what_there_is_and_has_lost_nothing)
{
    begin();
    add(EVENT_LOG_LENGTH + 10);
    subscribe("0", NULL);
    CHECK_EQ(read_all(5, 4096), 0);
    CHECK(str_starts_with(fixture.text, "retry: 2000\n\nid: 11\n"));
    CHECK_EQ(count_of("\nid: "), EVENT_LOG_LENGTH);
    CHECK_EQ(count_of("gap"), 0);
    end();
}

TEST(one_that_does_not_follow_ends_with_the_newest_event_of_its_begin)
{
    begin();
    add(3);
    subscribe_by(&(struct event_stream_words){.follow = "false"});
    add(2);
    CHECK_EQ(read_all(5, 4096), HTTP_STREAM_END);
    CHECK_EQ(count_of("\nid: "), 3);
    fixture.stream->release(fixture.stream);
    subscribe_by(&(struct event_stream_words){.follow = "false", .last_event_id = "4"});
    CHECK_EQ(read_all(5, 1), HTTP_STREAM_END);
    CHECK_EQ(count_of("\nid: "), 1);
    fixture.stream->release(fixture.stream);
    subscribe_by(&(struct event_stream_words){.follow = "false", .after = "5"});
    CHECK_EQ(read_all(5, 4096), HTTP_STREAM_END);
    CHECK_STR_EQ(fixture.text, "retry: 2000\n\n");
    /* Of a daemon before: all that there is. */
    fixture.stream->release(fixture.stream);
    subscribe_by(&(struct event_stream_words){.follow = "false", .after = "77"});
    CHECK_EQ(read_all(5, 4096), HTTP_STREAM_END);
    CHECK(str_starts_with(fixture.text, ": gap"));
    CHECK_EQ(count_of("\nid: "), 5);
    end();
}

TEST(one_that_does_not_follow_ends_at_once_where_there_is_nothing)
{
    begin();
    subscribe_by(&(struct event_stream_words){.follow = "false", .samples_hz = "1"});
    CHECK_EQ(read_all(5, 4096), HTTP_STREAM_END);
    CHECK_STR_EQ(fixture.text, "retry: 2000\n\n");
    end();
}

TEST(one_that_does_not_follow_gets_what_is_left_of_it)
{
    begin();
    add(EVENT_LOG_LENGTH);
    subscribe_by(&(struct event_stream_words){.follow = "false"});
    /* It has begun, and taken one. */
    CHECK_EQ(event_stream_read(fixture.stream, fixture.text, 40, 5, &fixture.wake_ns), 40);
    add(4);
    CHECK_EQ(read_all(5, 4096), HTTP_STREAM_END);
    CHECK_EQ(count_of(": gap: events after 1 are lost\n\nid: 5\n"), 1);
    CHECK_EQ(count_of("\nid: "), EVENT_LOG_LENGTH - 4);
    fixture.stream->release(fixture.stream);
    /* Or nothing is left. */
    subscribe_by(&(struct event_stream_words){.follow = "false"});
    CHECK_EQ(event_stream_read(fixture.stream, fixture.text, 40, 5, &fixture.wake_ns), 40);
    add(2 * EVENT_LOG_LENGTH);
    CHECK_EQ(read_all(5, 4096), HTTP_STREAM_END);
    CHECK_EQ(count_of("\nid: "), 0);
    CHECK_EQ(count_of("gap"), 1);
    end();
}

TEST(samples_come_at_their_pace_and_once_each)
{
    begin();
    subscribe(NULL, "2");
    CHECK_EQ(read_all(NS_PER_SEC, 4096), 0);
    CHECK_EQ(count_of("event: sample\ndata: {\"unix_ms\":0,\"gpus\":[],\"tenants\":[]}\n\n"), 1);
    CHECK_EQ(fixture.wake_ns, NS_PER_SEC * 3 / 2);
    fixture.snapshot->sequence = 2;
    CHECK_EQ(read_all(NS_PER_SEC * 3 / 2 - 1, 4096), 0);
    CHECK_STR_EQ(fixture.text, "");
    CHECK_EQ(read_all(NS_PER_SEC * 3 / 2, 7), 0);
    CHECK_EQ(count_of("event: sample"), 1);
    CHECK_EQ(read_all(NS_PER_SEC * 2, 4096), 0);
    CHECK_STR_EQ(fixture.text, ""); /* the same snapshot */
    end();
}

TEST(silence_is_broken_by_a_comment)
{
    begin();
    subscribe(NULL, NULL);
    CHECK_EQ(read_all(5, 4096), 0);
    CHECK_EQ(read_all(5 + EVENT_STREAM_KEEP_ALIVE_NS - 1, 4096), 0);
    CHECK_STR_EQ(fixture.text, "");
    CHECK_EQ(read_all(5 + EVENT_STREAM_KEEP_ALIVE_NS, 4096), 0);
    CHECK_STR_EQ(fixture.text, ": keep-alive\n\n");
    CHECK_EQ(fixture.wake_ns, 5 + 2 * EVENT_STREAM_KEEP_ALIVE_NS);
    end();
}

TEST(there_are_so_many_readers_and_no_more)
{
    static struct http_stream *streams[EVENT_STREAM_READERS_MAX];
    struct event_stream_start start = {.is_operator = true};
    struct err err;

    begin();
    for (size_t i = 0; i < EVENT_STREAM_READERS_MAX; i++)
        CHECK_OK(event_stream_new(&streams[i], fixture.hub, &start, &err), &err);
    CHECK_EQ(event_stream_new(&fixture.stream, fixture.hub, &start, &err), -EAGAIN);
    streams[0]->release(streams[0]);
    CHECK_OK(event_stream_new(&fixture.stream, fixture.hub, &start, &err), &err);
    for (size_t i = 1; i < EVENT_STREAM_READERS_MAX; i++)
        streams[i]->release(streams[i]);
    end();
}

TEST(others_leave_room_for_each_other_and_for_operators)
{
    static struct http_stream *streams[EVENT_STREAM_READERS_MAX];
    struct event_stream_start start = {.peer = "user 1"};
    struct err err;
    size_t count = 0;

    begin();
    while (count < EVENT_STREAM_PEER_MAX)
        CHECK_OK(event_stream_new(&streams[count++], fixture.hub, &start, &err), &err);
    CHECK_EQ(event_stream_new(&fixture.stream, fixture.hub, &start, &err), -EAGAIN);
    while (count < EVENT_STREAM_READERS_MAX - EVENT_STREAM_OPERATORS) {
        (void)str_format(start.peer, sizeof(start.peer), "10.0.0.%zu", count);
        CHECK_OK(event_stream_new(&streams[count++], fixture.hub, &start, &err), &err);
    }
    (void)str_format(start.peer, sizeof(start.peer), "another");
    CHECK_EQ(event_stream_new(&fixture.stream, fixture.hub, &start, &err), -EAGAIN);
    start = (struct event_stream_start){.is_operator = true, .peer = "user 1"};
    while (count < EVENT_STREAM_READERS_MAX)
        CHECK_OK(event_stream_new(&streams[count++], fixture.hub, &start, &err), &err);
    count--;
    streams[count]->release(streams[count]);
    CHECK_OK(event_stream_new(&fixture.stream, fixture.hub, &start, &err), &err);
    for (size_t i = 0; i < count; i++)
        streams[i]->release(streams[i]);
    end();
}

static int parse(struct event_stream_start *ret_start, struct event_stream_words words)
{
    return event_stream_parse(ret_start, &words, NULL);
}

#define WORDS(...) ((struct event_stream_words){__VA_ARGS__})

TEST(the_field_wins_over_the_parameter)
{
    struct event_stream_start start;

    CHECK_EQ(parse(&start, WORDS(.after = "3", .samples_hz = "0.1", .last_event_id = "4")), 0);
    CHECK_EQ(start.after, 4);
    CHECK_EQ(start.is_finite, false);
    CHECK_EQ(start.sample_period_ns, 10 * NS_PER_SEC);
    CHECK_EQ(parse(&start, WORDS(.samples_hz = "10", .follow = "true")), 0);
    CHECK_EQ(start.has_after, false);
    CHECK_EQ(start.is_finite, false);
    CHECK_EQ(start.sample_period_ns, NS_PER_SEC / 10);
}

TEST(what_is_no_number_or_word_is_refused)
{
    struct event_stream_start start;

    CHECK_EQ(parse(&start, WORDS(.after = "-1")), -EINVAL);
    CHECK_EQ(parse(&start, WORDS(.samples_hz = "0.09")), -ERANGE);
    CHECK_EQ(parse(&start, WORDS(.samples_hz = "10.1")), -ERANGE);
    CHECK_EQ(parse(&start, WORDS(.samples_hz = "nan")), -EINVAL);
    CHECK_EQ(parse(&start, WORDS(.samples_hz = "")), -EINVAL);
    CHECK_EQ(parse(&start, WORDS(.follow = "")), -EINVAL);
    CHECK_EQ(parse(&start, WORDS(.follow = "yes")), -EINVAL);
}
