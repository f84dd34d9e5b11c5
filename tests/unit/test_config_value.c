#include "hypervisor/config_value.h"

#include "tests/harness.h"
#include "utils/parse.h"

#include <errno.h>
#include <string.h>

static const struct config_value_type text_type = {CONFIG_VALUE_TEXT, 16, "NAME"};
static const struct config_value_type list_type = {CONFIG_VALUE_LIST, 32, "A,..."};
static const struct config_value_type json_type = {CONFIG_VALUE_JSON, 64, "JSON"};
static const struct config_value_type size_type = {CONFIG_VALUE_SIZE, 8, "SIZE"};
static const struct config_value_type memory_type = {CONFIG_VALUE_MEMORY, 16, "SIZE"};
static const struct config_value_type duration_type = {CONFIG_VALUE_DURATION, 8, "DURATION"};
static const struct config_value_type boolean_type = {CONFIG_VALUE_BOOLEAN, 1, "BOOLEAN"};
static const struct config_value_type percent_type = {CONFIG_VALUE_PERCENT, 4, "PERCENT"};
static const struct config_value_type integer_type = {CONFIG_VALUE_INTEGER, 4, "10..4000000000"};
static const struct config_value_type choice_type = {CONFIG_VALUE_CHOICE, 4, "low|normal|high"};

/* A value of any kind. */
union value {
    char text[64];
    uint64_t number;
    uint32_t small;
    int choice;
    bool truth;
    struct parse_size memory;
};

/* Reads `text` and gives what is written of it. */
static const char *turn(const struct config_value_type *type, const char *text)
{
    static char written[256];
    union value value = {.number = 0};
    struct err err = {0};
    struct str str;

    CHECK_OK(config_value_read(type, text, &value, &err), &err);
    str_init(&str, written, sizeof(written));
    config_value_write(&str, type, &value);
    return written;
}

static int refuse(const struct config_value_type *type, const char *text)
{
    union value value = {.text = "untouched"}, before = value;
    struct err err = {0};
    int rc = config_value_read(type, text, &value, &err);

    CHECK(rc < 0 && err.text[0]);
    CHECK_EQ(memcmp(&value, &before, sizeof(value)), 0);
    return rc;
}

TEST(a_text_is_what_it_is_in_quotes)
{
    CHECK_STR_EQ(turn(&text_type, "a \"b\" \\"), "\"a \\\"b\\\" \\\\\"");
    CHECK_STR_EQ(turn(&text_type, ""), "\"\"");
    CHECK_STR_EQ(turn(&text_type, "\xc3\xa9"), "\"\xc3\xa9\"");
    CHECK_EQ(refuse(&text_type, "sixteen letters."), -ENAMETOOLONG);
    CHECK_EQ(refuse(&text_type, "a\nb"), -EINVAL);
    CHECK_EQ(refuse(&text_type, "a\xff"), -EINVAL);
}

TEST(a_list_is_written_as_a_sequence)
{
    CHECK_STR_EQ(turn(&list_type, "/a,/b*"), "[\"/a\", \"/b*\"]");
    CHECK_STR_EQ(turn(&list_type, "one"), "[\"one\"]");
    CHECK_STR_EQ(turn(&list_type, ""), "[]");
}

/* A sequence in a file may have none: what was printed could not be read. */
TEST(a_list_has_no_empty_part)
{
    CHECK_EQ(refuse(&list_type, ","), -EINVAL);
    CHECK_EQ(refuse(&list_type, ",a"), -EINVAL);
    CHECK_EQ(refuse(&list_type, "a,"), -EINVAL);
    CHECK_EQ(refuse(&list_type, "a,,b"), -EINVAL);
}

TEST(json_is_an_object_in_one_line)
{
    CHECK_STR_EQ(turn(&json_type, " { \"a\" :\n 1 } "), "\"{\\\"a\\\":1}\"");
    CHECK_STR_EQ(turn(&json_type, "null"), "\"\"");
    CHECK_STR_EQ(turn(&json_type, ""), "\"\"");
    CHECK_STR_EQ(turn(&json_type, "{\"a\": \"\\u001b\"}"), "\"{\\\"a\\\":\\\"\\\\u001B\\\"}\"");
    CHECK_EQ(refuse(&json_type, "[1]"), -EINVAL);
    CHECK_EQ(refuse(&json_type, "{"), -EINVAL);
    CHECK_EQ(refuse(&json_type, "{\"a\": 1, \"a\": 2}"), -EINVAL);
    CHECK_EQ(refuse(&json_type,
                    "{\"a\": \"0123456789012345678901234567890123456789012345678901234567\"}"),
             -ENAMETOOLONG);
}

