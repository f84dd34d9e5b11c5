#include "sim/visible.h"
#include "tests/harness.h"

static const char *const uuids[] = {"GPU-aa110000", "GPU-aa220000", "GPU-bb330000"};

static void check(const char *text, uint32_t count, const uint32_t *wanted)
{
    uint32_t order[VISIBLE_MAX];

    CHECK_EQ(visible_parse(order, text, uuids, 3), count);
    for (uint32_t i = 0; i < count; i++)
        CHECK_EQ(order[i], wanted[i]);
}

TEST(without_the_variable_all_are_seen)
{
    check(NULL, 3, (const uint32_t[]){0, 1, 2});
}

TEST(indices_choose_and_order)
{
    check("2,0", 2, (const uint32_t[]){2, 0});
    check(" 1 , 2 ", 2, (const uint32_t[]){1, 2});
}

TEST(uuids_may_be_cut_short_as_long_as_they_are_unique)
{
    check("GPU-bb330000", 1, (const uint32_t[]){2});
    check("GPU-b,GPU-aa2", 2, (const uint32_t[]){2, 1});
    check("GPU-aa", 0, NULL);
}

TEST(a_bad_entry_ends_the_list)
{
    check("1,3,0", 1, (const uint32_t[]){1});
    check("0,-1,1", 1, (const uint32_t[]){0});
    check("", 0, NULL);
    check("none", 0, NULL);
    check("99999999999999999999", 0, NULL);
}

TEST(a_gpu_named_twice_leaves_none)
{
    check("0,1,0", 0, NULL);
}
