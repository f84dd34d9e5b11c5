#include "tests/harness.h"
#include "tests/unit/fake_system.h"

#include "utils/clock.h"
#include "utils/log.h"
#include "utils/str.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define STEP_NS NS_PER_SEC /* between two readings */
#define ALIEN   100
#define WORKER  200 /* of tenant a */

static struct fake_system fake;
static struct foreign *foreign;
static struct hardware_reading reading;
static struct snapshot_gpu gpus[2] = {{.uuid = "GPU-b", .nvml_index = 5},
                                      {.uuid = "GPU-a", .nvml_index = 4}};
static int32_t pids[4]; /* of tenant a */
static struct foreign_tenant tenant = {.name = "a", .pids = pids};
static int32_t own_pids[1] = {300};
static struct foreign_input input;
static uint64_t now_ns;

/* Two cards, in NVML's order, which is not the snapshot's. */
static void start(enum config_foreign_policy policy)
{
    const struct foreign_system system = fake_system_prepare(&fake);

    log_set_level(LOG_LEVEL_ERROR);
    memset(&reading, 0, sizeof(reading));
    reading.gpu_count = 2;
    for (int i = 0; i < 2; i++) {
        CHECK(str_format(reading.gpus[i].uuid, sizeof(reading.gpus[i].uuid), "GPU-%c", 'a' + i));
        reading.gpus[i].has_processes = true;
    }
    tenant.pid_count = 0;
    now_ns = 100 * NS_PER_SEC;
    input = (struct foreign_input){.reading = &reading,
                                   .gpus = gpus,
                                   .gpu_count = 2,
                                   .tenants = &tenant,
                                   .tenant_count = 1,
                                   .own_pids = own_pids,
                                   .own_count = 1,
                                   .policy = policy};
    fake_system_start(&fake, ALIEN, "alien", "/");
    CHECK_OK(foreign_new(&foreign, &system, NULL), NULL);
}

static void stop(void)
{
    foreign_free(foreign);
}

/* From the next reading on a process uses a card, by NVML's index. */
static void use(int pid, int card, uint64_t bytes)
{
    struct hardware_gpu *gpu = &reading.gpus[card];

    gpu->processes[gpu->process_count++] =
        (struct telemetry_process){.pid = pid, .is_compute = true, .memory_bytes = bytes};
}

static void leave(int card)
{
    reading.gpus[card].process_count = 0;
}

/* The time passes, a reading is taken, then the tenants are asked. Returns how many are foreign. */
static uint32_t look(void)
{
    uint32_t count;

    now_ns += STEP_NS;
    reading.sequence++;
    reading.taken_ns = now_ns;
    input.tenants_ns = now_ns + 1;
    foreign_update(foreign, &input, now_ns + 2);
    (void)foreign_list(foreign, &count);
    return count;
}

static const struct snapshot_foreign *row(uint32_t place)
{
    uint32_t count;
    const struct snapshot_foreign *rows = foreign_list(foreign, &count);

    CHECK(place < count);
    return &rows[place];
}

static void check_event(int number, enum event_kind kind, const char *text)
{
    CHECK(number < fake.event_count);
    CHECK_EQ(fake.events[number].kind, kind);
    CHECK_EQ(fake.events[number].pid, ALIEN);
    CHECK_STR_EQ(fake.events[number].text, text);
}

static int signals(int pid)
{
    return fake.processes[pid].signal_count;
}

TEST(a_process_of_no_tenant_is_shown_from_its_second_reading_on)
{
    start(CONFIG_FOREIGN_IGNORE);
    use(ALIEN, 0, 1000);
    CHECK_EQ(look(), 0);
    CHECK_EQ(fake.event_count, 0);
    CHECK_EQ(look(), 1);
    CHECK_EQ(row(0)->pid, ALIEN);
    CHECK_STR_EQ(row(0)->comm, "alien");
    CHECK_EQ(row(0)->uid, 1000);
    CHECK_EQ(row(0)->gpu, 1); /* the snapshot's place of GPU-a */
    CHECK_EQ(row(0)->memory_bytes, 1000);
    CHECK_STR_EQ(row(0)->tenant, "");
    CHECK(!row(0)->is_stopped);
    CHECK_EQ(look(), 1);
    CHECK_EQ(fake.event_count, 1);
    check_event(0, EVENT_FOREIGN_FOUND,
                "process 'alien' of user 1000 uses GPU 4 and belongs to no tenant");
    CHECK_EQ(signals(ALIEN), 0);
    stop();
}

