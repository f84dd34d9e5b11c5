#include "hypervisor/usage_labels.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/harness.h"

TEST(labels_and_tags_are_read)
{
    struct usage_labels labels;
    struct err err;

    CHECK_OK(usage_labels_parse(&labels, "{\"example.com/team\": \"team\", \"tier\": \"t\"}", &err),
             &err);
    CHECK_EQ(labels.count, 2);
    CHECK_STR_EQ(labels.labels[0].key, "example.com/team");
    CHECK_STR_EQ(labels.labels[0].tag, "team");
    CHECK_STR_EQ(labels.labels[1].tag, "t");
}

TEST(nothing_empty_and_null_are_no_labels)
{
    static const char *const texts[] = {NULL, "", "null", " null ", "{}"};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct usage_labels labels = {.count = 9};
        struct err err;

        CHECK_OK(usage_labels_parse(&labels, texts[i], &err), &err);
        CHECK_EQ(labels.count, 0);
    }
}

TEST(what_is_no_object_of_names_or_takes_a_tag_twice_is_refused_with_words)
{
    static const char *const texts[] = {
        "{",
        "[]",
        "1",
        "\"a\"",
        "{\"a\": 1}",
        "{\"a\": \"\"}",
        "{\"a\": \"node\"}",
        "{\"a\": \"workload\"}",
        "{\"a\": \"x\", \"b\": \"x\"}",
        "{\"a\": \"x\", \"a\": \"y\"}",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct usage_labels labels = {.count = 9};
        struct err err = {.code = 0};

        CHECK_EQ(usage_labels_parse(&labels, texts[i], &err), -EINVAL);
        CHECK(err.text[0] != '\0');
        CHECK_EQ(labels.count, 9);
    }
}

TEST(too_many_or_too_long_labels_are_refused)
{
    struct usage_labels labels;
    char text[1024] = "{\"a\": \"";

    memset(text + strlen(text), 'x', 64);
    (void)snprintf(text + strlen(text), 8, "\"}");
    CHECK_EQ(usage_labels_parse(&labels, text, NULL), -E2BIG);
    (void)snprintf(text, sizeof(text), "{");
    for (int i = 0; i <= USAGE_LABELS_MAX; i++)
        (void)snprintf(text + strlen(text), 32, "%s\"a%d\": \"t%d\"", i ? "," : "", i, i);
    (void)snprintf(text + strlen(text), 8, "}");
    CHECK_EQ(usage_labels_parse(&labels, text, NULL), -E2BIG);
}
