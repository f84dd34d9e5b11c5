#include "tests/harness.h"
#include "tests/unit/fake_system.h"

#include "hypervisor/membership.h"

#include <stdlib.h>
#include <string.h>

#define ROOM "/docker/a"

static struct fake_system fake;
static struct foreign_system port;
static struct membership *membership;

static void start(void)
{
    port = fake_system_prepare(&fake);
    CHECK_OK(membership_new(&membership, &port, NULL), NULL);
}

static void stop(void)
{
    membership_free(membership);
}

/* Tenants a and b with so many pids each; a's come first. */
static void update(const int32_t *pids, size_t a_count, size_t b_count)
{
    const struct foreign_tenant tenants[] = {
        {.name = "a", .pids = pids, .pid_count = a_count},
        {.name = "b", .pids = pids + a_count, .pid_count = b_count}};
    const struct foreign_input input = {.tenants = tenants, .tenant_count = 2};

    CHECK(membership_update(membership, &input));
}

static void check_owner(const char *cgroup, const char *wanted)
{
    const char *owner = membership_find_owner(membership, cgroup);

    CHECK_STR_EQ(owner ? owner : "nobody", wanted);
}

TEST(who_was_a_tenants_stays_so_until_it_ends)
{
    const int32_t pids[] = {10};

    start();
    fake_system_start(&fake, 10, "work", "/");
    update(pids, 1, 0);
    CHECK(membership_has(membership, 10));
    update(pids, 0, 0);
    CHECK(membership_has(membership, 10));
    fake_system_end(&fake, 10);
    update(pids, 0, 0);
    CHECK(!membership_has(membership, 10));
    stop();
}

TEST(a_pid_that_is_used_again_is_another_process)
{
    const int32_t pids[] = {10};

    start();
    fake_system_start(&fake, 10, "work", "/");
    update(pids, 1, 0);
    fake_system_start(&fake, 10, "other", "/");
    update(pids, 0, 0);
    CHECK(!membership_has(membership, 10));
    stop();
}

TEST(who_is_listed_is_read_once)
{
    const int32_t pids[] = {10, 11};
    int count;

    start();
    fake_system_start(&fake, 10, "work", "/");
    fake_system_start(&fake, 11, "work", "/");
    update(pids, 1, 1);
    count = fake.describe_count;
    update(pids, 1, 1);
    CHECK_EQ(fake.describe_count, count);
    stop();
}

TEST(a_container_is_its_tenants_with_all_that_is_below_it)
{
    const int32_t pids[] = {10, 11};

    start();
    fake_system_start(&fake, 10, "work", ROOM);
    fake_system_start(&fake, 11, "work", "/docker/b");
    update(pids, 1, 1);
    check_owner(ROOM, "a");
    check_owner(ROOM "/nested", "a");
    check_owner("/docker/b", "b");
    check_owner("/docker/abc", "nobody");
    check_owner("/docker", "nobody");
    check_owner("", "nobody");
    stop();
}

TEST(a_group_of_two_tenants_is_nobodys)
{
    const int32_t pids[] = {10, 11};

    start();
    fake_system_start(&fake, 10, "work", ROOM);
    fake_system_start(&fake, 11, "work", ROOM "/inner");
    update(pids, 1, 1);
    check_owner(ROOM, "nobody");
    check_owner(ROOM "/other", "nobody");
    check_owner(ROOM "/inner", "b"); /* the nearer one */
    stop();
}

TEST(a_session_is_nobodys)
{
    const int32_t pids[] = {10};

    start();
    fake_system_start(&fake, 10, "work", "/user.slice/user-1.slice/session-1.scope");
    update(pids, 1, 0);
    check_owner("/user.slice/user-1.slice/session-1.scope", "nobody");
    stop();
}

