#include "hypervisor/http_target.h"

#include "tests/harness.h"

#include <errno.h>
#include <string.h>

static struct http_target target;

TEST(a_path_is_taken_apart_and_decoded_once)
{
    struct err err;

    CHECK_OK(http_target_parse(&target, "/a/b%2fc/%2541?x=1+2&y=%26&z", &err), &err);
    CHECK_EQ(target.segment_count, 3);
    CHECK_STR_EQ(target.segments[1], "b/c");
    CHECK_STR_EQ(target.segments[2], "%41");
    CHECK_EQ(target.query_count, 3);
    CHECK_STR_EQ(http_target_query(&target, "x"), "1 2");
    CHECK_STR_EQ(http_target_query(&target, "y"), "&");
    CHECK_STR_EQ(http_target_query(&target, "z"), "");
    CHECK(http_target_query(&target, "w") == NULL);
    CHECK(target.authority == NULL);
}

TEST(slashes_make_parts_that_may_be_empty)
{
    struct err err;

    CHECK_OK(http_target_parse(&target, "/", &err), &err);
    CHECK_EQ(target.segment_count, 0);
    CHECK_OK(http_target_parse(&target, "/a/", &err), &err);
    CHECK_EQ(target.segment_count, 2);
    CHECK_STR_EQ(target.segments[1], "");
    CHECK_OK(http_target_parse(&target, "//", &err), &err);
    CHECK_EQ(target.segment_count, 2);
    CHECK_OK(http_target_parse(&target, "/a+b", &err), &err);
    CHECK_STR_EQ(target.segments[0], "a+b");
}

TEST(the_absolute_form_has_an_authority)
{
    struct err err;

    CHECK_OK(http_target_parse(&target, "HTTP://a:80/b?c=d", &err), &err);
    CHECK_STR_EQ(target.authority, "a:80");
    CHECK_STR_EQ(target.segments[0], "b");
    CHECK_OK(http_target_parse(&target, "http:///b", &err), &err);
    CHECK_STR_EQ(target.authority, "");
    CHECK_EQ(http_target_parse(&target, "http://a", NULL), -EINVAL);
}

TEST(what_is_not_clear_is_refused)
{
    static const char *const wrong[] = {
        "",     "*",     "a",  "/a b", "/a#b", "/%",        "/%4",         "/%zz",  "/%00",  "/%0a",
        "/%7f", "/\xe4", "/?", "/?a&", "/?=1", "/?a=1&a=2", "/?%61=1&a=2", "/?a=%", "/a\x01"};
    char text[HTTP_TARGET_MAX + 2];

    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        CHECK_EQ(http_target_parse(&target, wrong[i], NULL), -EINVAL);
    memset(text, 'a', sizeof(text));
    text[0] = '/';
    text[HTTP_TARGET_MAX] = '\0';
    CHECK_EQ(http_target_parse(&target, text, NULL), 0);
    text[HTTP_TARGET_MAX] = 'a';
    text[HTTP_TARGET_MAX + 1] = '\0';
    CHECK_EQ(http_target_parse(&target, text, NULL), -ENAMETOOLONG);
}

TEST(there_are_bounds_on_parts_and_parameters)
{
    char text[256] = "";
    struct err err;

    for (size_t i = 0; i < HTTP_TARGET_SEGMENTS_MAX; i++)
        memcpy(text + 2 * i, "/a", 3);
    CHECK_OK(http_target_parse(&target, text, &err), &err);
    memcpy(text + strlen(text), "/a", 3);
    CHECK_EQ(http_target_parse(&target, text, NULL), -EINVAL);
    memcpy(text, "/?", 3);
    for (char name = 'a'; name < 'a' + HTTP_TARGET_QUERY_MAX; name++) {
        char pair[] = {name, '&', '\0'};

        memcpy(text + strlen(text), pair, sizeof(pair));
    }
    text[strlen(text) - 1] = '\0';
    CHECK_OK(http_target_parse(&target, text, &err), &err);
    memcpy(text + strlen(text), "&z", 3);
    CHECK_EQ(http_target_parse(&target, text, NULL), -EINVAL);
}
