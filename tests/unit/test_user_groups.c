#include "tests/harness.h"

#include "hypervisor/user_groups.h"
#include "utils/clock.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>

#define MANY 300 /* more than a process had room for at first */

int __wrap_getpwuid_r(uid_t uid, struct passwd *user, char *buffer, size_t size,
                      struct passwd **ret_found);
int __wrap_getgrouplist(const char *name, gid_t group, gid_t *groups, int *count);

static struct {
    struct user_groups groups;
    struct user_groups_list list;
    uint32_t questions;
    int group_count;
    bool is_down;
} at;

int __wrap_getpwuid_r(uid_t uid, struct passwd *user, char *buffer, size_t size,
                      struct passwd **ret_found)
{
    static char name[] = "somebody";

    (void)buffer;
    (void)size;
    at.questions++;
    *user = (struct passwd){.pw_name = name, .pw_uid = uid, .pw_gid = uid + 1};
    *ret_found = uid < 2000 && !at.is_down ? user : NULL;
    return at.is_down ? EIO : 0;
}

int __wrap_getgrouplist(const char *name, gid_t group, gid_t *groups, int *count)
{
    int room = *count;

    (void)name;
    *count = at.group_count;
    if (at.group_count > room)
        return -1;
    for (int i = 0; i < at.group_count; i++)
        groups[i] = i ? 100u + (gid_t)i : group;
    return at.group_count;
}

static void start(int group_count)
{
    user_groups_forget(&at.groups);
    memset(&at, 0, sizeof(at));
    at.group_count = group_count;
}

static bool find(uid_t uid, uint64_t now_ns)
{
    return user_groups_find(&at.groups, uid, now_ns, &at.list);
}

TEST(the_group_of_the_user_s_entry_is_one_of_them)
{
    start(3);
    CHECK(find(1000, 1));
    CHECK_EQ(at.list.count, 3);
    CHECK_EQ(at.list.groups[0], 1001);
    CHECK_EQ(at.list.groups[2], 102);
    start(0);
}

TEST(a_user_may_be_in_many)
{
    start(MANY);
    CHECK(find(1000, 1));
    CHECK_EQ(at.list.count, MANY);
    CHECK_EQ(at.list.groups[MANY - 1], 100 + MANY - 1);
    start(0);
}

TEST(the_system_is_asked_once_a_minute_for_each_user)
{
    start(1);
    for (uint64_t second = 1; second <= 60; second++) {
        CHECK(find(1000, second * NS_PER_SEC));
        CHECK(find(1001, second * NS_PER_SEC));
    }
    CHECK_EQ(at.questions, 2);
    CHECK(find(1000, 61 * NS_PER_SEC));
    CHECK_EQ(at.questions, 3);
    user_groups_forget(&at.groups);
    CHECK(find(1000, 62 * NS_PER_SEC));
    CHECK_EQ(at.questions, 4);
    start(0);
}

TEST(who_cannot_be_found_is_asked_about_again_a_little_later)
{
    start(1);
    CHECK(!find(3000, 1));
    CHECK(!find(3000, 9 * NS_PER_SEC));
    CHECK_EQ(at.questions, 1);
    at.is_down = true;
    CHECK(!find(1000, 1));
    at.is_down = false;
    CHECK(!find(1000, 9 * NS_PER_SEC));
    CHECK(find(1000, 11 * NS_PER_SEC));
    start(0);
}

TEST(more_users_than_are_kept_are_all_answered)
{
    start(2);
    for (uid_t uid = 1000; uid < 1000 + 3 * USER_GROUPS_KEPT; uid++) {
        CHECK(find(uid, uid));
        CHECK_EQ(at.list.groups[0], uid + 1);
    }
    CHECK(find(1000 + 3 * USER_GROUPS_KEPT - 1, 5000)); /* the newest is there */
    CHECK_EQ(at.questions, 3 * USER_GROUPS_KEPT);
    start(0);
}
