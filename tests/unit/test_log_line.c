#include "hypervisor/log_line.h"

#include "tests/harness.h"

#include <jansson.h>
#include <string.h>

#define INSTANT_MS UINT64_C(1767323045678) /* 2026-01-02T03:04:05.678Z */

static const char *show(enum log_line_format format, const char *message)
{
    static char text[LOG_LINE_SIZE];
    struct str str;

    str_init(&str, text, sizeof(text));
    log_line_add(
        &str, format,
        &(struct log_line){INSTANT_MS, LOG_LEVEL_WARN, "../src/hypervisor/node.c", message});
    CHECK(!str.is_cut);
    return text;
}

TEST(the_three_forms_have_time_level_component_and_message)
{
    CHECK_STR_EQ(show(LOG_LINE_TEXT, "tenant 'a' ended"),
                 "2026-01-02T03:04:05.678Z warn  node: tenant 'a' ended\n");
    CHECK_STR_EQ(show(LOG_LINE_LOGFMT, "tenant 'a' ended"),
                 "time=2026-01-02T03:04:05.678Z level=warn component=node "
                 "message=\"tenant 'a' ended\"\n");
    CHECK_STR_EQ(show(LOG_LINE_JSON, "tenant 'a' ended"),
                 "{\"time\":\"2026-01-02T03:04:05.678Z\",\"level\":\"warn\",\"component\":\"node\","
                 "\"message\":\"tenant 'a' ended\"}\n");
}

TEST(what_would_make_a_line_of_its_own_is_escaped)
{
    const char *hostile = "a\nb\r\t\"q\\\x1b[31m\x7f\xc2\x9b\xe2\x80\xa8.";

    CHECK(strstr(show(LOG_LINE_TEXT, hostile),
                 "node: a\\nb\\r\\t\"q\\\\x1b[31m\\x7f\\u009b\\u2028.\n") != NULL);
    CHECK(strstr(show(LOG_LINE_LOGFMT, hostile),
                 "message=\"a\\nb\\r\\t\\\"q\\\\\\u001b[31m\\u007f\\u009b\\u2028.\"\n") != NULL);
    CHECK(strstr(show(LOG_LINE_JSON, hostile),
                 "\"a\\nb\\r\\t\\\"q\\\\\\u001b[31m\\u007f\\u009b\\u2028.\"}\n") != NULL);
}

TEST(bytes_that_are_no_utf8_are_shown_and_break_nothing)
{
    CHECK(strstr(show(LOG_LINE_TEXT, "x\xff\xc3y"), "node: x\\xff\\xc3y\n") != NULL);
    CHECK(strstr(show(LOG_LINE_LOGFMT, "x\xffy"), "\"x\xef\xbf\xbdy\"") != NULL);
    CHECK(strstr(show(LOG_LINE_TEXT, "\xc3\xa9\xe2\x82\xac"), "\xc3\xa9\xe2\x82\xac\n") != NULL);
}

/* Every byte there is, and the longest message that there can be, read back by another's parser. */
TEST(json_lines_are_json_whatever_they_hold)
{
    char message[LOG_MESSAGE_SIZE];

    for (int byte = 1; byte < 256; byte++) {
        json_error_t error;
        json_t *root;

        memset(message, byte, sizeof(message) - 1);
        message[sizeof(message) - 1] = '\0';
        root = json_loads(show(LOG_LINE_JSON, message), JSON_REJECT_DUPLICATES, &error);
        CHECK(root != NULL);
        CHECK_EQ(strlen(json_string_value(json_object_get(root, "message"))),
                 byte < 0x80 ? LOG_MESSAGE_SIZE - 1 : 3 * (LOG_MESSAGE_SIZE - 1));
        json_decref(root);
        CHECK_EQ(strcspn(show(LOG_LINE_LOGFMT, message), "\n"),
                 strlen(show(LOG_LINE_LOGFMT, message)) - 1);
        CHECK_EQ(strcspn(show(LOG_LINE_TEXT, message), "\n"),
                 strlen(show(LOG_LINE_TEXT, message)) - 1);
    }
}

TEST(a_component_is_a_plain_word)
{
    char text[LOG_LINE_SIZE];
    struct str str;

    str_init(&str, text, sizeof(text));
    log_line_add(&str, LOG_LINE_LOGFMT, &(struct log_line){0, LOG_LEVEL_INFO, "a b=\"c", "x"});
    CHECK_STR_EQ(text, "time=1970-01-01T00:00:00.000Z level=info component=a_b__c message=\"x\"\n");
}
