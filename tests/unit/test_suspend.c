#include "tests/harness.h"
#include "tests/unit/fake_machine.h"

#include "rm/control.h"
#include "supervisor/governor.h"
#include "supervisor/gpus.h"
#include "utils/str.h"

#include <stdatomic.h>

/* One tenant that is suspended and resumed, and a neighbour that works or not. */
struct tenant_here {
    struct region_control control;
    struct governor governor;
    struct governor_input input;
    struct roster roster;
    struct fake_program program;
    const struct region_control *peers[1];
    uint64_t due_ns, busy_ns;
    uint32_t guard_calls; /* instants at which its guard would have put the channels back */
    uint64_t longest_lease_ns;
};

static struct {
    struct gpus *gpus;
    struct tenant_here tenants[2];
    size_t count;
} here;

static void add(struct tenant_here *tenant, uint32_t channel, bool is_armed)
{
    struct controller_object object = {.pid = tenant->program.pid,
                                       .fd = tenant->program.fd,
                                       .client = tenant->program.client,
                                       .subdevice = tenant->program.subdevice,
                                       .group = tenant->program.group,
                                       .channel = channel,
                                       .engine = 1};

    CHECK_EQ(roster_add(&tenant->roster, &object, is_armed), 0);
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
    add(tenant, 0, true);
    add(tenant, tenant->program.channel, true);
    governor_init(&tenant->governor, &tenant->control, 0, card);
    tenant->input = (struct governor_input){.quota = {cap, 1, REGION_NORMAL, false},
                                            .roster = &tenant->roster,
                                            .peers = tenant->peers,
                                            .busy_percent = UINT32_MAX};
    tenant->due_ns = fake_machine_now_ns();
    here.count++;
}

static void start(uint32_t cap, bool has_neighbour)
{
    struct err err;

    fake_machine_start(1, false);
    here.count = 0;
    CHECK_OK(gpus_open(&here.gpus, &err), &err);
    start_tenant(&here.tenants[0], cap);
    if (has_neighbour) {
        start_tenant(&here.tenants[1], SLICES_NO_CAP);
        for (size_t i = 0; i < 2; i++) {
            here.tenants[i].peers[0] = &here.tenants[1 - i].control;
            here.tenants[i].input.peer_count = 1;
        }
    }
    for (size_t i = 0; i < here.count; i++)
        fake_program_submit(&here.tenants[i].program, 100000 * SECOND, 0);
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

static uint64_t lease_of(const struct tenant_here *tenant)
{
    return atomic_load(&tenant->control.gpus[0].lease_ns);
}

/* What a guard does with its tenant's lease (docs/design/supervisor.md). */
static void guard(struct tenant_here *tenant, uint64_t now_ns)
{
    uint64_t lease_ns = lease_of(tenant);

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

        if (here.count == 2 && here.tenants[1].due_ns < next->due_ns)
            next = &here.tenants[1];
        if (next->due_ns >= end_ns)
            break;
        fake_machine_pass_until(next->due_ns);
        guard(next, fake_machine_now_ns());
        next->due_ns = governor_step(&next->governor, &next->input);
        guard(next, fake_machine_now_ns());
    }
    fake_machine_pass_until(end_ns);
}

/* As after a message of the loop's. */
static void change(bool is_suspended, uint32_t cap)
{
    struct tenant_here *tenant = &here.tenants[0];

    tenant->input.quota.is_suspended = is_suspended;
    tenant->input.quota.cap_milli_percent = cap;
    tenant->governor.plan_ns = 0;
    tenant->governor.facts_ns = 0;
    tenant->due_ns = fake_machine_now_ns();
}

/* The part of the time that the first tenant is on the engine, in percent. */
static double measure(uint64_t span_ns)
{
    uint64_t busy_ns = fake_program_busy_ns(&here.tenants[0].program);

    run(span_ns);
    return 100.0 * (double)(fake_program_busy_ns(&here.tenants[0].program) - busy_ns) /
           (double)span_ns;
}

static uint32_t calls(void)
{
    return fake_machine_calls()->disables + fake_machine_calls()->enables;
}

static void check_guard(void)
{
    CHECK_EQ(here.tenants[0].guard_calls, 0);
    CHECK(here.tenants[0].longest_lease_ns < 150 * MS);
}

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

/* --- off --- */

TEST(who_is_suspended_goes_off_at_once_and_stays_off)
{
    start(SLICES_NO_CAP, false);
    run(SECOND);
    change(true, SLICES_NO_CAP);
    run(10 * MS);
    CHECK(lease_of(&here.tenants[0]) != 0);
    CHECK(here.tenants[0].roster.entries[1].is_disabled);
    CHECK_NEAR(measure(30 * SECOND), 0, 0.0001);
    check_guard();
    stop();
}

