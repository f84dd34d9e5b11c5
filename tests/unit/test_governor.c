#include "tests/harness.h"
#include "tests/unit/fake_machine.h"

#include "supervisor/governor.h"
#include "supervisor/gpus.h"
#include "utils/clock.h"
#include "utils/str.h"

#include <stdlib.h>

#define TENANTS_MAX 8

struct tenant_here {
    struct region_control control;
    struct governor governor;
    struct governor_input input;
    struct roster roster;
    struct fake_program program;
    const struct region_control *peers[TENANTS_MAX];
    uint64_t due_ns, busy_ns;
    double share;         /* percent, of the newest measure() */
    uint32_t guard_calls; /* instants at which its guard would have put the channels back */
    uint64_t longest_lease_ns;
};

static struct {
    struct gpus *gpus;
    struct tenant_here tenants[TENANTS_MAX];
    size_t count;
} here;

static struct controller_object describe(const struct fake_program *program, uint32_t channel)
{
    return (struct controller_object){.pid = program->pid,
                                      .fd = program->fd,
                                      .client = program->client,
                                      .subdevice = program->subdevice,
                                      .group = program->group,
                                      .channel = channel,
                                      .engine = 1};
}

static void add(struct tenant_here *tenant, uint32_t channel)
{
    struct controller_object object = describe(&tenant->program, channel);

    CHECK_EQ(roster_add(&tenant->roster, &object, true), 0);
}

static void start_tenant(struct tenant_here *tenant, uint32_t cap)
{
    const struct gpus_card *card = gpus_card(here.gpus, 0);

    *tenant = (struct tenant_here){.control = {.magic = REGION_MAGIC, .gpu_count = 1}};
    (void)str_format(tenant->control.name, sizeof(tenant->control.name), "tenant%zu", here.count);
    (void)str_format(tenant->control.gpus[0].uuid, sizeof(tenant->control.gpus[0].uuid), "%s",
                     card->uuid);
    tenant->control.gpus[0].is_allowed = 1;
    tenant->program = fake_program_start((pid_t)(1000 + here.count));
    CHECK_EQ(roster_init(&tenant->roster), 0);
    add(tenant, 0);
    add(tenant, tenant->program.channel);
    governor_init(&tenant->governor, &tenant->control, 0, card);
    tenant->input = (struct governor_input){.quota = {cap, 1, REGION_NORMAL},
                                            .roster = &tenant->roster,
                                            .peers = tenant->peers,
                                            .busy_percent = UINT32_MAX};
    tenant->due_ns = fake_machine_now_ns();
    here.count++;
}

static void start(const uint32_t *caps, size_t count)
{
    struct err err;

    fake_machine_start(1, false);
    here.count = 0;
    CHECK_OK(gpus_open(&here.gpus, &err), &err);
    for (size_t i = 0; i < count; i++)
        start_tenant(&here.tenants[i], caps[i]);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++)
            if (i != j)
                here.tenants[i].peers[here.tenants[i].input.peer_count++] =
                    &here.tenants[j].control;
}

static void stop(void)
{
    for (size_t i = 0; i < here.count; i++) {
        governor_release(&here.tenants[i].governor, &here.tenants[i].roster);
        governor_fini(&here.tenants[i].governor);
        roster_fini(&here.tenants[i].roster);
        fake_program_end(&here.tenants[i].program);
    }
    gpus_close(here.gpus);
    fake_machine_stop();
}

/* What a guard does with its tenant's lease (docs/design/supervisor.md). */
static void guard(struct tenant_here *tenant, uint64_t now_ns)
{
    uint64_t lease_ns = atomic_load(&tenant->control.gpus[0].lease_ns);

    if (lease_ns && now_ns > lease_ns + 50 * MS)
        tenant->guard_calls++;
    if (lease_ns > now_ns && lease_ns - now_ns > tenant->longest_lease_ns)
        tenant->longest_lease_ns = lease_ns - now_ns;
}

