#include "tests/harness.h"
#include "tests/unit/keeper_world.h"

#include "hypervisor/keeper_watch.h"
#include "supervisor/server.h"
#include "utils/clock.h"
#include "utils/sock.h"
#include "utils/str.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define GIB (UINT64_C(1) << 30)

static struct keeper_world *world;
static struct keeper *keeper;

static void start(const char *behaviour)
{
    world = keeper_world_start(behaviour);
}

/* One that has said its first word. */
static void start_ready(bool is_kept)
{
    start("answer");
    CHECK_EQ(keeper_world_create(&keeper, "a", is_kept, NULL), 0);
    CHECK(keeper_world_wait(&world->readies, 1));
}

static bool is_there(const char *name)
{
    char path[RUNTIME_PATH_MAX];

    return runtime_path(&world->runtime, name, NULL, path, NULL) == 0 && access(path, F_OK) == 0;
}

static uint32_t count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    uint32_t count = 0;

    while (readdir(dir))
        count++;
    (void)closedir(dir);
    return count;
}

/* --- how it begins --- */

TEST(a_tenant_is_made_and_its_supervisor_says_how_it_is)
{
    start_ready(false);
    CHECK_EQ(keeper->state, SNAPSHOT_RUNNING);
    CHECK_EQ(keeper->status.tenant.supervisor_pid, keeper->process.pid);
    CHECK_EQ(keeper->status.gpu_count, 2);
    CHECK_EQ(keeper->status.process_count, 40);
    CHECK_EQ(keeper->restarts, 0);
    CHECK(keeper_has_name(keeper));
    CHECK(is_there("a"));
    keeper_world_stop();
}

TEST(its_front_is_handed_to_its_supervisor)
{
    struct server_message message;
    int ends[2];

    start("answer");
    CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    CHECK_EQ(keeper_world_create(&keeper, "a", false, &ends[0]), 0);
    CHECK_EQ(ends[0], -1);
    CHECK_EQ(sock_receive(ends[1], &message, sizeof(message), NULL, 10000), sizeof(message));
    CHECK_EQ(message.word, SERVER_READY);
    CHECK_STR_EQ(message.text, "0"); /* it is nobody's successor */
    keeper_world_stop();
    CHECK_EQ(sock_receive(ends[1], &message, sizeof(message), NULL, 10000), 0);
    close(ends[1]);
}

TEST(a_name_that_is_taken_is_refused_and_stays_what_it_is)
{
    struct keeper *other;
    int ends[2];

    start_ready(false);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    CHECK_EQ(keeper_world_create(&other, "a", false, &ends[0]), -EEXIST);
    CHECK_EQ(ends[0], -1); /* taken, and closed */
    CHECK(is_there("a"));
    CHECK(keeper_has_name(keeper));
    close(ends[1]);
    keeper_world_stop();
}

TEST(a_program_that_does_not_start_leaves_nothing)
{
    start("answer");
    world->config.program = "/nowhere/vgpu-supervisor";
    CHECK_EQ(keeper_world_create(&keeper, "a", false, NULL), -ENOENT);
    CHECK(!is_there("a"));
    keeper_world_stop();
}

static void check_a_first_that_dies(const char *behaviour)
{
    start(behaviour);
    CHECK_EQ(keeper_world_create(&keeper, "a", true, NULL), 0);
    CHECK(keeper_world_wait(&world->ends, 1));
    CHECK_EQ(world->end_status, -EIO);
    CHECK_EQ(world->readies, 0);
    CHECK(!is_there("a"));
    keeper_world_stop();
}

TEST(a_supervisor_that_dies_before_its_first_word_ends_the_tenant)
{
    check_a_first_that_dies("die");
}

TEST(and_so_does_one_that_takes_its_time_before_it_dies)
{
    check_a_first_that_dies("die-late");
}

TEST(a_supervisor_that_removes_its_tenant_at_once_ends_it)
{
    start("remove");
    CHECK_EQ(keeper_world_create(&keeper, "a", false, NULL), 0);
    CHECK(keeper_world_wait(&world->ends, 1));
    CHECK(!is_there("a"));
    keeper_world_stop();
}

