#include "hypervisor/legacy_stream.h"

#include "tests/harness.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KEEP_ALIVE LEGACY_STREAM_KEEP_ALIVE_NS

static struct {
    struct legacy_tasks *tasks;
    struct legacy_stream_key key;
    struct http_stream *stream;
    char text[4096];
    uint64_t wake_ns;
} fixture;

static void begin(void)
{
    struct err err;

    CHECK_OK(legacy_tasks_new(&fixture.tasks, &err), &err);
    CHECK_OK(legacy_tasks_open(fixture.tasks, 5, 1, &fixture.key, &err), &err);
    CHECK_OK(legacy_stream_new(&fixture.stream, fixture.tasks, &fixture.key, &err), &err);
}

static void end(void)
{
    fixture.stream->release(fixture.stream);
    legacy_tasks_free(fixture.tasks);
}

static void add(uint64_t command_id)
{
    struct legacy_task task = {.command_id = command_id, .kind = LEGACY_SUSPEND};

    CHECK_EQ(legacy_tasks_add(fixture.tasks, 5, &task, NULL), 0);
}

/* What one read brings, at most `size` bytes. */
static ssize_t take(size_t size, uint64_t now_ns)
{
    ssize_t got = legacy_stream_read(fixture.stream, fixture.text, size, now_ns, &fixture.wake_ns);

    fixture.text[got > 0 ? got : 0] = '\0';
    return got;
}

static size_t count(const char *word)
{
    size_t found = 0;

    for (const char *at = fixture.text; (at = strstr(at, word)); at++)
        found++;
    return found;
}

TEST(a_stream_begins_with_a_comment_and_has_each_task_once)
{
    begin();
    CHECK(take(4095, 1) > 0);
    CHECK_STR_EQ(fixture.text, ": listening\n\n");
    CHECK_EQ(take(4095, 2), 0);
    add(7);
    add(8);
    CHECK(take(4095, 3) > 0);
    CHECK(strncmp(fixture.text, "data: {\"id\":\"", 13) == 0);
    CHECK_EQ(count("data: "), 2);
    CHECK_EQ(count("\"data\":{\"id\":7,\"kind\":\"Suspend\"},\"state\":\"Processing\""), 1);
    CHECK_EQ(count("}\n\n"), 2);
    CHECK_EQ(take(4095, 4), 0);
    end();
}

TEST(a_task_comes_in_as_small_pieces_as_the_reader_wants)
{
    char whole[4096] = "";
    size_t length = 0;
    ssize_t got;

    begin();
    add(7);
    for (; (got = take(3, 1)) > 0; length += (size_t)got)
        memcpy(whole + length, fixture.text, (size_t)got);
    CHECK(strncmp(whole, ": listening\n\ndata: {\"id\":\"", 26) == 0);
    CHECK_STR_EQ(whole + strlen(whole) - 3, "}\n\n");
    end();
}

TEST(a_comment_comes_where_nothing_else_has_for_fifteen_seconds)
{
    begin();
    CHECK(take(4095, 10) > 0);
    CHECK_EQ(take(4095, 11), 0);
    CHECK_EQ(fixture.wake_ns, 10 + KEEP_ALIVE);
    add(1);
    CHECK(take(4095, 10 + KEEP_ALIVE - 1) > 0);
    CHECK_EQ(take(4095, 10 + KEEP_ALIVE), 0);
    CHECK_EQ(fixture.wake_ns, 9 + 2 * KEEP_ALIVE);
    CHECK(take(4095, 9 + 2 * KEEP_ALIVE) > 0);
    CHECK_STR_EQ(fixture.text, ": keep-alive\n\n");
    CHECK_EQ(take(4095, 9 + 2 * KEEP_ALIVE), 0);
    CHECK_EQ(fixture.wake_ns, 9 + 3 * KEEP_ALIVE);
    end();
}

TEST(a_stream_ends_with_its_process)
{
    struct snapshot *empty = snapshot_new(0);

    begin();
    CHECK(take(4095, 1) > 0);
    add(1);
    legacy_tasks_prune(fixture.tasks, empty);
    CHECK_EQ(take(4095, 2), -1);
    CHECK_EQ(take(4095, 3), -1);
    end();
    snapshot_release(empty);
}

TEST(a_stream_ends_where_the_process_opens_another_which_has_what_was_not_answered)
{
    struct http_stream *first;
    struct err err;

    begin();
    add(9);
    CHECK(take(4095, 1) > 0);
    first = fixture.stream;
    CHECK_OK(legacy_tasks_open(fixture.tasks, 5, 1, &fixture.key, &err), &err);
    CHECK_OK(legacy_stream_new(&fixture.stream, fixture.tasks, &fixture.key, &err), &err);
    CHECK_EQ(legacy_stream_read(first, fixture.text, 4095, 2, &fixture.wake_ns), -1);
    first->release(first);
    CHECK(take(4095, 3) > 0);
    CHECK_EQ(count("\"data\":{\"id\":9,"), 1);
    end();
}
