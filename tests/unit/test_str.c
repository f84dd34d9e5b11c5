#include "utils/str.h"

#include "tests/harness.h"

#include <sys/types.h>

TEST(formats_as_printf_does)
{
    char text[128];

    CHECK(str_format(text, sizeof(text), "%s|%5d|%-5d|%05d|%u|%x|%llu|%zu|%c|%%", "a", -42, 42, -42,
                     7u, 0xbeefu, 18446744073709551615ull, (size_t)3, 'z'));
    CHECK_STR_EQ(text, "a|  -42|42   |-0042|7|beef|18446744073709551615|3|z|%");
}

TEST(formats_fixed_point)
{
    char text[64];

    CHECK(str_format(text, sizeof(text), "%.2f %.0f %6.1f %.3f", 1.005, 2.5, -3.25, 0.0005));
    CHECK_STR_EQ(text, "1.00 3   -3.3 0.001");
}

TEST(cuts_what_does_not_fit_and_says_so)
{
    char text[5];

    CHECK(!str_format(text, sizeof(text), "%s", "abcdefgh"));
    CHECK_STR_EQ(text, "abcd");
}

TEST(precision_bounds_a_text_without_an_end)
{
    const char raw[3] = {'a', 'b', 'c'};
    char text[8];

    CHECK(str_format(text, sizeof(text), "%.*s", 3, raw));
    CHECK_STR_EQ(text, "abc");
}

TEST(smallest_number_is_written_whole)
{
    char text[32];

    CHECK(str_format(text, sizeof(text), "%lld", (long long)INT64_MIN));
    CHECK_STR_EQ(text, "-9223372036854775808");
}

TEST(numbers_are_written_in_hexadecimal_of_either_case)
{
    char text[64];

    CHECK(str_format(text, sizeof(text), "%08X:%02X|%x|%lX", 0x1Bu, 0xABu, 0xABu, 0xCAFE12ul));
    CHECK_STR_EQ(text, "0000001B:AB|ab|CAFE12");
}

TEST(every_length_of_number_and_a_width_from_the_arguments)
{
    char text[96];

    CHECK(str_format(text, sizeof(text), "%ld|%lu|%zd|%lld|%*d|%*d|%p", -5L, 5ul, (ssize_t)-6, -7ll,
                     4, 8, -4, 9, (void *)0x10));
    CHECK_STR_EQ(text, "-5|5|-6|-7|   8|9   |0x10");
}

TEST(what_cannot_be_shown_is_named)
{
    const char *volatile nothing = NULL;
    char text[64];

    CHECK(str_format(text, sizeof(text), "%s %.1f %.1f", nothing, 1e300, 0.0 / 0.0));
    CHECK_STR_EQ(text, "(null) inf nan");
}

TEST(pieces_are_added_until_the_buffer_is_full)
{
    struct str str;
    char text[8];

    str_init(&str, text, sizeof(text));
    str_add(&str, "%s", "abc");
    str_add(&str, "%d", 12);
    CHECK_STR_EQ(text, "abc12");
    CHECK_EQ(str.length, 5);
    CHECK(!str.is_cut);
    str_add(&str, "%s", "xyz");
    str_add(&str, "more");
    CHECK_STR_EQ(text, "abc12xy");
    CHECK(str.is_cut);
}

TEST(texts_are_compared_whole_and_by_their_beginning)
{
    CHECK(str_equals("a", "a"));
    CHECK(!str_equals("a", "ab"));
    CHECK(str_starts_with("abc", "ab"));
    CHECK(str_starts_with("abc", ""));
    CHECK(!str_starts_with("ab", "abc"));
}