static void run(uint64_t span_ns)
{
    uint64_t end_ns = fake_machine_now_ns() + span_ns;

    while (true) {
        struct tenant_here *next = &here.tenants[0];

        for (size_t i = 1; i < here.count; i++)
            if (here.tenants[i].due_ns < next->due_ns)
                next = &here.tenants[i];
        if (next->due_ns >= end_ns)
            break;
        fake_machine_pass_until(next->due_ns);
        guard(next, fake_machine_now_ns());
        next->due_ns = governor_step(&next->governor, &next->input);
        guard(next, fake_machine_now_ns());
    }
    fake_machine_pass_until(end_ns);
}

static uint32_t calls(void)
{
    return fake_machine_calls()->disables + fake_machine_calls()->enables;
}

static void measure(uint64_t span_ns)
{
    uint64_t begin_ns = fake_machine_now_ns();

    for (size_t i = 0; i < here.count; i++)
        here.tenants[i].busy_ns = fake_program_busy_ns(&here.tenants[i].program);
    run(span_ns);
    for (size_t i = 0; i < here.count; i++) {
        struct tenant_here *tenant = &here.tenants[i];

        tenant->share = 100.0 * (double)(fake_program_busy_ns(&tenant->program) - tenant->busy_ns) /
                        (double)(fake_machine_now_ns() - begin_ns);
    }
}

static void work(size_t i)
{
    fake_program_submit(&here.tenants[i].program, 100000 * SECOND, 0);
}

static void start_busy(const uint32_t *caps, size_t count)
{
    start(caps, count);
    for (size_t i = 0; i < count; i++)
        work(i);
    run(SECOND);
}

#define CAPS(...) (const uint32_t[]){__VA_ARGS__}, sizeof((uint32_t[]){__VA_ARGS__}) / 4

/* As after a message of the loop's. */
static void change(struct tenant_here *tenant, uint32_t cap)
{
    tenant->input.quota.cap_milli_percent = cap;
    tenant->governor.plan_ns = 0;
    tenant->governor.facts_ns = 0;
    tenant->due_ns = fake_machine_now_ns();
}

static bool is_off(const struct tenant_here *tenant)
{
    return atomic_load(&tenant->control.gpus[0].lease_ns) != 0;
}

static void check_guards(void)
{
    for (size_t i = 0; i < here.count; i++) {
        CHECK_EQ(here.tenants[i].guard_calls, 0);
        CHECK(here.tenants[i].longest_lease_ns < 150 * MS);
    }
}

/* --- shares --- */

TEST(caps_are_kept_with_what_the_records_say)
{
    start_busy(CAPS(30000, SLICES_NO_CAP));
    measure(5 * SECOND);
    CHECK_NEAR(here.tenants[0].share, 30, 0.3);
    CHECK(here.tenants[1].share > 66);
    CHECK_NEAR(here.tenants[0].governor.state.used_milli_percent, 30000, 700);
    check_guards();
    stop();
}

TEST(several_supervisors_plan_alike_without_a_leader)
{
    start_busy(CAPS(10000, 20000, 30000, SLICES_NO_CAP));
    measure(5 * SECOND);
    for (size_t i = 0; i < 3; i++)
        CHECK_NEAR(here.tenants[i].share, 10 * (double)(i + 1), 0.4);
    CHECK(here.tenants[3].share > 35);
    check_guards();
    stop();
}

/* --- who may be taken off --- */

TEST(nothing_is_taken_off_while_no_guard_watches)
{
    start(CAPS(30000));
    roster_set_armed(&here.tenants[0].roster, here.tenants[0].program.pid, false);
    work(0);
    measure(SECOND);
    CHECK_EQ(fake_machine_calls()->disables, 0);
    CHECK_EQ(atomic_load(&here.tenants[0].control.gpus[0].lease_ns), 0);
    roster_set_armed(&here.tenants[0].roster, here.tenants[0].program.pid, true);
    run(100 * MS);
    measure(SECOND);
    CHECK_NEAR(here.tenants[0].share, 30, 1);
    stop();
}

TEST(a_channel_that_appears_while_the_tenant_is_off_is_taken_off)
{
    struct tenant_here *tenant = &here.tenants[0];
    uint32_t disables;

    start_busy(CAPS(30000));
    while (!is_off(tenant))
        run(MS);
    disables = fake_machine_calls()->disables;
    add(tenant, fake_program_add_channel(&tenant->program));
    tenant->due_ns = fake_machine_now_ns();
    run(MS);
    CHECK_EQ(fake_machine_calls()->disables, disables + 1);
    CHECK(tenant->roster.entries[2].is_disabled);
    stop();
}