TEST(the_same_reading_twice_is_one)
{
    start(CONFIG_FOREIGN_STOP);
    use(ALIEN, 0, 1000);
    CHECK_EQ(look(), 0);
    for (int i = 0; i < 3; i++)
        foreign_update(foreign, &input, now_ns + 10);
    CHECK_EQ(signals(ALIEN), 0);
    CHECK_EQ(fake.event_count, 0);
    stop();
}

TEST(who_is_on_two_cards_has_two_rows_and_one_event)
{
    start(CONFIG_FOREIGN_IGNORE);
    use(ALIEN, 0, 1000);
    use(ALIEN, 1, TELEMETRY_UNKNOWN);
    (void)look();
    CHECK_EQ(look(), 2);
    CHECK(row(0)->gpu == 0 && row(0)->memory_bytes == SNAPSHOT_UNKNOWN);
    CHECK(row(1)->gpu == 1 && row(1)->memory_bytes == 1000);
    CHECK_EQ(fake.event_count, 1);
    check_event(0, EVENT_FOREIGN_FOUND,
                "process 'alien' of user 1000 uses GPU 5 and 1 more and belongs to no tenant");
    stop();
}

TEST(who_leaves_the_gpu_or_ends_is_forgotten)
{
    start(CONFIG_FOREIGN_IGNORE);
    for (int i = 0; i < 2; i++) {
        use(ALIEN, 0, 1000);
        (void)look();
        CHECK_EQ(look(), 1);
        if (i == 1)
            fake_system_end(&fake, ALIEN);
        else
            leave(0);
        CHECK_EQ(look(), 0);
        check_event(1 + 2 * i, EVENT_FOREIGN_GONE,
                    "process 'alien' of user 1000 has ended or uses no GPU any more");
    }
    CHECK_EQ(fake.event_count, 4);
    stop();
}

TEST(neither_a_tenants_process_nor_ours_is_foreign)
{
    start(CONFIG_FOREIGN_STOP);
    fake_system_start(&fake, WORKER, "work", "/");
    fake_system_start(&fake, own_pids[0], "supervisor", "/");
    pids[0] = WORKER;
    tenant.pid_count = 1;
    use(WORKER, 0, 1000);
    use(own_pids[0], 0, 1000);
    use(getpid(), 0, 1000);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(look(), 0);
    CHECK_EQ(signals(WORKER) + signals(own_pids[0]), 0);
    stop();
}

/* Its supervisor was replaced and does not know it yet. */
TEST(who_was_a_tenants_is_not_stopped_though_its_supervisor_forgot_it)
{
    start(CONFIG_FOREIGN_STOP);
    fake_system_start(&fake, WORKER, "work", "/");
    pids[0] = WORKER;
    tenant.pid_count = 1;
    use(WORKER, 0, 1000);
    (void)look();
    tenant.pid_count = 0;
    for (int i = 0; i < 10; i++)
        CHECK_EQ(look(), 0);
    fake_system_start(&fake, WORKER, "another", "/");
    (void)look();
    CHECK_EQ(look(), 1);
    stop();
}

TEST(who_registers_between_two_readings_is_not_foreign)
{
    start(CONFIG_FOREIGN_STOP);
    fake_system_start(&fake, WORKER, "work", "/");
    use(WORKER, 0, 1000);
    CHECK_EQ(look(), 0);
    pids[0] = WORKER;
    tenant.pid_count = 1;
    CHECK_EQ(look(), 0);
    CHECK_EQ(signals(WORKER) + fake.event_count, 0);
    stop();
}

TEST(who_becomes_a_tenants_is_foreign_no_more)
{
    start(CONFIG_FOREIGN_IGNORE);
    use(ALIEN, 0, 1000);
    (void)look();
    CHECK_EQ(look(), 1);
    pids[0] = ALIEN;
    tenant.pid_count = 1;
    CHECK_EQ(look(), 0);
    check_event(1, EVENT_FOREIGN_GONE, "process 'alien' of user 1000 belongs to a tenant now");
    stop();
}