/* What is said of it while it is off: to its neighbours, and to people. */
static void check_told(const struct tenant_here *tenant)
{
    struct region_facts facts;

    CHECK(region_read_facts(&tenant->control.gpus[0], &facts));
    CHECK_EQ(facts.is_active, 0);
    CHECK_EQ(facts.busy_group_count, 0);
    CHECK_EQ(facts.duty_milli_percent, 0);
    CHECK_EQ(tenant->governor.state.duty_milli_percent, 0);
    CHECK_EQ(tenant->governor.state.busy_group_count, 0);
}

TEST(who_is_suspended_alone_is_not_told_to_be_busy)
{
    struct tenant_here *tenant = &here.tenants[0];
    struct region_facts facts;

    for (int has_records = 0; has_records < 2; has_records++) {
        start(SLICES_NO_CAP, false);
        if (!has_records)
            fake_machine_set_fault("no-records");
        run(SECOND);
        CHECK_EQ(tenant->governor.state.duty_milli_percent, 100000);
        change(true, SLICES_NO_CAP);
        run(50 * MS);
        change(true, SLICES_NO_CAP); /* as its next facts */
        run(5 * MS);
        CHECK(region_read_facts(&tenant->control.gpus[0], &facts));
        CHECK_EQ(facts.is_active, 0); /* at once: others need not make room for it any more */
        run(3 * SECOND);
        check_told(tenant);
        CHECK_EQ(tenant->governor.sampler != NULL, has_records);
        change(false, SLICES_NO_CAP);
        run(3 * SECOND);
        CHECK_EQ(tenant->governor.state.duty_milli_percent, 100000);
        CHECK(region_read_facts(&tenant->control.gpus[0], &facts));
        CHECK_EQ(facts.is_active, 1);
        CHECK(!tenant->governor.sampler);
        stop();
    }
}

TEST(the_lease_of_who_is_suspended_is_renewed_all_the_time)
{
    struct tenant_here *tenant = &here.tenants[0];

    start(SLICES_NO_CAP, true);
    run(SECOND);
    change(true, SLICES_NO_CAP);
    run(10 * MS);
    for (int i = 0; i < 2000; i++) {
        run(5 * MS);
        CHECK(lease_of(tenant) > fake_machine_now_ns());
        CHECK(lease_of(tenant) < fake_machine_now_ns() + 150 * MS);
    }
    check_guard();
    stop();
}

TEST(staying_off_takes_hardly_a_call)
{
    uint32_t before;

    start(SLICES_NO_CAP, true);
    run(SECOND);
    change(true, SLICES_NO_CAP);
    run(100 * MS);
    before = calls();
    run(10 * SECOND);
    CHECK_EQ(calls(), before);
    stop();
}

TEST(its_neighbour_has_the_whole_gpu_meanwhile)
{
    uint64_t busy_ns;

    start(SLICES_NO_CAP, true);
    run(SECOND);
    change(true, SLICES_NO_CAP);
    run(100 * MS);
    busy_ns = fake_program_busy_ns(&here.tenants[1].program);
    run(5 * SECOND);
    CHECK(fake_program_busy_ns(&here.tenants[1].program) - busy_ns > 5 * SECOND * 98 / 100);
    stop();
}

TEST(channels_that_appear_while_it_is_suspended_are_taken_off)
{
    struct tenant_here *tenant = &here.tenants[0];

    start(SLICES_NO_CAP, false);
    run(SECOND);
    change(true, SLICES_NO_CAP);
    run(100 * MS);
    add(tenant, fake_program_add_channel(&tenant->program), true);
    tenant->due_ns = fake_machine_now_ns();
    run(50 * MS);
    CHECK(tenant->roster.entries[2].is_disabled);
    CHECK_NEAR(measure(SECOND), 0, 0.0001);
    check_guard();
    stop();
}

TEST(channels_that_come_all_the_time_make_no_more_calls_than_there_may_be)
{
    struct tenant_here *tenant = &here.tenants[0];

    start(SLICES_NO_CAP, false);
    run(SECOND);
    change(true, SLICES_NO_CAP);
    run(100 * MS);
    for (int i = 0; i < 1000; i++) {
        add(tenant, fake_program_add_channel(&tenant->program), true);
        tenant->due_ns = fake_machine_now_ns();
        run(2 * MS);
        roster_remove(&tenant->roster, tenant->program.pid, tenant->program.fd,
                      tenant->program.client, tenant->program.next_handle - 1);
        fake_program_free(&tenant->program, tenant->program.next_handle - 1);
    }
    CHECK(most_calls_a_second() <= 204);
    stop();
}

TEST(suspending_and_resuming_all_the_time_makes_no_more_calls_than_there_may_be)
{

    start(SLICES_NO_CAP, false);
    run(SECOND);
    for (int i = 0; i < 1000; i++) {
        change(i % 2 == 0, SLICES_NO_CAP);
        run(2 * MS);
    }
    CHECK(most_calls_a_second() <= 204);
    check_guard();
    stop();
}

