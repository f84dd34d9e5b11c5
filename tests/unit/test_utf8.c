#include "utils/utf8.h"

#include "tests/harness.h"

TEST(characters_of_each_length_are_decoded)
{
    uint32_t character = 0;

    CHECK_EQ(utf8_decode("a", &character), 1);
    CHECK_EQ(character, 'a');
    CHECK_EQ(utf8_decode("\xc3\xa9", &character), 2);
    CHECK_EQ(character, 0xe9);
    CHECK_EQ(utf8_decode("\xe2\x82\xac", &character), 3);
    CHECK_EQ(character, 0x20ac);
    CHECK_EQ(utf8_decode("\xf0\x9f\x98\x80", &character), 4);
    CHECK_EQ(character, 0x1f600);
}

TEST(what_is_no_utf8_is_told_from_what_is)
{
    static const char *const bad[] = {
        "",     /* the end */
        "\x80", /* begins with a continuation */
        "\xc3", /* ends early */
        "\xc3z",
        "\xe2\x82",
        "\xf0\x9f\x98",
        "\xc0\xaf", /* overlong */
        "\xe0\x80\xaf",
        "\xf0\x80\x80\xaf",
        "\xed\xa0\x80",     /* a surrogate */
        "\xf4\x90\x80\x80", /* above all planes */
        "\xf8\x88\x80\x80",
        "\xff",
    };
    uint32_t character = 7;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK_EQ(utf8_decode(bad[i], &character), 0);
    CHECK_EQ(character, 7);
}

TEST(plain_text_has_no_control_characters_of_either_block)
{
    CHECK(utf8_is_plain(""));
    CHECK(utf8_is_plain("text \xc3\xa9 \xe2\x82\xac"));
    CHECK(!utf8_is_plain("a\nb"));
    CHECK(!utf8_is_plain("a\x1b[31m"));
    CHECK(!utf8_is_plain("a\x7f"));
    CHECK(!utf8_is_plain("a\xc2\x9b"));     /* CSI, one character */
    CHECK(!utf8_is_plain("a\xe2\x80\xa8")); /* LINE SEPARATOR */
    CHECK(!utf8_is_plain("a\xff"));
}

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
