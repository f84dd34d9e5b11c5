#include "utils/err.h"

#include "tests/harness.h"

#include <errno.h>
#include <string.h>

TEST(set_names_the_errno_and_returns_it_negative)
{
    struct err err;

    CHECK_EQ(err_set(&err, ENOENT, "open '%s'", "x"), -ENOENT);
    CHECK_STR_EQ(err.text, "open 'x': no such file or directory");
}

TEST(wrap_puts_words_before_and_keeps_the_code)
{
    struct err err;

    (void)err_say(&err, EPROTO, "too short");
    CHECK_EQ(err_wrap(&err, "region of '%s'", "a"), -EPROTO);
    CHECK_STR_EQ(err.text, "region of 'a': too short");
}

TEST(nobody_need_listen)
{
    CHECK_EQ(err_set(NULL, EIO, "x"), -EIO);
}

TEST(an_errno_without_words_shows_its_number)
{
    struct err err;

    (void)err_set(&err, 9999, "x");
    CHECK_STR_EQ(err.text, "x: error 9999");
}

TEST(words_too_long_are_cut_and_end)
{
    struct err err = {0};

    (void)err_set(&err, EIO, "%0400d", 1);
    CHECK_EQ(strlen(err.text), sizeof(err.text) - 1);
    CHECK_EQ(err_wrap(&err, "front"), -EIO);
    CHECK(strncmp(err.text, "front: 000", 10) == 0);
    CHECK_EQ(strlen(err.text), sizeof(err.text) - 1);
    CHECK_EQ(err_say(NULL, EIO, "x"), -EIO);
    CHECK_EQ(err_wrap(NULL, "x"), -EINVAL);
}