TEST(nothing_is_taken_off_while_no_guard_watches)
{
    struct tenant_here *tenant = &here.tenants[0];

    start(SLICES_NO_CAP, false);
    roster_set_armed(&tenant->roster, tenant->program.pid, false);
    change(true, SLICES_NO_CAP);
    run(SECOND);
    CHECK_EQ(calls(), 0);
    CHECK_EQ(lease_of(tenant), 0);
    roster_set_armed(&tenant->roster, tenant->program.pid, true);
    run(100 * MS);
    CHECK_NEAR(measure(SECOND), 0, 0.0001);
    stop();
}

/* --- on again --- */

TEST(who_is_resumed_without_a_cap_has_all_at_once)
{
    start(SLICES_NO_CAP, false);
    run(SECOND);
    change(true, SLICES_NO_CAP);
    run(SECOND);
    change(false, SLICES_NO_CAP);
    run(5 * MS);
    CHECK_EQ(lease_of(&here.tenants[0]), 0);
    CHECK(measure(SECOND) > 99);
    stop();
}

TEST(who_is_resumed_with_a_cap_has_its_cap_and_no_credit)
{
    start(30000, true);
    run(2 * SECOND);
    change(true, 30000);
    run(5 * SECOND);
    CHECK_NEAR(measure(SECOND), 0, 0.0001);
    change(false, 30000);
    CHECK(measure(SECOND) < 45); /* it has not saved up what it could not use */
    CHECK_NEAR(measure(3 * SECOND), 30, 1);
    check_guard();
    stop();
}

TEST(a_cap_that_comes_while_it_is_suspended_is_in_force_afterwards)
{
    start(SLICES_NO_CAP, false);
    run(SECOND);
    change(true, SLICES_NO_CAP);
    run(SECOND);
    change(true, 20000);
    CHECK_NEAR(measure(SECOND), 0, 0.0001);
    change(false, 20000);
    run(SECOND);
    CHECK_NEAR(measure(3 * SECOND), 20, 1);
    check_guard();
    stop();
}

/* --- what goes wrong --- */

TEST(a_supervisor_that_was_stopped_takes_it_off_again)
{
    struct tenant_here *tenant = &here.tenants[0];

    start(SLICES_NO_CAP, false);
    run(SECOND);
    change(true, SLICES_NO_CAP);
    run(SECOND);
    for (size_t i = 0; i < tenant->roster.count; i++) /* what its guard does meanwhile */
        tenant->roster.entries[i].is_disabled = true;
    fake_machine_pass_until(fake_machine_now_ns() + 3 * SECOND);
    tenant->due_ns = fake_machine_now_ns();
    run(100 * MS);
    tenant->guard_calls = 0;
    CHECK(tenant->roster.entries[1].is_disabled);
    CHECK_NEAR(measure(SECOND), 0, 0.0001);
    check_guard();
    stop();
}

/* What a guard does, without the supervisor's knowing. */
static void enable_as_guard(const struct tenant_here *tenant)
{
    const struct control_channel channel = {tenant->program.client, tenant->program.channel};
    const struct control_at at = {tenant->program.fd, tenant->program.client,
                                  tenant->program.subdevice};

    CHECK_EQ(control_switch(&at, false, &channel, 1, NULL), 0);
}

/* Suspended for a second; without records nobody sees by them that it runs. */
static void start_blind(void)
{
    start(SLICES_NO_CAP, false);
    fake_machine_set_fault("no-records");
    run(SECOND);
    change(true, SLICES_NO_CAP);
    CHECK_NEAR(measure(SECOND), 0, 1);
}

/* The lease of the step before is good for 91 ms, and the guards wait for 50 more. */
TEST(a_stall_between_two_looks_at_the_clock_leaves_nobody_running_unseen)
{
    struct tenant_here *tenant = &here.tenants[0];

    for (int stall_ms = 60; stall_ms < 200; stall_ms += 5) {
        char fault[32];

        start_blind();
        (void)str_format(fault, sizeof(fault), "slow-controls=%d", stall_ms);
        fake_machine_pass_until(tenant->due_ns);
        if (lease_of(tenant) + 50 * MS < fake_machine_now_ns() + (uint64_t)stall_ms * MS)
            enable_as_guard(tenant);
        add(tenant, fake_program_add_channel(&tenant->program), true);
        fake_machine_set_fault(fault);
        tenant->due_ns = governor_step(&tenant->governor, &tenant->input);
        fake_machine_set_fault("slow-controls=0");
        run(100 * MS);
        CHECK_NEAR(measure(SECOND), 0, 0.0001);
        stop();
    }
}