TEST(a_refusal_is_no_status)
{
    start("refuse");
    CHECK_EQ(keeper_world_create(&keeper, "a", false, NULL), 0);
    for (int i = 0; i < 50; i++)
        (void)uv_run(&world->loop, UV_RUN_ONCE);
    CHECK(!keeper->has_status);
    CHECK_EQ(keeper->state, SNAPSHOT_STARTING);
    CHECK_EQ(world->readies, 0);
    keeper_world_stop();
}

/* --- one that does not do its work --- */

TEST(a_silent_supervisor_is_replaced_after_a_while_and_not_before)
{
    start("silent");
    CHECK_EQ(keeper_world_create(&keeper, "a", true, NULL), 0);
    keeper_look(keeper, clock_now_ns() + 3 * NS_PER_SEC); /* a machine may be busy */
    keeper_world_behave("answer");
    keeper_look(keeper, clock_now_ns() + 6 * NS_PER_SEC);
    CHECK(keeper_world_wait(&world->readies, 1));
    CHECK_EQ(world->losses, 1);
    CHECK_EQ(keeper->restarts, 1);
    keeper_world_stop();
}

TEST(a_successor_that_is_silent_is_replaced_too)
{
    start_ready(true);
    keeper_world_behave("silent");
    CHECK_EQ(kill(keeper->process.pid, SIGKILL), 0);
    CHECK(keeper_world_wait(&keeper->restarts, 1));
    CHECK_EQ(keeper->state, SNAPSHOT_ORPHANED);
    keeper_world_behave("answer");
    keeper_look(keeper, clock_now_ns() + 6 * NS_PER_SEC);
    CHECK(keeper_world_wait(&keeper->restarts, 2));
    world->changes = 0;
    CHECK(keeper_world_wait(&world->changes, 1));
    CHECK_EQ(keeper->state, SNAPSHOT_RUNNING);
    CHECK_EQ(world->readies, 1);
    keeper_world_stop();
}

TEST(one_that_answers_is_left_alone)
{
    uint64_t now_ns = clock_now_ns();
    pid_t pid;

    start_ready(false);
    pid = keeper->process.pid;
    for (int i = 0; i < 10; i++) {
        world->changes = 0;
        keeper_look(keeper, now_ns += 3 * NS_PER_SEC);
        CHECK(keeper_world_wait(&world->changes, 1));
    }
    CHECK_EQ(keeper->process.pid, pid);
    CHECK_EQ(keeper->restarts, 0);
    keeper_world_stop();
}

TEST(one_that_was_stopped_is_replaced_at_once)
{
    start_ready(true);
    CHECK_EQ(kill(keeper->process.pid, SIGSTOP), 0);
    CHECK(keeper_world_wait(&keeper->restarts, 1));
    world->changes = 0;
    CHECK(keeper_world_wait(&world->changes, 1));
    CHECK_EQ(keeper->state, SNAPSHOT_RUNNING);
    keeper_world_stop();
}

static void note(void *context, const struct message_header *message)
{
    struct message_reply reply;

    memcpy(&reply, message, sizeof(reply));
    *(int *)context = reply.status;
}

TEST(questions_to_a_silent_supervisor_are_answered_in_the_end)
{
    struct message_header explain;
    int status = 1;

    start("silent");
    CHECK_EQ(keeper_world_create(&keeper, "a", true, NULL), 0);
    message_init(&explain, MESSAGE_EXPLAIN, sizeof(explain));
    talk_ask(keeper->line, &explain, note, &status);
    keeper_look(keeper, clock_now_ns());
    CHECK_EQ(status, 1);
    keeper_look(keeper, clock_now_ns() + 2 * NS_PER_SEC);
    CHECK_EQ(status, -ETIMEDOUT);
    keeper_world_stop();
}

/* --- loops --- */

/* For longer than `context`, in milliseconds. */
static bool is_pausing(void *context)
{
    const uint64_t *least_ms = context;

    return !keeper->is_child && uv_is_active((uv_handle_t *)&keeper->retry) &&
           uv_timer_get_due_in(&keeper->retry) > *least_ms;
}

