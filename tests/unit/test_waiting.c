#include "tests/harness.h"
#include "tests/unit/node_world.h"

#include "hypervisor/waiting.h"
#include "utils/atomics.h"
#include "utils/clock.h"
#include "utils/str.h"

#include <errno.h>
#include <string.h>

#define SOMEBODY 4294967000u

static struct node_world *world;

static void start(const char *behaviour)
{
    world = node_world_start(behaviour);
}

static int create(const char *name, uint64_t memory_bytes)
{
    struct request request = node_world_create(name, memory_bytes);

    return node_world_do(&request);
}

TEST(who_does_not_fit_and_does_not_wait_is_refused)
{
    start("answer");
    CHECK_EQ(create("a", 50 * GIB), 0);
    CHECK_EQ(create("b", 50 * GIB), -ENOSPC);
    node_world_stop();
}

TEST(who_waits_is_shown_and_served_when_there_is_room)
{
    struct request waits, end;

    start("answer");
    CHECK_EQ(create("a", 50 * GIB), 0);
    waits = node_world_create("b", 50 * GIB);
    waits.queue_ns = UINT64_MAX; /* for ever */
    node_world_post(&waits);
    CHECK(node_world_becomes("b", "queued"));
    CHECK(!node_world_is_done(&waits));
    CHECK_EQ(create("c", 10 * GIB), -ENOSPC); /* which would fit */
    CHECK_EQ(create("b", GIB), -EEXIST);
    end = node_world_request(REQUEST_DELETE, "a");
    CHECK_EQ(node_world_do(&end), 0);
    CHECK(node_world_becomes("b", "running"));
    CHECK_EQ(waits.status, 0);
    CHECK_EQ(node_world_done_count(&waits), 1);
    CHECK_EQ(create("c", 10 * GIB), 0);
    node_world_stop();
}

TEST(who_has_waited_for_long_enough_is_refused)
{
    struct request waits;

    start("answer");
    CHECK_EQ(create("a", 50 * GIB), 0);
    waits = node_world_create("b", 50 * GIB);
    waits.queue_ns = 1;
    CHECK_EQ(node_world_do(&waits), -ENOSPC);
    CHECK(list_is_empty(&world->node->waiting));
    node_world_stop();
}

TEST(nobody_waits_for_longer_than_an_hour)
{
    struct request waits;

    start("answer");
    CHECK_EQ(create("a", 50 * GIB), 0);
    waits = node_world_create("b", 50 * GIB);
    waits.queue_ns = UINT64_MAX;
    node_world_post(&waits);
    CHECK(node_world_becomes("b", "queued"));
    CHECK(CONTAINER_OF(world->node->waiting.next, struct waiting, node)->until_ns <=
          clock_now_ns() + 3600 * NS_PER_SEC);
    node_world_end_node();
    node_world_stop();
}

TEST(one_that_waits_is_deleted_by_its_user_and_by_operators)
{
    struct request waits, other, delete;

    start("answer");
    CHECK_EQ(create("a", 50 * GIB), 0);
    waits = node_world_create("b", 50 * GIB);
    waits.queue_ns = UINT64_MAX;
    other = node_world_create("c", 50 * GIB);
    other.queue_ns = UINT64_MAX;
    other.caller = (struct request_caller){.uid = SOMEBODY, .gid = SOMEBODY};
    node_world_post(&waits);
    node_world_post(&other);
    CHECK(node_world_becomes("c", "queued"));
    delete = node_world_request(REQUEST_DELETE, "b");
    delete.caller = (struct request_caller){.uid = SOMEBODY, .gid = SOMEBODY};
    CHECK_EQ(node_world_do(&delete), -EPERM);
    CHECK(!node_world_is_done(&waits));
    delete = node_world_request(REQUEST_DELETE, "b");
    CHECK_EQ(node_world_do(&delete), 0);
    CHECK_EQ(waits.status, -ECANCELED);
    delete = node_world_request(REQUEST_DELETE, "c");
    delete.caller = (struct request_caller){.uid = SOMEBODY, .gid = SOMEBODY};
    CHECK_EQ(node_world_do(&delete), 0);
    CHECK_EQ(other.status, -ECANCELED);
    CHECK_EQ(node_world_done_count(&waits), 1);
    CHECK(list_is_empty(&world->node->waiting));
    node_world_stop();
}

TEST(one_whose_asker_has_gone_waits_no_more)
{
    struct request waits;

    start("answer");
    CHECK_EQ(create("a", 50 * GIB), 0);
    waits = node_world_create("b", 50 * GIB);
    waits.queue_ns = UINT64_MAX;
    node_world_post(&waits);
    CHECK(node_world_becomes("b", "queued"));
    store_relaxed(&waits.is_abandoned, true);
    CHECK(node_world_wait_done(&waits));
    CHECK_EQ(waits.status, -ECONNRESET);
    CHECK(list_is_empty(&world->node->waiting));
    node_world_stop();
}

TEST(a_user_may_have_so_many_waiting_and_no_more)
{
    struct request waits[33];
    char name[16];

    start("answer");
    CHECK_EQ(create("a", 50 * GIB), 0);
    for (int i = 0; i < 33; i++) {
        (void)str_format(name, sizeof(name), "w%d", i);
        waits[i] = node_world_create(name, 50 * GIB);
        waits[i].caller = (struct request_caller){.uid = SOMEBODY, .gid = SOMEBODY};
        waits[i].queue_ns = UINT64_MAX;
        if (i < 32)
            node_world_post(&waits[i]);
    }
    CHECK_EQ(node_world_do(&waits[32]), -EAGAIN);
    CHECK(!node_world_is_done(&waits[31]));
    node_world_end_node();
    for (int i = 0; i < 32; i++)
        CHECK_EQ(waits[i].status, -ECONNRESET);
    node_world_stop();
}

TEST(one_that_waits_and_cannot_be_made_lets_the_next_one_have_its_turn)
{
    struct request first, second, end;

    start("answer");
    CHECK_EQ(create("a", 50 * GIB), 0);
    first = node_world_create("b", 50 * GIB);
    second = node_world_create("c", 50 * GIB);
    first.queue_ns = second.queue_ns = UINT64_MAX;
    node_world_post(&first);
    node_world_post(&second);
    CHECK(node_world_becomes("c", "queued"));
    node_world_behave("die");
    end = node_world_request(REQUEST_DELETE, "a");
    CHECK_EQ(node_world_do(&end), 0);
    CHECK(node_world_wait_done(&second));
    CHECK_EQ(first.status, -EIO);
    CHECK_EQ(second.status, -EIO);
    node_world_stop();
}
