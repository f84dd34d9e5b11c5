#include "tests/harness.h"

#include "supervisor/roster.h"

#include <errno.h>

static struct roster roster;

static struct controller_object make(pid_t pid, int fd, uint32_t group, uint32_t channel)
{
    return (struct controller_object){.pid = pid,
                                      .fd = fd,
                                      .client = 0xc1,
                                      .subdevice = 2,
                                      .group = group,
                                      .channel = channel,
                                      .engine = 1};
}

static void add(pid_t pid, int fd, uint32_t group, uint32_t channel)
{
    struct controller_object object = make(pid, fd, group, channel);

    CHECK_EQ(roster_add(&roster, &object, false), 0);
}

TEST(one_that_is_told_twice_is_kept_once_and_its_slice_counts_as_overwritten)
{
    CHECK_EQ(roster_init(&roster), 0);
    add(1, 5, 0x10, 0);
    roster.entries[0].slice_us = 2000;
    add(1, 5, 0x10, 0);
    CHECK_EQ(roster.count, 1);
    CHECK_EQ(roster.entries[0].slice_us, 0);
    roster_fini(&roster);
}

TEST(one_that_is_told_again_while_off_stays_off)
{
    CHECK_EQ(roster_init(&roster), 0);
    add(1, 5, 0x10, 0x11);
    roster.entries[0].is_disabled = true;
    add(1, 5, 0x10, 0x11);
    CHECK(roster.entries[0].is_disabled);
    roster_fini(&roster);
}

TEST(a_group_goes_with_its_channels_and_a_client_with_all)
{
    CHECK_EQ(roster_init(&roster), 0);
    for (uint32_t group = 0x10; group < 0x30; group += 0x10)
        for (uint32_t channel = 0; channel < 4; channel++)
            add(1, 5, group, channel ? group + channel : 0);
    roster_remove(&roster, 1, 5, 0xc1, 0x11);
    CHECK_EQ(roster.count, 7);
    roster_remove(&roster, 1, 5, 0xc1, 0x10);
    CHECK_EQ(roster.count, 4);
    roster_remove(&roster, 1, 5, 0xc2, 0xc2); /* another's client */
    roster_remove(&roster, 2, 5, 0xc1, 0xc1); /* another process */
    roster_remove(&roster, 1, 6, 0xc1, 0xc1); /* another file */
    CHECK_EQ(roster.count, 4);
    roster_remove(&roster, 1, 5, 0xc1, 0xc1);
    CHECK_EQ(roster.count, 0);
    roster_fini(&roster);
}

TEST(a_process_goes_with_all_or_with_a_file_of_its)
{
    CHECK_EQ(roster_init(&roster), 0);
    add(1, 5, 0x10, 0);
    add(1, 6, 0x20, 0);
    add(2, 5, 0x10, 0);
    roster_remove_process(&roster, 1, 6);
    CHECK_EQ(roster.count, 2);
    roster_remove_process(&roster, 1, -1);
    CHECK_EQ(roster.count, 1);
    CHECK_EQ(roster.entries[0].object.pid, 2);
    roster_fini(&roster);
}

TEST(one_beyond_the_last_place_is_refused_and_places_come_free)
{
    struct controller_object object = make(1, 5, 0x10, 0xffffff);

    CHECK_EQ(roster_init(&roster), 0);
    for (uint32_t i = 0; i < ROSTER_ENTRIES_MAX; i++)
        add(1, 5, 0x10, i);
    CHECK_EQ(roster_add(&roster, &object, true), -ENOSPC);
    CHECK_EQ(roster.count, ROSTER_ENTRIES_MAX);
    roster_remove(&roster, 1, 5, 0xc1, 17);
    CHECK_EQ(roster_add(&roster, &object, true), 0);
    roster_fini(&roster);
    roster_fini(&roster);
}

TEST(guards_are_armed_by_process)
{
    CHECK_EQ(roster_init(&roster), 0);
    add(1, 5, 0x10, 0x11);
    add(2, 5, 0x10, 0x11);
    roster_set_armed(&roster, 2, true);
    CHECK(!roster.entries[0].is_armed && roster.entries[1].is_armed);
    roster_fini(&roster);
}

TEST(only_engines_that_run_kernels_are_ours_to_schedule)
{
    struct roster_entry entry = {.is_armed = false};

    for (uint32_t engine = 0; engine < 0x40; engine++) {
        entry.object.engine = engine;
        CHECK_EQ(roster_is_compute(&entry), engine >= 1 && engine <= 8);
    }
    entry.object.engine = UINT32_MAX;
    CHECK(!roster_is_compute(&entry));
}