TEST(supervisors_that_die_at_once_are_not_started_all_the_time)
{
    uint64_t least_ms = 100; /* of 2000 less what the last one lived */

    start_ready(true);
    keeper_world_behave("die");
    CHECK_EQ(kill(keeper->process.pid, SIGKILL), 0);
    CHECK(keeper_world_wait_for(is_pausing, &least_ms));
    CHECK(keeper->failures == 3);
    CHECK_EQ(keeper->state, SNAPSHOT_ORPHANED);
    CHECK_EQ(world->losses, 1); /* told once */
    keeper_world_behave("answer");
    world->changes = 0;
    CHECK(keeper_world_wait(&world->changes, 1)); /* and again after the pause */
    CHECK_EQ(keeper->state, SNAPSHOT_RUNNING);
    keeper_world_stop();
}

/* But often enough that caps come back within a second, whatever kills them. */
TEST(supervisors_that_are_killed_again_and_again_are_started_twice_a_second)
{
    uint64_t least_ms = 20;

    start_ready(true);
    keeper_world_behave("kill");
    CHECK_EQ(kill(keeper->process.pid, SIGKILL), 0);
    CHECK(keeper_world_wait_for(is_pausing, &least_ms));
    CHECK(uv_timer_get_due_in(&keeper->retry) <= 500);
    CHECK(keeper->restarts >= 3);
    CHECK_EQ(world->ends, 0);
    keeper_world_stop();
}

TEST(a_program_that_is_gone_is_tried_again_at_length)
{
    uint64_t least_ms = 1500;

    start_ready(true);
    world->config.program = "/nowhere/vgpu-supervisor";
    CHECK_EQ(kill(keeper->process.pid, SIGKILL), 0);
    CHECK(keeper_world_wait_for(is_pausing, &least_ms));
    world->config.program = FAKE_SUPERVISOR_FILE;
    world->changes = 0;
    CHECK(keeper_world_wait(&world->changes, 1));
    CHECK_EQ(keeper->state, SNAPSHOT_RUNNING);
    keeper_world_stop();
}

TEST(a_state_that_cannot_be_read_now_is_read_later)
{
    char path[RUNTIME_PATH_MAX], away[RUNTIME_PATH_MAX];
    uint64_t least_ms = 1500;

    start_ready(true);
    CHECK_EQ(runtime_path(&world->runtime, "a", "state", path, NULL), 0);
    CHECK_EQ(runtime_path(&world->runtime, "a", "away", away, NULL), 0);
    CHECK_EQ(rename(path, away), 0);
    CHECK_EQ(mkdir(path, 0700), 0); /* reading it is EISDIR */
    CHECK_EQ(kill(keeper->process.pid, SIGKILL), 0);
    CHECK(keeper_world_wait_for(is_pausing, &least_ms));
    CHECK_EQ(world->ends, 0);
    CHECK_EQ(rmdir(path), 0);
    CHECK_EQ(rename(away, path), 0);
    world->changes = 0;
    CHECK(keeper_world_wait(&keeper->restarts, 1));
    CHECK(keeper_world_wait(&world->changes, 1));
    CHECK_EQ(keeper->state, SNAPSHOT_RUNNING);
    CHECK_EQ(keeper->tenant.quotas[0].memory_bytes, 10 * GIB);
    keeper_world_stop();
}

/* --- how it ends --- */

static void ignore(void *context, const struct message_header *message)
{
    (void)context;
    (void)message;
}

static void ask_end(void)
{
    struct message_end end = {.is_forced = 0};

    message_init(&end, MESSAGE_END, sizeof(end));
    talk_ask(keeper->line, &end, ignore, NULL);
}

TEST(a_tenant_that_is_ended_is_gone)
{
    start_ready(true);
    ask_end();
    CHECK(keeper_world_wait(&world->ends, 1));
    CHECK_EQ(world->end_status, 0);
    CHECK_EQ(world->losses, 0);
    CHECK(!is_there("a"));
    keeper_world_stop();
}

TEST(one_without_processes_that_is_not_to_stay_ends_with_its_supervisor)
{
    start_ready(false);
    keeper_world_behave("kill"); /* one that is started while somebody executes a program */
    CHECK_EQ(kill(keeper->process.pid, SIGKILL), 0);
    CHECK(keeper_world_wait(&world->ends, 1));
    CHECK_EQ(world->end_status, 0);
    CHECK(!is_there("a"));
    keeper_world_stop();
}

