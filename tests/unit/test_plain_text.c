#include "tests/harness.h"

#include "cli/plain_text.h"

#include <string.h>

static char copy[64];

static const char *plain(const char *text)
{
    plain_text_copy(copy, sizeof(copy), text);
    return copy;
}

TEST(letters_stay_as_they_are)
{
    CHECK_STR_EQ(plain("python3 train.py"), "python3 train.py");
    CHECK_STR_EQ(plain("Zug-Größe"), "Zug-Größe");
    CHECK_STR_EQ(plain("поезд"), "поезд");
    CHECK_STR_EQ(plain("訓練"), "訓練");
    CHECK_STR_EQ(plain("\U00020000"), "\U00020000");
}

TEST(what_moves_the_cursor_or_hides_is_shown_as_a_question)
{
    CHECK_STR_EQ(plain("a\033[2Jb"), "a?[2Jb");
    CHECK_STR_EQ(plain("\t\r\n\x7f"), "????");
    CHECK_STR_EQ(plain("\xc2\x9b"), "?");     /* control sequence introducer */
    CHECK_STR_EQ(plain("e\u0301"), "e?");     /* combining */
    CHECK_STR_EQ(plain("\u202eabc"), "?abc"); /* right to left */
    CHECK_STR_EQ(plain("\u200b\ufeff\u00ad"), "???");
    CHECK_STR_EQ(plain("\u05d0\u0627"), "??");
    CHECK_STR_EQ(plain("\U0001f600"), "?"); /* terminals disagree on its width */
}

TEST(bytes_that_are_no_text_are_questions)
{
    CHECK_STR_EQ(plain("\xff\xfe"), "??");
    CHECK_STR_EQ(plain("\xc0\xaf"), "??");           /* overlong */
    CHECK_STR_EQ(plain("\xed\xa0\x80"), "???");      /* surrogate */
    CHECK_STR_EQ(plain("\xf4\x90\x80\x80"), "????"); /* beyond the last */
    CHECK_STR_EQ(plain("a\xe8\xa8"), "a??");         /* cut off, as the kernel cuts names */
}

TEST(widths_are_columns)
{
    const char *text = "a\xe8\xa8\x93";
    int width;

    CHECK_EQ(plain_text_next(&text, &width), 'a');
    CHECK_EQ(width, 1);
    CHECK_EQ(plain_text_next(&text, &width), 0x8a13);
    CHECK_EQ(width, 2);
    CHECK_EQ(plain_text_next(&text, &width), 0);
    CHECK_EQ(plain_text_next(&text, &width), 0);
}

TEST(a_copy_is_cut_between_characters)
{
    char small[5];

    plain_text_copy(small, sizeof(small), "訓練");
    CHECK_STR_EQ(small, "訓");
    plain_text_copy(small, sizeof(small), "abcdef");
    CHECK_STR_EQ(small, "abcd");
}