/* As long as a supervisor does not answer, its tenant's new processes look like anybody's. */
TEST(without_newer_lists_of_all_tenants_nobody_is_judged)
{
    start(CONFIG_FOREIGN_STOP);
    use(ALIEN, 0, 1000);
    (void)look();
    for (int i = 0; i < 5; i++) {
        uint64_t old_ns = i % 2 ? 0 : 100 * NS_PER_SEC; /* before the process was seen */

        now_ns += STEP_NS;
        reading.sequence++;
        reading.taken_ns = now_ns;
        input.tenants_ns = old_ns;
        foreign_update(foreign, &input, now_ns);
    }
    CHECK_EQ(signals(ALIEN) + fake.event_count, 0);
    CHECK_EQ(look(), 1);
    CHECK_EQ(signals(ALIEN), 1);
    stop();
}

TEST(a_pid_that_is_used_again_begins_anew)
{
    start(CONFIG_FOREIGN_STOP);
    use(ALIEN, 0, 1000);
    (void)look();
    fake_system_start(&fake, ALIEN, "next", "/");
    CHECK_EQ(look(), 0);
    CHECK_EQ(look(), 0);
    CHECK_EQ(signals(ALIEN), 0);
    CHECK_EQ(look(), 1);
    CHECK_STR_EQ(row(0)->comm, "next");
    stop();
}

TEST(stop_asks_and_after_five_seconds_kills)
{
    start(CONFIG_FOREIGN_STOP);
    use(ALIEN, 0, 1000);
    (void)look();
    CHECK_EQ(look(), 1);
    CHECK(row(0)->is_stopped);
    CHECK_EQ(fake.processes[ALIEN].last_signal, SIGTERM);
    for (int i = 0; i < 4; i++)
        (void)look();
    CHECK_EQ(signals(ALIEN), 1);
    (void)look();
    CHECK_EQ(fake.processes[ALIEN].last_signal, SIGKILL);
    for (int i = 0; i < 10; i++)
        (void)look();
    CHECK_EQ(signals(ALIEN), 2);
    check_event(1, EVENT_FOREIGN_STOPPED,
                "process 'alien' of user 1000 was asked to end: it belongs to no tenant");
    check_event(2, EVENT_FOREIGN_STOPPED,
                "process 'alien' of user 1000 was killed: it did not end when it was asked");
    stop();
}

TEST(who_leaves_the_gpu_when_asked_is_not_killed)
{
    start(CONFIG_FOREIGN_STOP);
    use(ALIEN, 0, 1000);
    (void)look();
    (void)look();
    leave(0);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(look(), 0);
    CHECK_EQ(signals(ALIEN), 1);
    stop();
}

TEST(stop_leaves_who_only_draws_pid_one_and_who_is_not_here)
{
    start(CONFIG_FOREIGN_STOP);
    fake_system_start(&fake, 1, "init", "/");
    use(1, 0, 1000);
    use(ALIEN, 0, 1000);
    reading.gpus[0].processes[1].is_compute = false;
    use(999, 0, 1000); /* of another pid namespace */
    for (int i = 0; i < 10; i++)
        (void)look();
    CHECK_EQ(look(), 3);
    CHECK_EQ(signals(1) + signals(ALIEN) + signals(999), 0);
    CHECK(!row(0)->is_stopped && !row(1)->is_stopped && !row(2)->is_stopped);
    CHECK_STR_EQ(row(2)->comm, "?");
    CHECK_EQ(row(2)->uid, SNAPSHOT_NO_UID);
    use(ALIEN, 1, 1000); /* the display server computes now */
    (void)look();
    CHECK_EQ(signals(ALIEN), 1);
    stop();
}

TEST(who_cannot_be_ended_is_left_and_shown_as_it_is)
{
    start(CONFIG_FOREIGN_STOP);
    fake.processes[ALIEN].signal_status = -EPERM;
    use(ALIEN, 0, 1000);
    for (int i = 0; i < 5; i++)
        (void)look();
    CHECK(!row(0)->is_stopped);
    CHECK_EQ(fake.event_count, 1);
    stop();
}