TEST(a_name_that_is_another_s_already_is_let_be)
{
    struct keeper *old, *other;

    start_ready(true);
    old = keeper;
    ask_end();
    for (uint64_t end_ns = clock_now_ns() + 10 * NS_PER_SEC; is_there("a");) {
        CHECK(clock_now_ns() < end_ns);
        (void)poll(NULL, 0, 1); /* not the loop, which has not seen it yet */
    }
    CHECK(!keeper_has_name(old));
    CHECK_EQ(keeper_world_create(&other, "a", true, NULL), 0);
    CHECK(keeper_has_name(other));
    CHECK(keeper_world_wait(&world->ends, 1));
    CHECK(keeper_world_wait(&world->readies, 2));
    CHECK(is_there("a"));
    CHECK(keeper_has_name(other));
    CHECK_EQ(other->state, SNAPSHOT_RUNNING);
    CHECK_EQ(other->restarts, 0);
    keeper_world_stop();
}

/* --- after a former daemon --- */

/* As if the daemon had ended; its supervisor stays. */
static pid_t leave(void)
{
    pid_t pid = keeper->process.pid;

    keeper_free(keeper);
    (void)uv_run(&world->loop, UV_RUN_NOWAIT);
    return pid;
}

static void take_over(void)
{
    struct err err;

    CHECK_OK(keeper_take_over(&keeper, &world->config, "a", &err), &err);
    list_append(&world->keepers, &keeper->node);
}

static void reap(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0); /* it was this process's child, and nobody else looks */
}

TEST(a_tenant_is_taken_over_with_its_supervisor)
{
    pid_t pid;

    start_ready(false);
    pid = leave();
    take_over();
    CHECK_EQ(keeper->state, SNAPSHOT_ORPHANED);
    CHECK(keeper_world_wait(&world->readies, 2));
    CHECK_EQ(keeper->state, SNAPSHOT_RUNNING);
    CHECK_EQ(keeper->status.tenant.supervisor_pid, pid);
    CHECK_EQ(keeper->tenant.quotas[0].memory_bytes, 10 * GIB);
    CHECK(keeper_has_name(keeper));
    keeper_free(keeper);
    reap(pid);
    keeper_world_stop();
}

TEST(a_tenant_that_is_to_stay_is_taken_over_without_a_supervisor)
{
    start_ready(true);
    reap(leave());
    take_over();
    CHECK(keeper_world_wait(&world->readies, 2));
    CHECK(keeper->is_child);
    CHECK_EQ(keeper->tenant.quotas[0].memory_bytes, 10 * GIB);
    keeper_world_stop();
}

TEST(nothing_is_kept_of_one_of_which_nobody_lives)
{
    start_ready(false);
    keeper_world_behave("kill"); /* as above */
    reap(leave());
    take_over();
    CHECK(keeper_world_wait(&world->ends, 1));
    CHECK(!is_there("a"));
    keeper_world_stop();
}

static bool has_own_supervisor(void *context)
{
    (void)context;
    return keeper->is_child;
}

/* Without waiting for its silence. */
TEST(a_former_daemon_s_supervisor_that_is_stopped_is_replaced_at_once)
{
    pid_t pid;
    int status;

    start_ready(true);
    pid = leave();
    take_over();
    keeper_look_at_inherited(keeper);
    CHECK_EQ(waitpid(pid, &status, WNOHANG), 0);
    CHECK_EQ(kill(pid, SIGSTOP), 0);
    CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
    CHECK(WIFSTOPPED(status));
    keeper_look_at_inherited(keeper);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status));
    CHECK(keeper_world_wait_for(has_own_supervisor, NULL)); /* what it said before may come first */
    CHECK(keeper_world_wait(&world->readies, 2));
    keeper_world_stop();
}

TEST(a_former_daemon_s_supervisor_that_stands_still_is_replaced)
{
    pid_t pid;
    int status;

    start_ready(true);
    pid = leave();
    CHECK_EQ(kill(pid, SIGSTOP), 0);
    CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
    CHECK(WIFSTOPPED(status));
    take_over();
    CHECK(keeper->asked_ns > 0);
    keeper_look(keeper, keeper->asked_ns + NS_PER_SEC);
    CHECK_EQ(waitpid(pid, &status, WNOHANG), 0);
    keeper_look(keeper, keeper->asked_ns + 2 * NS_PER_SEC); /* it does not begin: it was there */
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status));
    CHECK(keeper_world_wait(&world->readies, 2));
    CHECK(keeper->is_child);
    keeper_world_stop();
}

