#include "tests/harness.h"
#include "tests/unit/fake_machine.h"

#include "abi/rm.h"
#include "supervisor/actuator.h"

#include <errno.h>

#define CHANNELS 150

static struct {
    struct roster roster;
    struct fake_program program, other;
    uint32_t status;
} at;

static void add(const struct fake_program *program, uint32_t channel, uint32_t engine, bool armed)
{
    struct controller_object object = {.pid = program->pid,
                                       .fd = program->fd,
                                       .client = program->client,
                                       .subdevice = program->subdevice,
                                       .group = program->group,
                                       .channel = channel,
                                       .engine = engine};

    CHECK_EQ(roster_add(&at.roster, &object, armed), 0);
}

/* A program with `channels` of them and its group. */
static void start(uint32_t channels)
{
    fake_machine_start(1, false);
    CHECK_EQ(roster_init(&at.roster), 0);
    at.program = fake_program_start(100);
    at.other = fake_program_start(200);
    at.status = RM_OK;
    add(&at.program, 0, 1, true);
    add(&at.program, at.program.channel, 1, true);
    for (uint32_t i = 1; i < channels; i++)
        add(&at.program, fake_program_add_channel(&at.program), 1, true);
}

static void stop(void)
{
    roster_fini(&at.roster);
    fake_program_end(&at.program);
    fake_program_end(&at.other);
    fake_machine_stop();
}

static size_t count_disabled(void)
{
    size_t count = 0;

    for (size_t i = 0; i < at.roster.count; i++)
        count += at.roster.entries[i].is_disabled;
    return count;
}

TEST(many_channels_take_calls_of_64)
{
    start(CHANNELS);
    CHECK_EQ(actuator_calls(&at.roster), 3);
    CHECK_EQ(actuator_switch(&at.roster, true, &at.status), 3);
    CHECK_EQ(count_disabled(), CHANNELS);
    CHECK(actuator_is_all_off(&at.roster));
    CHECK_EQ(fake_machine_calls()->disables, 3);
    CHECK_EQ(fake_machine_calls()->most_channels, 64);
    CHECK_EQ(actuator_switch(&at.roster, false, &at.status), 3);
    CHECK_EQ(count_disabled(), 0);
    stop();
}

TEST(64_channels_take_one_call)
{
    start(64);
    CHECK_EQ(actuator_calls(&at.roster), 1);
    CHECK_EQ(actuator_switch(&at.roster, true, &at.status), 1);
    stop();
}

TEST(what_is_off_already_is_not_named_again)
{
    start(3);
    CHECK_EQ(actuator_switch(&at.roster, true, &at.status), 1);
    CHECK_EQ(actuator_switch(&at.roster, true, &at.status), 0);
    add(&at.program, fake_program_add_channel(&at.program), 1, true);
    CHECK(!actuator_is_all_off(&at.roster));
    CHECK_EQ(actuator_switch(&at.roster, true, &at.status), 1);
    CHECK_EQ(fake_machine_calls()->most_channels, 3);
    stop();
}

TEST(processes_without_a_guard_and_engines_that_copy_are_left_on)
{
    start(1);
    add(&at.other, at.other.channel, 1, false);
    add(&at.program, fake_program_add_channel(&at.program), 9, true);
    CHECK_EQ(actuator_switch(&at.roster, true, &at.status), 1);
    CHECK_EQ(count_disabled(), 1);
    CHECK(!at.roster.entries[2].is_disabled);
    CHECK(!at.roster.entries[3].is_disabled);
    /* What was taken off before its guard was gone is put back. */
    roster_set_armed(&at.roster, at.program.pid, false);
    CHECK(!actuator_may_disable(&at.roster));
    CHECK_EQ(actuator_switch(&at.roster, false, &at.status), 1);
    CHECK_EQ(count_disabled(), 0);
    stop();
}

TEST(channels_of_several_processes_share_a_call)
{
    start(2);
    add(&at.other, at.other.channel, 1, true);
    CHECK_EQ(actuator_switch(&at.roster, true, &at.status), 1);
    CHECK_EQ(fake_machine_calls()->most_channels, 3);
    CHECK_EQ(count_disabled(), 3);
    stop();
}

TEST(one_channel_that_has_just_gone_spoils_nothing_for_the_others)
{
    start(3);
    fake_program_free(&at.program, at.program.next_handle - 1);
    CHECK_EQ(actuator_switch(&at.roster, true, &at.status), -EREMOTEIO);
    CHECK(at.roster.entries[1].is_disabled && at.roster.entries[2].is_disabled);
    CHECK(actuator_switch(&at.roster, false, &at.status) < 0);
    CHECK(!at.roster.entries[1].is_disabled && !at.roster.entries[2].is_disabled);
    stop();
}

TEST(an_enable_that_failed_is_owed)
{
    start(2);
    CHECK_EQ(actuator_switch(&at.roster, true, &at.status), 1);
    fake_machine_refuse(RM_GPU_LOST);
    CHECK_EQ(actuator_switch(&at.roster, false, &at.status), -EREMOTEIO);
    CHECK_EQ(at.status, RM_GPU_LOST);
    CHECK_EQ(count_disabled(), 2);
    fake_machine_refuse(RM_OK);
    CHECK_EQ(actuator_switch(&at.roster, false, &at.status), 1);
    CHECK_EQ(count_disabled(), 0);
    stop();
}

TEST(a_disable_that_failed_is_undone_unless_it_was_refused)
{
    start(2);
    fake_machine_refuse(RM_GPU_LOST);
    CHECK_EQ(actuator_switch(&at.roster, true, &at.status), -EREMOTEIO);
    CHECK_EQ(count_disabled(), 2); /* who knows: they are put back */
    fake_machine_refuse(RM_OK);
    CHECK_EQ(actuator_switch(&at.roster, false, &at.status), 1);
    fake_machine_refuse(RM_INSUFFICIENT_PERMISSIONS);
    CHECK_EQ(actuator_switch(&at.roster, true, &at.status), -EREMOTEIO);
    CHECK_EQ(count_disabled(), 0);
    stop();
}

TEST(slices_are_set_where_they_differ_and_no_refusal_is_asked_for_twice)
{
    start(2);
    CHECK_EQ(actuator_set_slices(&at.roster, 3000, &at.status), 1);
    CHECK_EQ(actuator_set_slices(&at.roster, 3000, &at.status), 0);
    CHECK_EQ(actuator_set_slices(&at.roster, 4000, &at.status), 1);
    CHECK_EQ(fake_machine_calls()->slices, 2);
    fake_program_free(&at.program, at.program.group);
    CHECK_EQ(actuator_set_slices(&at.roster, 5000, &at.status), -EREMOTEIO);
    CHECK_EQ(at.status, RM_OBJECT_NOT_FOUND);
    CHECK_EQ(actuator_set_slices(&at.roster, 5000, &at.status), 0);
    stop();
}

TEST(an_empty_roster_needs_no_call)
{
    struct roster none;

    fake_machine_start(1, false);
    CHECK_EQ(roster_init(&none), 0);
    CHECK_EQ(actuator_switch(&none, true, &at.status), 0);
    CHECK_EQ(actuator_set_slices(&none, 1000, &at.status), 0);
    CHECK_EQ(actuator_calls(&none), 0);
    CHECK(!actuator_may_disable(&none));
    roster_fini(&none);
    fake_machine_stop();
}