TEST(a_policy_that_is_changed_holds_at_once)
{
    start(CONFIG_FOREIGN_IGNORE);
    use(ALIEN, 0, 1000);
    (void)look();
    (void)look();
    CHECK_EQ(signals(ALIEN), 0);
    input.policy = CONFIG_FOREIGN_STOP;
    (void)look();
    CHECK_EQ(signals(ALIEN), 1);
    input.policy = CONFIG_FOREIGN_IGNORE;
    for (int i = 0; i < 10; i++)
        (void)look();
    CHECK_EQ(signals(ALIEN), 1);
    stop();
}

TEST(adopt_counts_who_is_in_a_tenants_container_to_it)
{
    start(CONFIG_FOREIGN_ADOPT);
    fake_system_start(&fake, WORKER, "work", "/docker/1");
    fake_system_start(&fake, ALIEN, "alien", "/docker/1");
    fake_system_start(&fake, 101, "other", "/docker/2");
    pids[0] = WORKER;
    tenant.pid_count = 1;
    use(ALIEN, 0, 1000);
    use(101, 0, 1000);
    (void)look();
    CHECK_EQ(look(), 2);
    CHECK_STR_EQ(row(0)->tenant, "a");
    CHECK_STR_EQ(row(1)->tenant, "");
    CHECK_EQ(signals(ALIEN) + signals(101), 0);
    input.policy = CONFIG_FOREIGN_IGNORE;
    (void)look();
    CHECK_STR_EQ(row(0)->tenant, "");
    stop();
}

TEST(a_list_that_nvml_does_not_tell_ends_nothing)
{
    start(CONFIG_FOREIGN_IGNORE);
    use(ALIEN, 0, 1000);
    (void)look();
    (void)look();
    reading.gpus[0].has_processes = false;
    leave(0);
    CHECK_EQ(look(), 1);
    CHECK(row(0)->memory_bytes == SNAPSHOT_UNKNOWN);
    reading.gpus[0].has_processes = true;
    CHECK_EQ(look(), 0);
    CHECK_EQ(fake.event_count, 2);
    stop();
}

TEST(processes_without_a_pid_here_are_not_shown)
{
    start(CONFIG_FOREIGN_STOP);
    use(0, 0, 1000);
    use(-5, 0, 1000);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(look(), 0);
    stop();
}

TEST(more_than_there_is_room_for_does_no_harm)
{
    start(CONFIG_FOREIGN_IGNORE);
    for (int i = 0; i < 400; i++) {
        fake_system_start(&fake, 400 + i, "many", "/");
        use(400 + i, 0, 1);
        use(400 + i, 1, 1);
    }
    (void)look();
    CHECK_EQ(look(), SNAPSHOT_FOREIGN_MAX);
    stop();
}

TEST(whose_tenants_are_not_known_yet_is_spared_and_nobody_else)
{
    struct foreign_pardon pardon = {.uid = 1000};

    start(CONFIG_FOREIGN_STOP);
    fake_system_start(&fake, WORKER, "other", "/");
    fake.processes[WORKER].process.uid = 1001;
    input.pardons = &pardon;
    input.pardon_count = 1;
    use(ALIEN, 0, 10); /* user 1000 */
    use(WORKER, 1, 10);
    (void)look();
    CHECK_EQ(look(), 1);
    CHECK_EQ(row(0)->pid, WORKER);
    CHECK_EQ(signals(WORKER), 1);
    CHECK_EQ(signals(ALIEN), 0);
    pardon.known_ns = now_ns; /* asked since it was seen first */
    CHECK_EQ(look(), 2);
    CHECK_EQ(signals(ALIEN), 1);
    stop();
}

TEST(a_list_that_is_older_than_the_process_spares_it)
{
    struct foreign_pardon pardon = {.uid = 1000};

    start(CONFIG_FOREIGN_STOP);
    pardon.known_ns = now_ns;
    input.pardons = &pardon;
    input.pardon_count = 1;
    use(ALIEN, 0, 10);
    (void)look();
    CHECK_EQ(look(), 0);
    CHECK_EQ(look(), 0);
    pardon.known_ns = now_ns;
    CHECK_EQ(look(), 1);
    stop();
}
