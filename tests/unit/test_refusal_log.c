#include "tests/harness.h"

#include "hypervisor/refusal_log.h"
#include "utils/clock.h"

#include <string.h>

#define USER 1000

static struct refusal_log refusals;

static void start(void)
{
    memset(&refusals, 0, sizeof(refusals));
}

/* How many of so many are told. */
static uint32_t ask(uid_t uid, uint32_t count, uint64_t now_ns)
{
    uint32_t told = 0;

    for (uint32_t i = 0; i < count; i++)
        told += refusal_log_may_tell(&refusals, uid, now_ns);
    return told;
}

TEST(a_user_s_are_told_twenty_times_a_minute)
{
    uint32_t count;
    uid_t uid;

    start();
    CHECK_EQ(ask(USER, 1000, 1), 20);
    CHECK_EQ(ask(USER, 1000, 59 * NS_PER_SEC), 0);
    CHECK_EQ(ask(USER + 1, 20, 59 * NS_PER_SEC), 20); /* another one has its own */
    CHECK(!refusal_log_take(&refusals, 60 * NS_PER_SEC, &uid, &count));
    CHECK(refusal_log_take(&refusals, 61 * NS_PER_SEC, &uid, &count));
    CHECK_EQ(uid, USER);
    CHECK_EQ(count, 1980);
    CHECK(!refusal_log_take(&refusals, 61 * NS_PER_SEC, &uid, &count));
    CHECK_EQ(ask(USER, 1000, 61 * NS_PER_SEC), 20);
}

TEST(what_was_not_told_is_not_forgotten_when_the_next_minute_begins)
{
    uint32_t count;
    uid_t uid;

    start();
    CHECK_EQ(ask(USER, 25, 1), 20);
    CHECK_EQ(ask(USER, 21, 61 * NS_PER_SEC), 20);
    CHECK(refusal_log_take(&refusals, 122 * NS_PER_SEC, &uid, &count));
    CHECK_EQ(count, 6);
}

TEST(many_users_share_what_is_left)
{
    uint32_t count;
    uid_t uid;

    start();
    for (uid_t i = 0; i < REFUSAL_LOG_USERS; i++)
        CHECK_EQ(ask(USER + i, 1, 1), 1);
    for (uid_t i = 0; i < 15; i++)
        CHECK_EQ(ask(USER + 100 + i, 2, 1), i < 10 ? 2 : 0);
    CHECK(refusal_log_take(&refusals, 61 * NS_PER_SEC, &uid, &count));
    CHECK_EQ(uid, REFUSAL_LOG_OTHERS);
    CHECK_EQ(count, 10);
    CHECK_EQ(ask(USER + 100, 21, 62 * NS_PER_SEC), 20); /* there is a place now */
    CHECK(refusal_log_take(&refusals, 200 * NS_PER_SEC, &uid, &count));
    CHECK_EQ(uid, USER + 100);
}
