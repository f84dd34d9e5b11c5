#include "add-path/path_list.h"

#include "tests/harness.h"
#include "utils/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the edit makes of the list; is_same is checked against what it says. */
static char *edit_with(const char *separators, const char *list, const char *append,
                       const char *prepend)
{
    const struct path_edit edit = {separators, list, append, prepend};
    size_t count = path_list_slots(&edit);
    struct path_slot *slots = malloc(count * sizeof(*slots));
    struct path_result measured, result;
    char *text;

    CHECK(slots != NULL);
    memset(slots, 0x5a, count * sizeof(*slots));
    path_list_edit(&edit, slots, count, NULL, &measured);
    text = calloc(measured.length + 1, 1);
    CHECK(text != NULL);
    path_list_edit(&edit, slots, count, text, &result);
    CHECK_EQ(result.length, measured.length);
    CHECK(result.length <= path_list_bound(&edit));
    CHECK_EQ(measured.is_same, strcmp(text, list ? list : "") == 0);
    free(slots);
    return text;
}

static void check_edit(const char *separators, const char *const words[3], const char *wanted)
{
    char *text = edit_with(separators, words[0], words[1], words[2]), *again;

    CHECK_STR_EQ(text, wanted);
    again = edit_with(separators, text, words[1], words[2]);
    CHECK_STR_EQ(again, wanted); /* whatever is added: a second time changes nothing */
    free(again);
    free(text);
}

#define CHECK_EDIT(list, append, prepend, wanted)                                                  \
    check_edit("::", (const char *const[]){list, append, prepend}, wanted)

TEST(nothing_to_add_changes_nothing)
{
    CHECK_EDIT("/a:/b", NULL, NULL, "/a:/b");
    CHECK_EDIT("/a:/b", "", "", "/a:/b");
    CHECK_EDIT(NULL, NULL, NULL, "");
    CHECK_EDIT(":/a::", ":", "::", ":/a::");
}

TEST(a_list_that_is_empty_becomes_what_is_added_without_a_stray_colon)
{
    CHECK_EDIT(NULL, "/a", NULL, "/a");
    CHECK_EDIT("", "/a:/b", NULL, "/a:/b");
    CHECK_EDIT(NULL, NULL, "/a:/b", "/a:/b");
    CHECK_EDIT("", "/a", "/b", "/b:/a");
    CHECK_EDIT("", ":/a:", "::/b", "/b:/a");
}

TEST(what_is_there_keeps_its_place_when_it_is_appended)
{
    CHECK_EDIT("/a:/b", "/c", NULL, "/a:/b:/c");
    CHECK_EDIT("/a:/b", "/a", NULL, "/a:/b");
    CHECK_EDIT("/a:/b", "/c:/a:/d", NULL, "/a:/b:/c:/d");
    CHECK_EDIT("/a:/b", "/c:/c", NULL, "/a:/b:/c");
    CHECK_EDIT("/abc:/b", "/a:/ab", NULL, "/abc:/b:/a:/ab");
}

TEST(what_is_there_moves_to_the_front_when_it_is_prepended)
{
    CHECK_EDIT("/a:/b", NULL, "/c", "/c:/a:/b");
    CHECK_EDIT("/a:/b", NULL, "/b", "/b:/a");
    CHECK_EDIT("/a:/b:/c", NULL, "/c:/d:/a", "/c:/d:/a:/b");
    CHECK_EDIT("/a:/b:/a", NULL, "/a", "/a:/b");
    CHECK_EDIT("/a", NULL, "/b:/b", "/b:/a");
    CHECK_EDIT("/a", NULL, "/a", "/a");
}

TEST(appending_comes_first_and_prepending_then)
{
    CHECK_EDIT("/a", "/b", "/c", "/c:/a:/b");
    CHECK_EDIT("/a", "/b:/c", "/b", "/b:/a:/c");
    CHECK_EDIT("/a:/b", "/a", "/b", "/b:/a");
}

TEST(empty_elements_of_the_list_itself_stay)
{
    CHECK_EDIT("/a:", "/b", NULL, "/a::/b");
    CHECK_EDIT(":/a", NULL, "/b", "/b::/a");
    CHECK_EDIT("/a::/c", NULL, "/c", "/c:/a:");
    CHECK_EDIT("/x:", NULL, "/x", "/x:");
}

TEST(other_separators_are_taken_and_kept)
{
    const char *blanks[3] = {"a b:c", "b d", NULL}, *front[3] = {"a b:c", NULL, "b c"};
    const char *outer[3] = {" a", "b", NULL}, *semicolon[3] = {"/a;/b", "/b:/c", NULL};

    check_edit(": ", blanks, "a b:c:d");
    check_edit(": ", front, "b:c:a");
    check_edit(": ", outer, " a:b");
    check_edit(":;", semicolon, "/a;/b:/c");
}

/* How often an element stands in a list. */
static int count_in(const char *list, const char *element)
{
    char wrapped[160], wanted[16];
    int count = 0;

    (void)snprintf(wrapped, sizeof(wrapped), ":%s:", list);
    (void)snprintf(wanted, sizeof(wanted), ":%s:", element);
    for (const char *at = wrapped; (at = strstr(at, wanted)); at++)
        count++;
    return count;
}

/* Five elements at random; returns the next seed. */
static unsigned int make_list(char *text, size_t size, unsigned int seed)
{
    static const char *const elements[] = {"", "a", "b", "aa", "ab"};
    struct str str;

    str_init(&str, text, size);
    for (int i = 0; i < 5; i++) {
        seed = seed * 1103515245 + 12345;
        str_add(&str, "%s%s", i ? ":" : "", elements[(seed >> 16) % 5]);
    }
    return seed;
}

TEST(lists_at_random_keep_what_they_had_and_get_what_they_lack)
{
    static const char *const elements[] = {"a", "b", "aa", "ab"};

    for (unsigned int round = 0, seed = 1; round < 1000; round++) {
        char list[32], append[32], prepend[32];
        char *text, *again;

        seed = make_list(list, sizeof(list), seed);
        seed = make_list(append, sizeof(append), seed);
        seed = make_list(prepend, sizeof(prepend), seed);
        text = edit_with("::", list, append, prepend);
        again = edit_with("::", text, append, prepend);
        CHECK_STR_EQ(again, text);
        for (size_t i = 0; i < 4; i++) {
            int before = count_in(list, elements[i]), is_added = count_in(append, elements[i]) > 0;

            CHECK_EQ(count_in(text, elements[i]), count_in(prepend, elements[i]) ? 1
                                                  : before                       ? before
                                                                                 : is_added);
        }
        free(again);
        free(text);
    }
}

TEST(a_list_of_a_hundred_thousand_elements_takes_no_longer_than_its_length)
{
    size_t count = harness_is_full() ? 1000000 : 100000, size = count * 8 + 1;
    char *list = malloc(size), *more = malloc(size), *text;
    size_t at = 0;

    CHECK(list && more);
    for (size_t i = 0; i < count; i++)
        at += (size_t)snprintf(list + at, size - at, "%s%zu", i ? ":" : "", i);
    (void)snprintf(more, size, "%s:x", list);
    text = edit_with("::", list, more, NULL);
    CHECK_EQ(strlen(text), at + 2);
    free(text);
    text = edit_with("::", more, NULL, list);
    CHECK_STR_EQ(text, more);
    free(text);
    free(more);
    free(list);
}