TEST(a_cap_that_is_lifted_puts_the_channels_back)
{
    start_busy(CAPS(10000));
    while (!is_off(&here.tenants[0]))
        run(MS);
    change(&here.tenants[0], SLICES_NO_CAP);
    run(2 * MS);
    CHECK(!is_off(&here.tenants[0]));
    measure(SECOND);
    CHECK(here.tenants[0].share > 99);
    stop();
}

TEST(release_puts_everything_back)
{
    struct tenant_here *tenant = &here.tenants[0];

    start_busy(CAPS(10000));
    while (!is_off(tenant))
        run(MS);
    governor_release(&tenant->governor, &tenant->roster);
    CHECK(!is_off(tenant));
    CHECK(!tenant->roster.entries[1].is_disabled);
    stop();
}

/* --- what goes wrong --- */

TEST(an_enable_that_fails_is_tried_again_and_again)
{
    struct tenant_here *tenant = &here.tenants[0];
    uint32_t enables;

    start_busy(CAPS(30000));
    while (!is_off(tenant))
        run(MS);
    fake_machine_refuse(0x1f);
    enables = fake_machine_calls()->enables;
    run(200 * MS);
    CHECK(fake_machine_calls()->enables > enables + 1);
    CHECK(is_off(tenant));
    CHECK(tenant->guard_calls > 0); /* the lease was let run out */
    fake_machine_refuse(0);
    run(60 * MS);
    CHECK(tenant->governor.state.engine == REGION_ENGINE_RM);
    measure(SECOND);
    CHECK_NEAR(tenant->share, 30, 1);
    stop();
}

/* It was on the engine before anybody looked: alone it writes none, and that is not zero use. */
TEST(records_are_kept_for_who_has_a_cap_or_somebody_beside_it)
{
    struct tenant_here *tenant = &here.tenants[0];

    start(CAPS(SLICES_NO_CAP, SLICES_NO_CAP));
    work(0);
    fake_machine_pass_until(fake_machine_now_ns() + 100 * MS);
    tenant->input.peer_count = 0;
    run(SECOND);
    CHECK(!tenant->governor.sampler);
    CHECK_EQ(tenant->governor.state.duty_milli_percent, 100000);
    tenant->input.peer_count = 1;
    run(3 * SECOND);
    CHECK(tenant->governor.sampler);
    CHECK(tenant->governor.state.used_milli_percent == UINT64_MAX);
    change(tenant, 30000);
    work(1);
    run(SECOND);
    measure(2 * SECOND);
    CHECK_NEAR(tenant->share, 30, 0.5);
    stop();
}

TEST(without_records_nothing_is_taken_off_and_nothing_is_known)
{
    start(CAPS(30000, SLICES_NO_CAP));
    fake_machine_set_fault("no-records");
    work(0);
    work(1);
    run(3 * SECOND);
    CHECK_EQ(calls(), 0);
    CHECK(here.tenants[0].governor.state.used_milli_percent == UINT64_MAX);
    CHECK(here.tenants[0].governor.state.duty_milli_percent == UINT64_MAX);
    fake_machine_set_fault("no-records=off");
    run(2 * SECOND);
    measure(2 * SECOND);
    CHECK_NEAR(here.tenants[0].share, 30, 0.5);
    stop();
}

TEST(a_supervisor_that_was_stopped_does_not_punish)
{
    struct tenant_here *tenant = &here.tenants[0];

    start_busy(CAPS(30000));
    while (!is_off(tenant))
        run(MS);
    for (size_t i = 0; i < tenant->roster.count; i++) /* what its guard does meanwhile */
        tenant->roster.entries[i].is_disabled = true;
    fake_machine_pass_until(fake_machine_now_ns() + 3 * SECOND);
    tenant->due_ns = fake_machine_now_ns();
    run(100 * MS);
    tenant->guard_calls = 0;
    measure(SECOND);
    CHECK_NEAR(tenant->share, 30, 1);
    check_guards();
    stop();
}

