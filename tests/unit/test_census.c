#include "tests/harness.h"
#include "tests/unit/fake_machine.h"

#include "supervisor/census.h"
#include "supervisor/gpus.h"

static struct {
    struct gpus *gpus;
    struct sampler *sampler;
    struct census census;
    struct roster roster;
    struct fake_program ours, second, other;
} at;

static void add(const struct fake_program *program, uint32_t channel)
{
    struct controller_object object = {.pid = program->pid,
                                       .fd = program->fd,
                                       .client = program->client,
                                       .group = program->group,
                                       .channel = channel,
                                       .engine = 1};

    CHECK_EQ(roster_add(&at.roster, &object, true), 0);
}

static void start(void)
{
    struct err err;

    fake_machine_start(1, false);
    CHECK_OK(gpus_open(&at.gpus, &err), &err);
    CHECK_OK(sampler_open(&at.sampler, gpus_card(at.gpus, 0), &err), &err);
    CHECK_EQ(roster_init(&at.roster), 0);
    census_init(&at.census);
    at.ours = fake_program_start(100);
    at.second = fake_program_start(101);
    at.other = fake_program_start(200);
    add(&at.ours, 0);
    add(&at.ours, at.ours.channel);
}

static void stop(void)
{
    roster_fini(&at.roster);
    sampler_close(at.sampler);
    fake_program_end(&at.ours);
    fake_program_end(&at.second);
    fake_program_end(&at.other);
    gpus_close(at.gpus);
    fake_machine_stop();
}

static void pass(uint64_t span_ns)
{
    fake_machine_pass_until(fake_machine_now_ns() + span_ns);
    CHECK(sampler_read(at.sampler, true) >= 0);
    census_update(&at.census, at.sampler, &at.roster, fake_machine_now_ns());
}

static bool is_active(void)
{
    return at.census.active_until_ns > fake_machine_now_ns();
}

static bool has_neighbour(void)
{
    return at.census.neighbour_until_ns > fake_machine_now_ns();
}

TEST(one_that_works_alone_is_active_and_has_no_neighbour)
{
    start();
    pass(MS);
    CHECK(!is_active() && !has_neighbour());
    CHECK_EQ(at.census.group_count, 1);
    CHECK_EQ(at.census.busy_group_count, 0);
    fake_program_submit(&at.ours, 100 * MS, 0);
    pass(50 * MS);
    CHECK(is_active() && !has_neighbour());
    CHECK(at.census.is_on_engine);
    CHECK_EQ(at.census.busy_group_count, 1);
    CHECK_NEAR(at.census.net_ns / 1e6, 50, 1);
    stop();
}

TEST(another_s_work_is_not_ours)
{
    start();
    fake_program_submit(&at.other, 10 * SECOND, 0);
    pass(100 * MS);
    CHECK(!is_active() && has_neighbour());
    CHECK_EQ(at.census.net_ns, 0);
    fake_program_submit(&at.ours, 10 * SECOND, 0);
    pass(SECOND);
    CHECK(is_active() && has_neighbour());
    CHECK_NEAR(at.census.net_ns / 1e6, 475, 30); /* half, less the switches */
    stop();
}

TEST(processes_of_a_tenant_are_summed_and_what_the_gone_used_stays)
{
    int64_t before_ns;

    start();
    add(&at.second, 0);
    add(&at.second, at.second.channel);
    fake_program_submit(&at.ours, 50 * MS, 0);
    fake_program_submit(&at.second, 50 * MS, 0);
    pass(50 * MS);
    CHECK_EQ(at.census.group_count, 2);
    CHECK_EQ(at.census.busy_group_count, 2);
    CHECK(!has_neighbour());
    before_ns = at.census.net_ns;
    roster_remove_process(&at.roster, at.second.pid, -1);
    pass(US);
    CHECK_NEAR((at.census.net_ns - before_ns) / 1e6, 0, 0.2);
    CHECK_EQ(at.census.group_count, 1);
    stop();
}

TEST(a_pid_used_again_begins_with_nothing)
{
    int64_t before_ns;

    start();
    fake_program_submit(&at.ours, 50 * MS, 0);
    fake_program_submit(&at.other, 200 * MS, 0);
    pass(200 * MS);
    before_ns = at.census.net_ns;
    roster_remove_process(&at.roster, at.ours.pid, -1);
    pass(MS);
    add(&at.ours, 0);
    add(&at.ours, at.ours.channel);
    pass(MS);
    CHECK_EQ(at.census.net_ns, before_ns);
    stop();
}

TEST(more_processes_than_there_is_room_for_are_no_harm)
{
    start();
    for (pid_t pid = 1000; pid < 1000 + 2 * CENSUS_PROCESSES_MAX; pid++) {
        struct fake_program program = at.second;

        program.pid = pid;
        add(&program, 0);
    }
    fake_program_submit(&at.ours, 100 * MS, 0);
    pass(50 * MS);
    CHECK_EQ(at.census.count, CENSUS_PROCESSES_MAX);
    CHECK_NEAR(at.census.net_ns / 1e6, 50, 1);
    stop();
}

TEST(copy_engines_are_not_counted)
{
    start();
    at.roster.entries[0].object.engine = 9;
    at.roster.entries[1].object.engine = 9;
    fake_program_submit(&at.ours, 100 * MS, 0);
    pass(50 * MS);
    CHECK_EQ(at.census.group_count, 0);
    CHECK_EQ(at.census.net_ns, 0);
    stop();
}

TEST(without_records_every_group_counts_as_busy_and_use_stays_unknown)
{
    start();
    census_assume(&at.census, &at.roster, 7 * MS);
    CHECK_EQ(at.census.group_count, 1);
    CHECK_EQ(at.census.busy_group_count, 1);
    CHECK(at.census.active_until_ns > 7 * MS);
    CHECK_EQ(at.census.net_ns, 0);
    roster_remove_process(&at.roster, at.ours.pid, -1);
    census_assume(&at.census, &at.roster, 8 * MS);
    CHECK_EQ(at.census.busy_group_count, 0);
    stop();
}
