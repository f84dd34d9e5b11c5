#include "utils/parse.h"

#include "tests/harness.h"

#include <errno.h>

static void check_size(const char *text, uint64_t bytes)
{
    struct parse_size size;
    struct err err;

    CHECK_OK(parse_size(&size, text, &err), &err);
    CHECK_EQ(size.bytes, bytes);
    CHECK_EQ(size.milli_percent, 0);
}

TEST(sizes_in_every_unit)
{
    check_size("8GiB", 8589934592);
    check_size("8G", 8589934592);
    check_size("8GB", 8000000000);
    check_size("512MiB", 536870912);
    check_size("1.5GiB", 1610612736);
    check_size("4096", 4096);
}

TEST(a_size_may_be_a_part_of_the_card)
{
    struct parse_size size;
    struct err err;

    CHECK_OK(parse_size(&size, "40%", &err), &err);
    CHECK_EQ(size.bytes, 0);
    CHECK_EQ(size.milli_percent, 40000);
}

TEST(what_is_no_size_is_refused)
{
    static const char *const wrong[] = {
        "",    "8Q",  "-1",   "+1",  " 8G", "8G ",     "8 G",
        "0x8", "1e9", "8gib", ".5G", "5.G", "1.0001G", "99999999999999999999",
        "%",   "G"};
    struct parse_size size;

    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        CHECK_EQ(parse_size(&size, wrong[i], NULL), -EINVAL);
}

TEST(no_memory_and_too_much_memory_are_out_of_range)
{
    struct parse_size size;

    CHECK_EQ(parse_size(&size, "0", NULL), -ERANGE);
    CHECK_EQ(parse_size(&size, "0GiB", NULL), -ERANGE);
    CHECK_EQ(parse_size(&size, "0%", NULL), -ERANGE);
    CHECK_EQ(parse_size(&size, "101%", NULL), -ERANGE);
    CHECK_EQ(parse_size(&size, "99999999T", NULL), -ERANGE);
}

TEST(percents_with_and_without_the_sign)
{
    uint32_t milli;
    struct err err;

    CHECK_OK(parse_percent(&milli, "30%", &err), &err);
    CHECK_EQ(milli, 30000);
    CHECK_OK(parse_percent(&milli, "12.5", &err), &err);
    CHECK_EQ(milli, 12500);
    CHECK_OK(parse_percent(&milli, "100", &err), &err);
    CHECK_EQ(milli, 100000);
    CHECK_EQ(parse_percent(&milli, "0", NULL), -ERANGE);
    CHECK_EQ(parse_percent(&milli, "100.001", NULL), -ERANGE);
    CHECK_EQ(parse_percent(&milli, "-1", NULL), -EINVAL);
    CHECK_EQ(parse_percent(&milli, "30%%", NULL), -EINVAL);
}

TEST(seconds_in_nanoseconds)
{
    uint64_t ns;
    struct err err;

    CHECK_OK(parse_seconds(&ns, "1.5", &err), &err);
    CHECK_EQ(ns, 1500000000);
    CHECK_EQ(parse_seconds(&ns, "1s", NULL), -EINVAL);
    CHECK_EQ(parse_seconds(&ns, "1000000001", NULL), -ERANGE);
}

TEST(names_are_plain_words)
{
    char name[80] = "a";
    struct err err;

    CHECK_OK(parse_name("train.py-12_x", &err), &err);
    CHECK_EQ(parse_name("", NULL), -EINVAL);
    CHECK_EQ(parse_name(".hidden", NULL), -EINVAL);
    CHECK_EQ(parse_name("a/b", NULL), -EINVAL);
    CHECK_EQ(parse_name("a b", NULL), -EINVAL);
    for (int i = 0; i < 63; i++)
        name[i] = 'a';
    name[63] = '\0';
    CHECK_OK(parse_name(name, &err), &err);
    name[63] = 'a';
    name[64] = '\0';
    CHECK_EQ(parse_name(name, NULL), -EINVAL);
}

TEST(whole_numbers_within_their_bounds)
{
    uint64_t value = 0;
    struct err err;

    CHECK_OK(parse_u64(&value, "18446744073709551615", 0, UINT64_MAX, &err), &err);
    CHECK(value == UINT64_MAX);
    CHECK_EQ(parse_u64(&value, "18446744073709551616", 0, UINT64_MAX, NULL), -EINVAL);
    CHECK_OK(parse_u64(&value, "1000", 1, 1000, &err), &err);
    CHECK_EQ(value, 1000);
    CHECK_EQ(parse_u64(&value, "1001", 1, 1000, &err), -ERANGE);
    CHECK_STR_EQ(err.text, "'1001' is not between 1 and 1000");
    CHECK_EQ(parse_u64(&value, "0", 1, 1000, NULL), -ERANGE);
    CHECK_EQ(parse_u64(&value, "", 0, 9, NULL), -EINVAL);
    CHECK_EQ(parse_u64(&value, "1 ", 0, 9, NULL), -EINVAL);
    CHECK_EQ(parse_u64(&value, "-1", 0, 9, NULL), -EINVAL);
    CHECK_EQ(parse_u64(&value, "0x1", 0, 9, NULL), -EINVAL);
    CHECK_EQ(value, 1000); /* untouched by what failed */
}