/* --- staying off for long --- */

TEST(caps_below_one_percent_are_kept_and_no_guard_has_to_help)
{
    static const uint32_t caps[] = {100, 500, 900};

    for (size_t i = 0; i < 3; i++) {
        start_busy(CAPS(caps[i], SLICES_NO_CAP));
        measure(20 * SECOND);
        CHECK_NEAR(here.tenants[0].share, caps[i] / 1000.0, 0.15);
        check_guards();
        stop();
    }
}

TEST(a_debt_is_paid_back_without_the_guards)
{
    start_busy(CAPS(5000));
    /* It is used to 100 %, and then has 50 ms of debt at 1 ms a window. */
    change(&here.tenants[0], SLICES_NO_CAP);
    run(300 * MS);
    change(&here.tenants[0], 5000);
    here.tenants[0].governor.budget.balance_ns = -(int64_t)BUDGET_DEBT_NS;
    measure(4 * SECOND);
    CHECK(here.tenants[0].share < 5.5);
    check_guards();
    stop();
}

TEST(a_lease_is_short_however_slow_the_calls_are)
{
    struct tenant_here *tenant = &here.tenants[0];

    start(CAPS(30000));
    fake_machine_set_fault("slow-controls=20");
    work(0);
    run(SECOND);
    measure(3 * SECOND);
    check_guards();
    CHECK_NEAR(tenant->share, 30, 6);
    stop();
}

/* --- drivers that do not do as they are told --- */

TEST(a_driver_that_refuses_is_left_alone)
{
    start(CAPS(30000));
    fake_machine_set_fault("disable-refused");
    work(0);
    measure(3 * SECOND);
    CHECK_EQ(here.tenants[0].governor.state.engine, REGION_ENGINE_MEMORY_ONLY);
    CHECK_EQ(atomic_load(&here.tenants[0].control.gpus[0].lease_ns), 0);
    CHECK(calls() < 10);
    CHECK(here.tenants[0].share > 99);
    stop();
}

TEST(a_driver_that_accepts_and_does_nothing_is_left_alone)
{
    start(CAPS(30000, SLICES_NO_CAP));
    fake_machine_set_fault("disable-inert");
    work(0);
    work(1);
    measure(3 * SECOND);
    CHECK_EQ(here.tenants[0].governor.state.engine, REGION_ENGINE_MEMORY_ONLY);
    CHECK_EQ(atomic_load(&here.tenants[0].control.gpus[0].lease_ns), 0);
    CHECK(calls() < 50);
    stop();
}

TEST(processes_without_a_guard_prove_nothing_against_the_driver)
{
    struct tenant_here *tenant = &here.tenants[0];
    struct fake_program other;
    struct controller_object object;

    start(CAPS(10000));
    other = fake_program_start(2000);
    object = describe(&other, other.channel);
    CHECK_EQ(roster_add(&tenant->roster, &object, false), 0);
    fake_program_submit(&other, 100000 * SECOND, 0);
    work(0);
    run(3 * SECOND);
    CHECK_EQ(tenant->governor.state.engine, REGION_ENGINE_RM);
    roster_remove_process(&tenant->roster, other.pid, -1);
    fake_program_end(&other);
    stop();
}

TEST(channels_that_come_all_the_time_prove_nothing_against_the_driver)
{
    struct tenant_here *tenant = &here.tenants[0];

    start_busy(CAPS(10000));
    for (int i = 0; i < 400; i++) {
        if (is_off(tenant))
            add(tenant, fake_program_add_channel(&tenant->program));
        tenant->due_ns = fake_machine_now_ns();
        run(5 * MS);
    }
    CHECK_EQ(tenant->governor.state.engine, REGION_ENGINE_RM);
    stop();
}

/* --- what is not known --- */

TEST(a_lost_gpu_leaves_no_lease_and_no_figures)
{
    start_busy(CAPS(30000, SLICES_NO_CAP));
    while (!is_off(&here.tenants[0]))
        run(MS);
    fake_machine_set_fault("gpu-lost");
    run(3 * SECOND);
    CHECK(here.tenants[0].governor.sampler == NULL);
    CHECK(here.tenants[0].governor.state.used_milli_percent == UINT64_MAX);
    stop();
}

