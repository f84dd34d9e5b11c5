#include "tests/harness.h"
#include "tests/unit/fake_machine.h"

#include "erl/slices.h"
#include "ipc/message.h"
#include "rm/control.h"
#include "supervisor/controller.h"
#include "supervisor/gpus.h"
#include "supervisor/roster.h"
#include "utils/atomics.h"
#include "utils/clock.h"
#include "utils/str.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_NS (20 * SECOND) /* only a failure waits for so long */

static struct {
    struct gpus *gpus;
    struct region_control control, peer;
    struct controller *controller;
    struct fake_program program;
} at;

static void fill_page(struct region_control *page, const char *name, const struct gpus_card *card)
{
    memset(page, 0, sizeof(*page));
    page->magic = REGION_MAGIC;
    page->version = REGION_VERSION;
    page->length = sizeof(*page);
    page->gpu_count = 1;
    page->gpus[0].is_allowed = 1;
    (void)str_format(page->name, sizeof(page->name), "%s", name);
    (void)str_format(page->gpus[0].uuid, sizeof(page->gpus[0].uuid), "%s", card->uuid);
}

static void start(void)
{
    const struct gpus_card *card;
    struct err err;

    fake_machine_start(1, true);
    CHECK_OK(gpus_open(&at.gpus, &err), &err);
    card = gpus_card(at.gpus, 0);
    fill_page(&at.control, "own", card);
    fill_page(&at.peer, "peer", card);
    at.program = fake_program_start(4242);
    fake_program_submit(&at.program, 100000 * SECOND, 0);
    CHECK_OK(controller_new(&at.controller, &at.control, &card, &err), &err);
}

static void stop(void)
{
    controller_free(at.controller);
    fake_program_end(&at.program);
    gpus_close(at.gpus);
    fake_machine_stop();
}

static void set_cap(uint32_t cap_milli_percent)
{
    controller_set_quota(at.controller, 0,
                         &(struct controller_quota){cap_milli_percent, 1, REGION_NORMAL, false});
}

static int add_object(uint32_t slot, uint32_t channel)
{
    return controller_add(at.controller,
                          &(struct controller_object){.pid = at.program.pid,
                                                      .fd = at.program.fd,
                                                      .slot = slot,
                                                      .client = at.program.client,
                                                      .subdevice = at.program.subdevice,
                                                      .group = at.program.group,
                                                      .channel = channel,
                                                      .engine = 1});
}

static void add_all(void)
{
    CHECK_EQ(add_object(0, 0), 0);
    CHECK_EQ(add_object(0, at.program.channel), 0);
}

/* The thread goes on while this one looks again each millisecond. */
static bool look_again(uint64_t begin_ns)
{
    struct pollfd event = {.fd = controller_event_fd(at.controller), .events = 0};

    (void)poll(&event, 1, 1);
    return clock_now_ns() < begin_ns + PATIENCE_NS;
}

static bool has_disabled_after(uint32_t count)
{
    uint64_t begin_ns = clock_now_ns();

    while (fake_machine_disables() <= count)
        if (!look_again(begin_ns))
            return false;
    return true;
}

/* With the step that puts the channels back. */
static bool comes_to_want_none(void)
{
    uint64_t begin_ns = clock_now_ns();

    while (controller_wants_armed(at.controller))
        if (!look_again(begin_ns))
            return false;
    return true;
}

static bool take_event(void)
{
    uint64_t count;

    return read(controller_event_fd(at.controller), &count, sizeof(count)) == sizeof(count);
}

TEST(one_without_objects_does_nothing_and_ends)
{
    struct controller_state seen;

    start();
    set_cap(30000);
    controller_get_state(at.controller, 0, &seen);
    CHECK(seen.used_milli_percent == UINT64_MAX && seen.slice_us == UINT64_MAX);
    CHECK_EQ(fake_machine_disables(), 0);
    stop();
    controller_free(NULL);
}

TEST(facts_are_told_before_there_is_a_thread)
{
    struct region_facts facts;

    start();
    set_cap(12000);
    CHECK(region_read_facts(&at.control.gpus[0], &facts));
    CHECK_EQ(facts.cap_milli_percent, 12000);
    CHECK_EQ(facts.used_milli_percent, UINT32_MAX);
    stop();
}

TEST(a_slot_that_is_not_there_is_refused_or_unknown)
{
    struct controller_state seen;

    start();
    CHECK_EQ(add_object(1, 0), -EINVAL);
    CHECK_EQ(add_object(REGION_GPUS_MAX, 0), -EINVAL);
    CHECK_EQ(add_object(UINT32_MAX, 0), -EINVAL);
    controller_set_quota(at.controller, UINT32_MAX, &(struct controller_quota){1, 1, 1, false});
    controller_get_state(at.controller, UINT32_MAX, &seen);
    CHECK(seen.used_milli_percent == UINT64_MAX);
    stop();
}

