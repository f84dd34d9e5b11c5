#include "bootstrap/preload_list.h"

#include "tests/harness.h"

#include <stdlib.h>

static const char *const names[] = {"libone.so", "libtwo.so", NULL};
static const struct preload_list_ours ours = {.folder = "/v", .names = names};
static const char *const both[] = {"/v/libone.so", "/v/libtwo.so", NULL};
static const char *const one[] = {"/v/libone.so", NULL};
static const char *const none[] = {NULL};

static void check_edit(const char *text, const char *const *wanted, const char *result)
{
    char *edited = preload_list_edit(text, &ours, wanted), *again;

    CHECK(edited != NULL);
    CHECK_STR_EQ(edited, result);
    again = preload_list_edit(edited, &ours, wanted);
    CHECK(again != NULL);
    CHECK_STR_EQ(again, result);
    free(again);
    free(edited);
}

TEST(an_empty_file_gets_ours_one_a_line)
{
    check_edit("", both, "/v/libone.so\n/v/libtwo.so\n");
    check_edit("", none, "");
}

TEST(foreign_lines_stay_byte_by_byte)
{
    check_edit("# mine\n\t/a.so  /b.so # why\n\n/c.so", one,
               "# mine\n\t/a.so  /b.so # why\n\n/c.so\n/v/libone.so\n");
    check_edit("/v/libthree.so\n/v/libone.so.1\n/vv/libone.so\n", one,
               "/v/libthree.so\n/v/libone.so.1\n/vv/libone.so\n/v/libone.so\n");
}

TEST(ours_that_stand_as_wanted_are_let_be)
{
    check_edit("/v/libone.so\n/a.so\n/v/libtwo.so", both, "/v/libone.so\n/a.so\n/v/libtwo.so");
    check_edit("/v/libone.so:/v/libtwo.so # x\n", both, "/v/libone.so:/v/libtwo.so # x\n");
    check_edit("/a.so", none, "/a.so");
}

TEST(ours_that_are_not_wanted_any_more_go_and_their_neighbours_stay)
{
    check_edit("/v/libone.so\n/a.so\n/v/libtwo.so\n", one, "/a.so\n/v/libone.so\n");
    check_edit("/a.so:/v/libtwo.so /b.so # x\n", none, "/a.so /b.so # x\n");
    check_edit("/v/libtwo.so\n", none, "");
}

TEST(ours_in_another_order_or_twice_come_anew)
{
    check_edit("/v/libtwo.so\n/v/libone.so\n", both, "/v/libone.so\n/v/libtwo.so\n");
    check_edit("/v/libone.so /v/libone.so\n", one, "/v/libone.so\n");
}

TEST(what_a_comment_says_is_not_loaded)
{
    check_edit("# /v/libone.so\n", one, "# /v/libone.so\n/v/libone.so\n");
}

TEST(in_the_root_too)
{
    const struct preload_list_ours root = {.folder = "", .names = names};
    const char *const wanted[] = {"/libone.so", NULL};
    char *edited = preload_list_edit("/libtwo.so\n/x/libone.so\n", &root, wanted);

    CHECK(edited != NULL);
    CHECK_STR_EQ(edited, "/x/libone.so\n/libone.so\n");
    free(edited);
}
