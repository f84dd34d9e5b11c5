#include "hypervisor/keeper_watch.h"

#include "tests/harness.h"
#include "tests/unit/node_world.h"

#include "utils/clock.h"
#include "utils/str.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#define BETWEEN_NS NS_PER_SEC
#define STALL_MS   2500 /* longer than a supervisor may be silent */

TEST(looks_that_come_in_time_are_not_late)
{
    struct keeper_pace pace = {0};
    uint64_t now_ns = 1000 * NS_PER_SEC;

    CHECK(!keeper_pace_is_late(&pace, now_ns, BETWEEN_NS)); /* the first one */
    for (int i = 0; i < 5; i++)
        CHECK(!keeper_pace_is_late(&pace, now_ns += BETWEEN_NS + NS_PER_SEC / 4, BETWEEN_NS));
}

TEST(a_late_look_is_followed_by_one_that_counts)
{
    struct keeper_pace pace = {0};
    uint64_t now_ns = 1000 * NS_PER_SEC;

    CHECK(!keeper_pace_is_late(&pace, now_ns, BETWEEN_NS));
    for (int i = 0; i < 5; i++) {
        CHECK(keeper_pace_is_late(&pace, now_ns += BETWEEN_NS + NS_PER_SEC, BETWEEN_NS));
        CHECK(!keeper_pace_is_late(&pace, now_ns += BETWEEN_NS + NS_PER_SEC, BETWEEN_NS));
    }
}

/* --- in the daemon --- */

static struct node_world *world;
static struct keeper *keeper;

static void start(void)
{
    struct request create;

    world = node_world_start("answer");
    create = node_world_create("a", GIB);
    CHECK_EQ(node_world_do(&create), 0);
    keeper = node_find(world->node, "a");
}

static void stop_supervisor(pid_t pid)
{
    siginfo_t info;

    CHECK_EQ(kill(pid, SIGSTOP), 0);
    CHECK_EQ(waitid(P_PID, (id_t)pid, &info, WSTOPPED), 0); /* nobody else is told */
}

/* The daemon stands still while a status is waited for that a supervisor has no time to send. */
static void stall(void)
{
    while (!keeper->asked_ns)
        (void)uv_run(node_loop(world->node), UV_RUN_NOWAIT);
    clock_sleep_until_ns(clock_now_ns() + STALL_MS * NS_PER_MS);
}

static bool is_heard(void *context)
{
    return keeper->known_ns > *(const uint64_t *)context;
}

static bool is_replaced(void *context)
{
    return keeper->restarts > *(const uint32_t *)context;
}

TEST(a_supervisor_is_not_blamed_for_the_daemon_s_own_silence)
{
    uint64_t before_ns;
    pid_t pid;

    start();
    pid = keeper->process.pid;
    stop_supervisor(pid);
    before_ns = keeper->known_ns;
    stall();
    (void)uv_run(node_loop(world->node), UV_RUN_NOWAIT); /* the late look */
    (void)kill(pid, SIGCONT);
    CHECK(node_world_wait_for(is_heard, &before_ns));
    CHECK_EQ(keeper->restarts, 0);
    CHECK_EQ(keeper->process.pid, pid);
    node_world_stop();
}

static void note(void *context, const struct message_header *message)
{
    struct message_reply reply;

    if (message->type != MESSAGE_REPLY)
        return;
    memcpy(&reply, message, sizeof(reply));
    *(int *)context = reply.status;
}

static bool is_answered(void *context)
{
    return *(const int *)context != 1;
}

TEST(a_question_that_waits_is_not_ended_by_it_either)
{
    struct message_header status_message;
    int status = 1;
    pid_t pid;

    start();
    pid = keeper->process.pid;
    stop_supervisor(pid);
    message_init(&status_message, MESSAGE_STATUS, sizeof(status_message));
    talk_ask(keeper->line, &status_message, note, &status);
    stall();
    (void)uv_run(node_loop(world->node), UV_RUN_NOWAIT);
    (void)kill(pid, SIGCONT);
    CHECK(node_world_wait_for(is_answered, &status));
    CHECK_EQ(status, 0);
    node_world_stop();
}

TEST(one_that_stays_silent_is_replaced_all_the_same)
{
    uint32_t none = 0;

    start();
    stop_supervisor(keeper->process.pid);
    stall();
    CHECK(node_world_wait_for(is_replaced, &none));
    node_world_stop();
}