TEST(guards_are_wanted_with_a_cap_and_channels_and_an_event_says_so)
{
    start();
    CHECK(!controller_wants_armed(at.controller));
    set_cap(30000);
    CHECK(!controller_wants_armed(at.controller));
    CHECK(!take_event());
    add_all();
    CHECK(controller_wants_armed(at.controller));
    CHECK(take_event());
    CHECK(!take_event());
    set_cap(100000);
    CHECK(comes_to_want_none());
    CHECK(take_event());
    stop();
}

TEST(only_an_armed_process_is_taken_off_and_the_end_puts_it_back)
{
    start();
    set_cap(10000);
    add_all();
    CHECK_EQ(fake_machine_disables(), 0);
    controller_set_armed(at.controller, at.program.pid, true);
    CHECK(has_disabled_after(3));
    controller_free(at.controller);
    at.controller = NULL;
    CHECK_EQ(load_relaxed(&at.control.gpus[0].lease_ns), 0);
    CHECK_EQ(fake_machine_calls()->disables, fake_machine_calls()->enables);
    stop();
}

TEST(one_that_was_armed_before_its_channels_came_is_armed)
{
    start();
    set_cap(10000);
    controller_set_armed(at.controller, at.program.pid, true);
    add_all();
    CHECK(has_disabled_after(1));
    stop();
}

/* What the guard of a process does when its connection ends. */
static void enable_as_guard(void)
{
    const struct control_channel channel = {at.program.client, at.program.channel};
    const struct control_at subdevice = {at.program.fd, at.program.client, at.program.subdevice};

    CHECK_EQ(control_switch(&subdevice, false, &channel, 1, NULL), 0);
}

TEST(after_a_removal_no_call_is_made_on_the_file)
{
    start();
    set_cap(10000);
    controller_set_armed(at.controller, at.program.pid, true);
    for (int i = 0; i < (harness_is_full() ? 200 : 10); i++) {
        uint32_t count = fake_machine_disables();

        add_all();
        CHECK(has_disabled_after(count));
        controller_remove_process(at.controller, at.program.pid, at.program.fd);
        enable_as_guard();
        count = fake_machine_disables();
        set_cap(10000 + (uint32_t)i); /* the thread takes a step with nothing to switch */
        CHECK_EQ(fake_machine_disables(), count);
    }
    stop();
}

TEST(objects_beyond_the_bound_are_refused)
{
    uint32_t added = 0;

    start();
    while (added <= ROSTER_ENTRIES_MAX && add_object(0, 0x10000 + added) == 0)
        added++;
    CHECK_EQ(added, ROSTER_ENTRIES_MAX);
    CHECK_EQ(add_object(0, 0x10000 + added), -ENOSPC);
    controller_remove(at.controller, at.program.pid, at.program.fd, at.program.client,
                      at.program.client);
    CHECK_EQ(add_object(0, 0x10000 + added), 0);
    stop();
}

TEST(peers_beyond_the_bound_are_refused)
{
    static struct region_control peers[64];
    int added = 0;

    start();
    while (added < 64 && controller_add_peer(at.controller, &peers[added]) == 0)
        added++;
    CHECK_EQ(added, 63);
    for (int i = 0; i < added; i++)
        controller_remove_peer(at.controller, &peers[i]);
    CHECK_EQ(controller_add_peer(at.controller, &peers[63]), 0);
    stop();
}

TEST(more_armed_processes_than_are_kept_are_no_harm)
{
    start();
    for (pid_t pid = 1; pid < 3000; pid++)
        controller_set_armed(at.controller, pid, true);
    for (pid_t pid = 1; pid < 3000; pid++)
        controller_remove_process(at.controller, pid, -1);
    set_cap(10000);
    controller_set_armed(at.controller, at.program.pid, true);
    add_all();
    CHECK(has_disabled_after(0));
    stop();
}

/* Everything that the loop calls, while the thread steps. */
TEST(the_loop_may_call_anything_at_any_time)
{
    struct controller_state seen;

    start();
    for (uint32_t i = 0; i < (harness_is_full() ? 20000 : 300); i++) {
        set_cap(1000 + i % 90000);
        add_all();
        controller_set_armed(at.controller, at.program.pid, i % 3 != 0);
        if (i % 2)
            CHECK_EQ(controller_add_peer(at.controller, &at.peer), 0);
        controller_get_state(at.controller, 0, &seen);
        (void)controller_wants_armed(at.controller);
        if (i % 5 == 0)
            controller_remove(at.controller, at.program.pid, at.program.fd, at.program.client,
                              at.program.channel);
        if (i % 2)
            controller_remove_peer(at.controller, &at.peer);
        if (i % 7 == 0)
            controller_remove_process(at.controller, at.program.pid, -1);
    }
    stop();
}