TEST(a_supervisor_that_was_stopped_and_whose_calls_fail_takes_it_off_later)
{
    struct tenant_here *tenant = &here.tenants[0];

    start_blind();
    enable_as_guard(tenant);
    fake_machine_pass_until(fake_machine_now_ns() + 3 * SECOND);
    tenant->due_ns = fake_machine_now_ns();
    fake_machine_refuse(0x1f);
    run(300 * MS);
    fake_machine_refuse(0);
    run(300 * MS);
    CHECK_NEAR(measure(SECOND), 0, 0.0001);
    change(false, SLICES_NO_CAP);
    run(5 * MS);
    CHECK(measure(SECOND) > 99);
    stop();
}

TEST(one_that_runs_by_a_guard_s_late_call_is_taken_off_again)
{
    struct tenant_here *tenant = &here.tenants[0];

    start(SLICES_NO_CAP, true);
    run(SECOND);
    change(true, SLICES_NO_CAP);
    run(SECOND);
    for (int i = 0; i < 10; i++) {
        enable_as_guard(tenant);
        run(200 * MS);
        CHECK_NEAR(measure(2 * SECOND), 0, 0.0001);
    }
    CHECK_EQ(tenant->governor.state.engine, REGION_ENGINE_RM);
    check_guard();
    stop();
}

TEST(a_newcomer_whose_disable_fails_is_taken_off_all_the_same)
{
    struct tenant_here *tenant = &here.tenants[0];
    struct controller_object object;
    struct fake_program other;
    uint64_t busy_ns;

    start(SLICES_NO_CAP, true);
    run(SECOND);
    change(true, SLICES_NO_CAP);
    run(SECOND);
    other = fake_program_start(tenant->program.pid);
    fake_program_submit(&other, 100000 * SECOND, 0);
    object = (struct controller_object){.pid = other.pid,
                                        .fd = other.fd,
                                        .client = other.client,
                                        .subdevice = other.subdevice,
                                        .group = other.group,
                                        .channel = other.channel,
                                        .engine = 1};
    CHECK_EQ(roster_add(&tenant->roster, &object, true), 0);
    fake_machine_refuse(0x1f);
    tenant->due_ns = fake_machine_now_ns();
    run(30 * MS);
    fake_machine_refuse(0);
    run(300 * MS);
    CHECK_NEAR(measure(SECOND), 0, 0.0001);
    CHECK_EQ(tenant->governor.state.engine, REGION_ENGINE_RM);
    busy_ns = fake_program_busy_ns(&other);
    run(SECOND);
    CHECK_EQ(fake_program_busy_ns(&other), busy_ns);
    roster_remove(&tenant->roster, other.pid, other.fd, other.client, other.client);
    fake_program_end(&other);
    stop();
}

TEST(a_driver_that_refuses_is_left_alone)
{
    start(SLICES_NO_CAP, false);
    fake_machine_set_fault("disable-refused");
    change(true, SLICES_NO_CAP);
    run(SECOND);
    CHECK_EQ(here.tenants[0].governor.state.engine, REGION_ENGINE_MEMORY_ONLY);
    CHECK_EQ(lease_of(&here.tenants[0]), 0);
    CHECK(!here.tenants[0].governor.is_suspended);
    CHECK(calls() < 10);
    CHECK(measure(SECOND) > 99);
    stop();
}

TEST(a_driver_that_accepts_and_does_nothing_is_found_beside_a_neighbour)
{
    start(SLICES_NO_CAP, true);
    fake_machine_set_fault("disable-inert");
    change(true, SLICES_NO_CAP);
    run(3 * SECOND);
    CHECK_EQ(here.tenants[0].governor.state.engine, REGION_ENGINE_MEMORY_ONLY);
    CHECK_EQ(lease_of(&here.tenants[0]), 0);
    CHECK(calls() < 50);
    stop();
}

TEST(an_enable_that_fails_is_tried_again)
{
    struct tenant_here *tenant = &here.tenants[0];

    start(SLICES_NO_CAP, false);
    run(SECOND);
    change(true, SLICES_NO_CAP);
    run(SECOND);
    fake_machine_refuse(0x1f);
    change(false, SLICES_NO_CAP);
    run(300 * MS);
    CHECK(tenant->guard_calls > 0 || lease_of(tenant) == 0); /* the lease was let run out */
    fake_machine_refuse(0);
    run(300 * MS);
    CHECK_EQ(lease_of(tenant), 0);
    CHECK(measure(SECOND) > 99);
    stop();
}

TEST(a_lost_gpu_ends_no_program)
{
    start(SLICES_NO_CAP, true);
    run(SECOND);
    change(true, SLICES_NO_CAP);
    run(SECOND);
    fake_machine_set_fault("gpu-lost");
    run(3 * SECOND);
    change(false, SLICES_NO_CAP);
    run(SECOND);
    CHECK(here.tenants[0].governor.sampler == NULL);
    stop();
}