TEST(a_tenant_that_is_not_there_is_not_taken_over)
{
    start("answer");
    CHECK_EQ(keeper_take_over(&keeper, &world->config, "nobody", NULL), -ENOENT);
    CHECK(!is_there("nobody"));
    keeper_world_stop();
}

/* --- what it knows --- */

static void set_memory(uint64_t bytes)
{
    struct message_set set = {
        .fields = MESSAGE_SET_MEMORY, .gpu_mask = UINT32_MAX, .memory_bytes = bytes};

    message_init(&set, MESSAGE_SET, sizeof(set));
    talk_ask(keeper->line, &set, ignore, NULL);
}

TEST(limits_are_those_that_its_supervisor_says_are_in_force)
{
    start_ready(false);
    set_memory(20 * GIB); /* behind its back */
    world->changes = 0;
    keeper_look(keeper, clock_now_ns());
    CHECK(keeper_world_wait(&world->changes, 1));
    if (keeper->tenant.quotas[0].memory_bytes != 20 * GIB) { /* asked before it was changed */
        world->changes = 0;
        keeper_look(keeper, clock_now_ns());
        CHECK(keeper_world_wait(&world->changes, 1));
    }
    CHECK_EQ(keeper->tenant.quotas[0].memory_bytes, 20 * GIB);
    CHECK_EQ(keeper->promise.most[0].memory_bytes, 20 * GIB);
    keeper_world_stop();
}

TEST(a_status_of_before_does_not_take_a_promise_back)
{
    struct message_set set = {
        .fields = MESSAGE_SET_MEMORY, .gpu_mask = UINT32_MAX, .memory_bytes = 20 * GIB};

    start_ready(false);
    promise_add(&keeper->promise, &keeper->tenant, &set, clock_now_ns() + 100 * NS_PER_SEC);
    world->changes = 0;
    keeper_look(keeper, clock_now_ns());
    CHECK(keeper_world_wait(&world->changes, 1));
    CHECK_EQ(keeper->tenant.quotas[0].memory_bytes, 10 * GIB);
    CHECK_EQ(keeper->promise.most[0].memory_bytes, 20 * GIB);
    keeper->promise.until_ns = clock_now_ns(); /* it was refused, say */
    world->changes = 0;
    keeper_look(keeper, clock_now_ns());
    CHECK(keeper_world_wait(&world->changes, 1));
    CHECK_EQ(keeper->promise.most[0].memory_bytes, 10 * GIB);
    keeper_world_stop();
}

TEST(a_promise_that_cannot_be_is_none)
{
    struct message_set set = {
        .fields = MESSAGE_SET_MEMORY, .gpu_mask = UINT32_MAX, .memory_bytes = 0};

    start_ready(false);
    promise_add(&keeper->promise, &keeper->tenant, &set, clock_now_ns());
    CHECK_EQ(keeper->promise.most[0].memory_bytes, 10 * GIB);
    keeper_world_stop();
}

/* --- nothing is left open --- */

static void create_and_end(const char *behaviour)
{
    keeper_world_behave(behaviour);
    world->ends = world->readies = 0;
    CHECK_EQ(keeper_world_create(&keeper, "a", false, NULL), 0);
    if (str_equals(behaviour, "answer")) {
        CHECK(keeper_world_wait(&world->readies, 1));
        ask_end();
    }
    CHECK(keeper_world_wait(&world->ends, 1));
}

TEST(two_hundred_tenants_later_as_many_descriptors_are_open)
{
    static const char *const behaviours[] = {"answer", "die", "remove", "kill"};
    uint32_t before;

    start("answer");
    create_and_end("answer");
    (void)uv_run(&world->loop, UV_RUN_NOWAIT);
    before = count_fds();
    for (int i = 0; i < 160; i++)
        create_and_end(behaviours[i % 4]);
    world->config.program = "/nowhere/vgpu-supervisor";
    for (int i = 0; i < 40; i++)
        CHECK(keeper_world_create(&keeper, "a", false, NULL) < 0);
    for (int i = 0; i < 5; i++)
        (void)uv_run(&world->loop, UV_RUN_ONCE); /* what closes */
    CHECK_EQ(count_fds(), before);
    keeper_world_stop();
}