/* --- suspended, and why --- */

TEST(a_suspended_tenant_needs_guards_and_is_taken_off)
{
    start();
    controller_set_quota(at.controller, 0,
                         &(struct controller_quota){SLICES_NO_CAP, 1, REGION_NORMAL, true});
    CHECK(!controller_wants_armed(at.controller));
    add_all();
    CHECK(controller_wants_armed(at.controller));
    controller_set_armed(at.controller, at.program.pid, true);
    CHECK(has_disabled_after(0));
    controller_set_quota(at.controller, 0,
                         &(struct controller_quota){SLICES_NO_CAP, 1, REGION_NORMAL, false});
    CHECK(comes_to_want_none());
    stop();
}

TEST(guards_are_wanted_until_the_last_channel_is_back)
{
    uint64_t end_ns;

    start();
    controller_set_quota(at.controller, 0,
                         &(struct controller_quota){SLICES_NO_CAP, 1, REGION_NORMAL, true});
    add_all();
    controller_set_armed(at.controller, at.program.pid, true);
    CHECK(has_disabled_after(0));
    fake_machine_refuse(0x1f); /* what is off cannot be put back */
    controller_set_quota(at.controller, 0,
                         &(struct controller_quota){SLICES_NO_CAP, 1, REGION_NORMAL, false});
    for (end_ns = clock_now_ns() + SECOND / 2; clock_now_ns() < end_ns; (void)look_again(0))
        CHECK(controller_wants_armed(at.controller));
    fake_machine_refuse(0);
    CHECK(comes_to_want_none());
    CHECK_EQ(load_relaxed(&at.control.gpus[0].lease_ns), 0);
    stop();
}

TEST(the_reasons_of_a_plan_are_what_was_asked_for_and_what_came_of_it)
{
    struct message_explained explained;

    start();
    set_cap(30000);
    controller_explain(at.controller, 0, &explained);
    CHECK_EQ(explained.planned_ns, 0); /* nobody has planned yet */
    CHECK(explained.used_milli_percent == MESSAGE_UNKNOWN);
    CHECK_EQ(controller_add_peer(at.controller, &at.peer), 0);
    controller_set_armed(at.controller, at.program.pid, true);
    add_all();
    CHECK(has_disabled_after(0));
    controller_explain(at.controller, 0, &explained);
    CHECK_EQ(message_check(&explained, sizeof(explained)), MESSAGE_EXPLAINED);
    CHECK_STR_EQ(explained.uuid, at.control.gpus[0].uuid);
    CHECK_EQ(explained.engine, REGION_ENGINE_RM);
    CHECK_EQ(explained.cap_milli_percent, 30000);
    CHECK_EQ(explained.cap_in_force_milli_percent, 30000);
    CHECK_EQ(explained.weight, 1);
    CHECK_EQ(explained.priority, REGION_NORMAL);
    CHECK_EQ(explained.has_records, 1);
    CHECK(explained.planned_ns > 0 && explained.planned_ns <= clock_now_ns());
    CHECK(explained.window_ns > 0);
    CHECK(explained.call_ns > 0);
    CHECK_EQ(explained.is_suspended, 0);
    stop();
}

TEST(one_that_is_suspended_is_so_before_its_first_channel_comes)
{
    struct message_explained explained;

    start();
    controller_set_quota(at.controller, 0,
                         &(struct controller_quota){SLICES_NO_CAP, 1, REGION_NORMAL, true});
    controller_explain(at.controller, 0, &explained);
    CHECK_EQ(explained.is_suspended, 1);
    CHECK_EQ(explained.planned_ns, 0);
    stop();
}

TEST(a_gpu_that_is_not_there_is_explained_by_nothing)
{
    struct message_explained explained;

    start();
    controller_explain(at.controller, REGION_GPUS_MAX, &explained);
    CHECK_EQ(message_check(&explained, sizeof(explained)), MESSAGE_EXPLAINED);
    CHECK_STR_EQ(explained.uuid, "");
    CHECK_EQ(explained.tenant_count, 0);
    stop();
}

TEST(reasons_may_be_asked_for_while_the_thread_works)
{
    struct message_explained explained;
    uint64_t begin_ns;

    start();
    begin_ns = clock_now_ns();
    set_cap(10000);
    controller_set_armed(at.controller, at.program.pid, true);
    add_all();
    while (fake_machine_disables() < 5) {
        controller_explain(at.controller, 0, &explained);
        CHECK_EQ(explained.cap_milli_percent, 10000);
        if (!look_again(begin_ns))
            break;
    }
    CHECK(fake_machine_disables() >= 5);
    stop();
}
