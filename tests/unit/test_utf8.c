#include "utils/utf8.h"

#include "tests/harness.h"

TEST(characters_of_one_to_four_bytes_are_measured)
{
    CHECK_EQ(utf8_character("a"), 1);
    CHECK_EQ(utf8_character("\x7f"), 1);
    CHECK_EQ(utf8_character("\xc3\xb6."), 2);
    CHECK_EQ(utf8_character("\xe2\x82\xac."), 3);
    CHECK_EQ(utf8_character("\xf0\x9f\x98\x80."), 4);
    CHECK_EQ(utf8_character("\xf4\x8f\xbf\xbf"), 4); /* the last one there is */
    CHECK_EQ(utf8_character(UTF8_REPLACEMENT), 3);
}

TEST(no_character_begins_at_the_end_or_in_bytes_that_are_none)
{
    static const char *const wrong[] = {
        "",
        "\x80",
        "\xbf"
        "a",
        "\xc3",
        "\xc3"
        "a",
        "\xe2\x82",
        "\xf0\x9f\x98",
        "\xc0\x80",
        "\xc1\xbf",
        "\xe0\x9f\xbf",
        "\xed\xa0\x80",
        "\xed\xbf\xbf",
        "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80",
        "\xf8\x88\x80\x80\x80",
        "\xfe",
        "\xff",
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        CHECK_EQ(utf8_character(wrong[i]), 0);
}
