#include "tests/harness.h"

#include "hypervisor/snapshot.h"
#include "utils/str.h"

#include <pthread.h>
#include <stdlib.h>

#define THREADS 4
#define ROUNDS  10000

static struct snapshot *make(uint32_t count)
{
    struct snapshot *snapshot = snapshot_new(count);

    CHECK(snapshot != NULL);
    for (uint32_t i = 0; i < count; i++) {
        (void)str_format(snapshot->tenants[i].name, sizeof(snapshot->tenants[i].name), "t%03u", i);
        snapshot->tenants[i].processes = calloc(1, sizeof(struct snapshot_process));
        CHECK(snapshot->tenants[i].processes != NULL);
    }
    return snapshot;
}

TEST(a_tenant_is_found_by_its_name)
{
    struct snapshot *snapshot = make(100);
    char name[8];

    for (uint32_t i = 0; i < 100; i++) {
        (void)str_format(name, sizeof(name), "t%03u", i);
        CHECK(snapshot_find(snapshot, name) == &snapshot->tenants[i]);
    }
    CHECK(snapshot_find(snapshot, "t") == NULL);
    CHECK(snapshot_find(snapshot, "t0000") == NULL);
    CHECK(snapshot_find(snapshot, "") == NULL);
    CHECK(snapshot_find(snapshot, "u") == NULL);
    snapshot_release(snapshot);
}

TEST(in_an_empty_one_nobody_is_found)
{
    struct snapshot *snapshot = make(0);

    CHECK(snapshot_find(snapshot, "a") == NULL);
    snapshot_release(snapshot);
    snapshot_release(NULL);
}

/* What a former holder read lies before the last one frees it: seen by the sanitizers. */
static void *hold_and_release(void *context)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct snapshot *snapshot = snapshot_hold(context);

        CHECK(snapshot_find(snapshot, "t003") != NULL);
        snapshot_release(snapshot);
    }
    snapshot_release(context);
    return NULL;
}

TEST(the_last_of_many_holders_frees_it)
{
    struct snapshot *snapshot = make(10);
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, hold_and_release, snapshot_hold(snapshot)), 0);
    snapshot_release(snapshot);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
}

TEST(states_and_priorities_have_words)
{
    CHECK_STR_EQ(snapshot_state_word(SNAPSHOT_STARTING), "starting");
    CHECK_STR_EQ(snapshot_state_word(SNAPSHOT_RUNNING), "running");
    CHECK_STR_EQ(snapshot_state_word(SNAPSHOT_SUSPENDED), "suspended");
    CHECK_STR_EQ(snapshot_state_word(SNAPSHOT_QUEUED), "queued");
    CHECK_STR_EQ(snapshot_state_word(SNAPSHOT_ORPHANED), "orphaned");
    CHECK_STR_EQ(snapshot_state_word(SNAPSHOT_STATE_END), "unknown");
    CHECK_STR_EQ(snapshot_priority_word(REGION_HIGH), "high");
    CHECK_STR_EQ(snapshot_priority_word(REGION_LOW), "low");
    CHECK_STR_EQ(snapshot_priority_word(77), "unknown");
}
