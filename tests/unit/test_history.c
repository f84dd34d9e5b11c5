#include "tests/harness.h"

#include "cli/history.h"

TEST(the_newest_has_age_zero)
{
    struct history history = {.count = 0};

    CHECK_EQ(history_get(&history, 0), HISTORY_UNKNOWN);
    history_add(&history, 1);
    history_add(&history, 2);
    CHECK_EQ(history_get(&history, 0), 2);
    CHECK_EQ(history_get(&history, 1), 1);
    CHECK_EQ(history_get(&history, 2), HISTORY_UNKNOWN);
}

TEST(the_oldest_make_room)
{
    struct history history = {.count = 0};

    for (uint64_t i = 0; i < HISTORY_LENGTH + 10; i++)
        history_add(&history, i);
    CHECK_EQ(history_get(&history, 0), HISTORY_LENGTH + 9);
    CHECK_EQ(history_get(&history, HISTORY_LENGTH - 1), 10);
    CHECK_EQ(history_get(&history, HISTORY_LENGTH), HISTORY_UNKNOWN);
}

TEST(what_is_not_known_stays_so)
{
    struct history history = {.count = 0};

    history_add(&history, UINT64_MAX);
    history_add(&history, 0);
    CHECK_EQ(history_get(&history, 0), 0);
    CHECK_EQ(history_get(&history, 1), HISTORY_UNKNOWN);
}