TEST(a_group_that_we_are_in_is_nobodys)
{
    const int32_t pids[] = {10};

    port = fake_system_prepare(&fake);
    fake.own_cgroup = ROOM;
    fake_system_start(&fake, 10, "work", ROOM);
    CHECK_OK(membership_new(&membership, &port, NULL), NULL);
    update(pids, 1, 0);
    check_owner(ROOM, "nobody");
    stop();
}

TEST(thousands_are_remembered)
{
    static int32_t pids[4000];

    start();
    for (int i = 0; i < 4000; i++)
        pids[i] = 2000 + i;
    update(pids, 2000, 2000);
    CHECK(membership_has(membership, 2000) && membership_has(membership, 5999));
    update(pids, 0, 0);
    CHECK(!membership_has(membership, 2000));
    stop();
}

/* Tenant a, which is ours, has so many of the pids; m@1000 claims the others. */
static void update_beside(const int32_t *pids, size_t a_count, size_t claimed_count)
{
    const struct foreign_tenant tenants[] = {{.name = "m@1000",
                                              .pids = pids + a_count,
                                              .pid_count = claimed_count,
                                              .is_observed = true,
                                              .uid = 1000},
                                             {.name = "a", .pids = pids, .pid_count = a_count}};
    const struct foreign_input input = {.tenants = tenants, .tenant_count = 2};

    CHECK(membership_update(membership, &input));
}

TEST(others_claim_processes_of_their_own_user_alone)
{
    const int32_t pids[] = {10, 11, 12};

    start();
    fake_system_start(&fake, 10, "own", ROOM);
    fake_system_start(&fake, 11, "stranger", "/docker/b");
    fake.processes[11].process.uid = 1001;
    update_beside(pids, 0, 3); /* there is no process 12 */
    CHECK(membership_has(membership, 10));
    CHECK(!membership_has(membership, 11));
    CHECK(!membership_has(membership, 12));
    check_owner(ROOM, "m@1000");
    check_owner("/docker/b", "nobody");
    stop();
}

TEST(nobody_claims_a_process_of_ours)
{
    const int32_t pids[] = {10, 10};

    start();
    fake_system_start(&fake, 10, "work", ROOM);
    update_beside(pids, 1, 1);
    check_owner(ROOM, "a");
    update_beside(pids, 0, 1); /* its supervisor has just been replaced */
    check_owner(ROOM, "a");
    stop();
}

TEST(one_that_was_claimed_first_is_ours_once_it_registers)
{
    const int32_t pids[] = {10};

    start();
    fake_system_start(&fake, 10, "work", ROOM);
    update_beside(pids, 0, 1);
    check_owner(ROOM, "m@1000");
    update_beside(pids, 1, 0);
    check_owner(ROOM, "a");
    stop();
}

TEST(a_claimed_pid_that_is_used_again_is_looked_at_again)
{
    const int32_t pids[] = {10};

    start();
    fake_system_start(&fake, 10, "own", ROOM);
    update_beside(pids, 0, 1);
    CHECK(membership_has(membership, 10));
    fake_system_start(&fake, 10, "stranger", ROOM);
    fake.processes[10].process.uid = 1001;
    update_beside(pids, 0, 1);
    CHECK(!membership_has(membership, 10));
    update_beside(pids, 0, 0);
    CHECK(!membership_has(membership, 10));
    stop();
}

TEST(many_are_found_and_each_is_described_once)
{
    static int32_t pids[1000];
    int count;

    start();
    for (int i = 0; i < 1000; i++) {
        pids[i] = i + 1;
        fake_system_start(&fake, i + 1, "work", "/");
    }
    update(pids, 1000, 0);
    count = fake.describe_count;
    for (int i = 0; i < 1000; i++)
        CHECK(membership_has(membership, i + 1));
    for (int i = 0; i < 500; i++)
        fake_system_end(&fake, 2 * i + 1);
    update(pids, 0, 0);
    for (int i = 0; i < 1000; i++)
        CHECK_EQ(membership_has(membership, i + 1), i % 2 == 1);
    CHECK_EQ(fake.describe_count, count + 1000);
    stop();
}
