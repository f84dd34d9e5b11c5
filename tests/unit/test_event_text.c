#include "tests/harness.h"

#include "cli/event_reader.h"
#include "cli/event_text.h"
#include "utils/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static char line[1024];
static struct err err;

static int write_event(const char *name, const char *data, bool as_json)
{
    struct event_reader_event event = {.id = "1", .name = name, .data = data};
    struct str text;

    str_init(&text, line, sizeof(line));
    setenv("TZ", "UTC", 1);
    return event_text_write(&event, as_json, &text, &err);
}

TEST(an_event_is_a_line)
{
    CHECK_OK(write_event("tenant-created",
                         "{\"number\":1,\"unix_ms\":1700000000123,\"kind\":\"tenant-created\","
                         "\"tenant\":\"a\",\"pid\":null,\"text\":\"it was made\"}",
                         false),
             &err);
    CHECK_STR_EQ(line, "2023-11-14 22:13:20  tenant-created        a                     it was "
                       "made\n");
}

TEST(what_an_event_lacks_is_a_dash)
{
    CHECK_OK(write_event("gpu-lost", "{\"text\":\"gone\",\"tenant\":null}", false), &err);
    CHECK_STR_EQ(line, "-                    gpu-lost              -                     gone\n");
}

TEST(a_process_stands_behind_its_tenant)
{
    CHECK_OK(write_event("process-joined", "{\"tenant\":\"a\",\"pid\":42,\"text\":\"x\"}", false),
             &err);
    CHECK(strstr(line, "  a[42]  "));
}

TEST(nothing_reaches_the_terminal_that_moves_its_cursor)
{
    CHECK_OK(write_event("x\033[2J", "{\"tenant\":\"\\u001b[1m\",\"text\":\"a\\nb\\u009b\\u202e\"}",
                         false),
             &err);
    CHECK(strstr(line, "x?[2J"));
    CHECK(strstr(line, "?[1m"));
    CHECK(strstr(line, "a?b??\n"));
}

TEST(a_sample_names_tenants_with_what_they_use)
{
    CHECK_OK(write_event("sample",
                         "{\"unix_ms\":0,\"tenants\":[{\"name\":\"a\",\"gpus\":[{"
                         "\"compute_used_percent\":29.94},{\"compute_used_percent\":null}]},"
                         "{\"name\":\"b\"}]}",
                         false),
             &err);
    CHECK_STR_EQ(line, "1970-01-01 00:00:00  sample  a 29.9%/-  b\n");
}

TEST(json_is_one_line_with_its_kind)
{
    CHECK_OK(write_event("sample", "{ \"unix_ms\":\n 5 }", true), &err);
    CHECK_STR_EQ(line, "{\"unix_ms\":5,\"kind\":\"sample\"}\n");
    CHECK_OK(write_event("x", "{\"kind\":\"y\"}", true), &err);
    CHECK_STR_EQ(line, "{\"kind\":\"y\"}\n");
}

TEST(what_is_no_object_is_refused)
{
    CHECK_EQ(write_event("x", "", false), -EPROTO);
    CHECK_EQ(write_event("x", "[1]", false), -EPROTO);
    CHECK_EQ(write_event("x", "{} {}", true), -EPROTO);
    CHECK_EQ(write_event("x", "{\"a\":1,\"a\":2}", true), -EPROTO);
}