TEST(records_that_stop_in_the_midst_leave_nobody_off)
{
    struct tenant_here *tenant = &here.tenants[0];

    start_busy(CAPS(30000));
    while (!is_off(tenant))
        run(MS);
    fake_machine_refuse_flush(true);
    run(100 * MS);
    CHECK(!is_off(tenant));
    CHECK(!tenant->roster.entries[1].is_disabled);
    run(2 * SECOND);
    CHECK(tenant->governor.state.used_milli_percent == UINT64_MAX);
    fake_machine_refuse_flush(false);
    run(2 * SECOND);
    measure(2 * SECOND);
    CHECK_NEAR(tenant->share, 30, 0.5);
    check_guards();
    stop();
}

TEST(records_that_begin_anew_are_not_taken_for_use)
{
    struct tenant_here *tenant = &here.tenants[0];

    start_busy(CAPS(30000, SLICES_NO_CAP));
    run(5 * SECOND);
    fake_machine_refuse_flush(true);
    run(100 * MS);
    fake_machine_refuse_flush(false);
    for (int i = 0; i < 60; i++) {
        uint64_t used = tenant->governor.state.used_milli_percent;

        run(100 * MS);
        CHECK(used == UINT64_MAX || (used > 5000 && used < 60000));
    }
    stop();
}

/* --- the rate of calls --- */

static uint32_t most_calls_a_second(void)
{
    const struct fake_calls *seen = fake_machine_calls();
    uint32_t count = calls() < FAKE_SWITCHES_MAX ? calls() : FAKE_SWITCHES_MAX, most = 0;

    for (uint32_t first = 0, last = 0; last < count; last++) {
        while (seen->times_ns[last] - seen->times_ns[first] > SECOND)
            first++;
        if (last - first + 1 > most)
            most = last - first + 1;
    }
    return most;
}

TEST(many_channels_take_more_calls_in_longer_windows)
{
    struct tenant_here *tenant = &here.tenants[0];

    start(CAPS(30000));
    for (int i = 0; i < 200; i++)
        add(tenant, fake_program_add_channel(&tenant->program));
    work(0);
    run(SECOND);
    measure(5 * SECOND);
    CHECK_EQ(fake_machine_calls()->most_channels, 64);
    CHECK(most_calls_a_second() <= 204);
    /* It occupies the engine, idle, until the last channel is off: 2 points at four calls. */
    CHECK_NEAR(tenant->share, 29, 1.5);
    check_guards();
    stop();
}

TEST(a_cap_that_is_set_all_the_time_makes_no_more_calls)
{
    struct tenant_here *tenant = &here.tenants[0];

    start_busy(CAPS(10000));
    for (int i = 0; i < 1000; i++) {
        change(tenant, i % 2 ? 10000 : 90000);
        run(2 * MS);
    }
    CHECK(most_calls_a_second() <= 204);
    stop();
}

TEST(channels_that_come_all_the_time_make_no_more_calls)
{
    struct tenant_here *tenant = &here.tenants[0];

    start_busy(CAPS(10000));
    for (int i = 0; i < 1000; i++) {
        add(tenant, fake_program_add_channel(&tenant->program));
        tenant->due_ns = fake_machine_now_ns();
        run(2 * MS);
        roster_remove(&tenant->roster, tenant->program.pid, tenant->program.fd,
                      tenant->program.client, tenant->program.next_handle - 1);
        fake_program_free(&tenant->program, tenant->program.next_handle - 1);
    }
    CHECK(most_calls_a_second() <= 204);
    stop();
}

TEST(a_process_that_is_told_anew_keeps_to_its_cap)
{
    struct tenant_here *tenant = &here.tenants[0];

    start_busy(CAPS(30000));
    while (is_off(tenant))
        run(MS);
    roster_remove_process(&tenant->roster, tenant->program.pid, -1);
    run(300 * MS);
    add(tenant, 0);
    add(tenant, tenant->program.channel);
    run(2 * SECOND);
    measure(2 * SECOND);
    CHECK_NEAR(tenant->share, 30, 1);
    stop();
}