TEST(sizes_are_written_in_the_largest_unit_that_holds_them_whole)
{
    CHECK_STR_EQ(turn(&size_type, "64MiB"), "64MiB");
    CHECK_STR_EQ(turn(&size_type, "2048M"), "2GiB");
    CHECK_STR_EQ(turn(&size_type, "1000"), "1000");
    CHECK_STR_EQ(turn(&size_type, "8GB"), "7812500KiB");
    CHECK_EQ(refuse(&size_type, "40%"), -EINVAL);
    CHECK_EQ(refuse(&size_type, "0"), -ERANGE);
    CHECK_EQ(refuse(&size_type, "much"), -EINVAL);
    CHECK_EQ(refuse(&size_type, "-1"), -EINVAL);
}

TEST(memory_is_a_size_or_a_part_of_the_card)
{
    CHECK_STR_EQ(turn(&memory_type, "8GiB"), "8GiB");
    CHECK_STR_EQ(turn(&memory_type, "40%"), "40%");
    CHECK_STR_EQ(turn(&memory_type, "12.5%"), "12.5%");
    CHECK_STR_EQ(turn(&memory_type, "0.05%"), "0.05%");
    CHECK_EQ(refuse(&memory_type, "101%"), -ERANGE);
}

TEST(percents_are_above_nothing_and_at_most_all)
{
    CHECK_STR_EQ(turn(&percent_type, "30"), "30%");
    CHECK_STR_EQ(turn(&percent_type, "99.999%"), "99.999%");
    CHECK_EQ(refuse(&percent_type, "0"), -ERANGE);
    CHECK_EQ(refuse(&percent_type, "100.001"), -ERANGE);
    CHECK_EQ(refuse(&percent_type, "half"), -EINVAL);
}

TEST(a_duration_is_read_by_its_own_module)
{
    CHECK_STR_EQ(turn(&duration_type, "90"), "90s");
    CHECK_EQ(refuse(&duration_type, "soon"), -EINVAL);
}

TEST(truth_has_many_words_and_no_others)
{
    static const char *const yes[] = {"true", "on", "yes", "1", "TRUE"};
    static const char *const no[] = {"false", "off", "no", "0", "False"};

    for (int i = 0; i < 5; i++) {
        CHECK_STR_EQ(turn(&boolean_type, yes[i]), "true");
        CHECK_STR_EQ(turn(&boolean_type, no[i]), "false");
    }
    CHECK_EQ(refuse(&boolean_type, ""), -EINVAL);
    CHECK_EQ(refuse(&boolean_type, "2"), -EINVAL);
}

TEST(an_integer_lies_in_the_range_that_the_manual_shows)
{
    CHECK_STR_EQ(turn(&integer_type, "10"), "10");
    CHECK_STR_EQ(turn(&integer_type, "4000000000"), "4000000000");
    CHECK_EQ(refuse(&integer_type, "9"), -ERANGE);
    CHECK_EQ(refuse(&integer_type, "4000000001"), -ERANGE);
    CHECK_EQ(refuse(&integer_type, "1e3"), -EINVAL);
    CHECK_EQ(refuse(&integer_type, ""), -EINVAL);
}

TEST(a_choice_is_one_of_its_words)
{
    union value value = {.number = 0};

    CHECK_STR_EQ(turn(&choice_type, "low"), "\"low\"");
    CHECK_STR_EQ(turn(&choice_type, "High"), "\"high\"");
    CHECK_EQ(config_value_read(&choice_type, "normal", &value, NULL), 0);
    CHECK_EQ(value.choice, 1);
    CHECK_EQ(refuse(&choice_type, "norm"), -EINVAL);
    CHECK_EQ(refuse(&choice_type, "low|normal"), -EINVAL);
    CHECK_EQ(refuse(&choice_type, ""), -EINVAL);
}

TEST(values_are_compared_by_what_they_mean)
{
    union value a, b;

    memset(&a, 'x', sizeof(a)); /* what lies between members does not count */
    memset(&b, 'y', sizeof(b));
    CHECK_EQ(config_value_read(&memory_type, "1GiB", &a, NULL), 0);
    CHECK_EQ(config_value_read(&memory_type, "1024MiB", &b, NULL), 0);
    CHECK(config_value_equals(&memory_type, &a, &b));
    CHECK_EQ(config_value_read(&memory_type, "1%", &b, NULL), 0);
    CHECK(!config_value_equals(&memory_type, &a, &b));
    CHECK(config_value_equals(&text_type, "a\0b", "a\0c"));
    CHECK(!config_value_equals(&text_type, "a", "b"));
}
