#include "hypervisor/metric.h"

#include "hypervisor/snapshot.h"

#include <ctype.h>
#include <string.h>

#include "tests/harness.h"

static bool ends_in(const char *text, const char *ending)
{
    size_t length = strlen(text), size = strlen(ending);

    return length >= size && strcmp(text + length - size, ending) == 0;
}

static const char *printed(struct metric_number number)
{
    static char text[64];
    FILE *file;

    memset(text, 0, sizeof(text));
    file = fmemopen(text, sizeof(text), "we");
    CHECK(file != NULL);
    CHECK(metric_is_known(number));
    metric_print(number, file);
    CHECK_EQ(fclose(file), 0);
    return text;
}

TEST(names_are_of_small_letters_with_our_prefix_and_each_is_there_once)
{
    size_t count;
    const struct metric *metrics = metric_table(&count);

    CHECK(count > 40);
    for (size_t i = 0; i < count; i++) {
        CHECK(strncmp(metrics[i].name, "vgpu_", 5) == 0);
        for (const char *at = metrics[i].name; *at; at++)
            CHECK(islower((unsigned char)*at) || *at == '_');
        for (size_t k = 0; k < i; k++)
            CHECK(strcmp(metrics[i].name, metrics[k].name) != 0);
    }
}

TEST(a_name_ends_in_its_unit_and_in_what_its_type_asks_for)
{
    size_t count;
    const struct metric *metrics = metric_table(&count);

    for (size_t i = 0; i < count; i++) {
        CHECK_EQ(ends_in(metrics[i].name, "_total"), metrics[i].type == METRICS_COUNTER);
        CHECK_EQ(ends_in(metrics[i].name, "_info"), metrics[i].type == METRICS_INFO);
        if (metrics[i].type == METRICS_GAUGE)
            CHECK(ends_in(metrics[i].name, metrics[i].unit));
        else
            CHECK_STR_EQ(metrics[i].unit, "");
    }
}

TEST(help_is_a_sentence_without_anything_to_escape)
{
    size_t count;
    const struct metric *metrics = metric_table(&count);

    for (size_t i = 0; i < count; i++) {
        CHECK(ends_in(metrics[i].help, "."));
        CHECK(isupper((unsigned char)metrics[i].help[0]));
        CHECK(strpbrk(metrics[i].help, "\\\"\n|") == NULL);
    }
}

TEST(numbers_are_printed_exactly_in_base_units)
{
    CHECK_STR_EQ(printed(metric_flag(true)), "1");
    CHECK_STR_EQ(printed(metric_count(0)), "0");
    CHECK_STR_EQ(printed(metric_count(UINT64_MAX - 1)), "18446744073709551614");
    CHECK_STR_EQ(printed(metric_percent(7)), "0.07");
    CHECK_STR_EQ(printed(metric_percent(100)), "1");
    CHECK_STR_EQ(printed(metric_milli_percent(1)), "0.00001");
    CHECK_STR_EQ(printed(metric_milli_percent(30500)), "0.305");
    CHECK_STR_EQ(printed(metric_milli(412050)), "412.05");
    CHECK_STR_EQ(printed(metric_micro(250)), "0.00025");
    CHECK_STR_EQ(printed(metric_nano(1)), "0.000000001");
    CHECK_STR_EQ(printed(metric_nano(2000000000)), "2");
    CHECK_STR_EQ(printed(metric_kibi(3)), "3072");
    CHECK_STR_EQ(printed(metric_mega(1980)), "1980000000");
}

TEST(what_is_unknown_or_no_cap_or_too_large_is_no_number)
{
    CHECK(!metric_is_known(metric_count(SNAPSHOT_UNKNOWN)));
    CHECK(!metric_is_known(metric_milli_percent(SNAPSHOT_UNKNOWN)));
    CHECK(!metric_is_known(metric_kibi(SNAPSHOT_UNKNOWN)));
    CHECK(!metric_is_known(metric_mega(UINT64_MAX / 2)));
    CHECK(!metric_is_known(metric_cap(100000)));
    CHECK(metric_is_known(metric_cap(99999)));
}
