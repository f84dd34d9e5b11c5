#include "hypervisor/legacy_tasks.h"

#include "tests/harness.h"
#include "utils/str.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define NOW 1700000000123u

static struct legacy_tasks *make_tasks(void)
{
    struct legacy_tasks *tasks = NULL;
    struct err err;

    CHECK_OK(legacy_tasks_new(&tasks, &err), &err);
    return tasks;
}

static int add(struct legacy_tasks *tasks, int32_t pid, uint64_t command_id)
{
    struct legacy_task command = {
        .command_id = command_id, .kind = LEGACY_SUSPEND, .created_unix_ms = NOW};

    return legacy_tasks_add(tasks, pid, &command, NULL);
}

/* Opens a stream; what the tests take with. */
static struct legacy_stream_key open_stream(struct legacy_tasks *tasks, int32_t pid,
                                            uint64_t start_ticks)
{
    struct legacy_stream_key key = {0};
    struct err err;

    CHECK_OK(legacy_tasks_open(tasks, pid, start_ticks, &key, &err), &err);
    CHECK_EQ(key.pid, pid);
    return key;
}

static int finish(struct legacy_tasks *tasks, int32_t pid, const char *id, enum legacy_state state)
{
    struct legacy_task answer = {.state = state, .updated_unix_ms = NOW + 1};

    (void)str_format(answer.id, sizeof(answer.id), "%s", id);
    return legacy_tasks_finish(tasks, pid, &answer);
}

static void check_counts(struct legacy_tasks *tasks, int32_t pid, struct legacy_counts wanted)
{
    struct legacy_counts counts;

    CHECK(legacy_tasks_count(tasks, pid, &counts));
    CHECK_EQ(memcmp(&counts, &wanted, sizeof(counts)), 0);
}

TEST(tasks_come_in_order_and_are_finished_once)
{
    struct legacy_tasks *tasks = make_tasks();
    struct legacy_stream_key five;
    struct legacy_task first, second, none;

    five = open_stream(tasks, 5, 1);
    CHECK_EQ(legacy_tasks_take(tasks, &five, NOW, &none), 0);
    CHECK_EQ(add(tasks, 5, 10), 0);
    CHECK_EQ(add(tasks, 5, 11), 0);
    check_counts(tasks, 5, (struct legacy_counts){.queued = 2});
    CHECK_EQ(legacy_tasks_take(tasks, &five, NOW + 1, &first), 1);
    CHECK_EQ(legacy_tasks_take(tasks, &five, NOW + 1, &second), 1);
    CHECK_EQ(legacy_tasks_take(tasks, &five, NOW + 1, &none), 0);
    CHECK_EQ(first.command_id, 10);
    CHECK_EQ(second.command_id, 11);
    CHECK(strcmp(first.id, second.id) != 0);
    CHECK_EQ(finish(tasks, 5, first.id, LEGACY_COMPLETED), 0);
    CHECK_EQ(finish(tasks, 5, first.id, LEGACY_COMPLETED), -ENOENT);
    CHECK_EQ(finish(tasks, 5, second.id, LEGACY_FAILED), 0);
    CHECK_EQ(finish(tasks, 5, "00000000-0000-4000-8000-000000000000", LEGACY_FAILED), -ENOENT);
    check_counts(tasks, 5, (struct legacy_counts){.completed = 1, .failed = 1});
    legacy_tasks_free(tasks);
}

TEST(a_task_that_nobody_fetched_cannot_be_finished_nor_by_another_client)
{
    struct legacy_tasks *tasks = make_tasks();
    struct legacy_stream_key five, six;
    struct legacy_task task;

    five = open_stream(tasks, 5, 1);
    six = open_stream(tasks, 6, 1);
    CHECK_EQ(add(tasks, 5, 1), 0);
    CHECK_EQ(legacy_tasks_take(tasks, &six, NOW, &task), 0);
    CHECK_EQ(finish(tasks, 5, "", LEGACY_COMPLETED), -ENOENT);
    CHECK_EQ(legacy_tasks_take(tasks, &five, NOW, &task), 1);
    CHECK_EQ(finish(tasks, 6, task.id, LEGACY_COMPLETED), -ENOENT);
    CHECK_EQ(finish(tasks, 7, task.id, LEGACY_COMPLETED), -ENOENT);
    CHECK_EQ(finish(tasks, 5, task.id, LEGACY_COMPLETED), 0);
    legacy_tasks_free(tasks);
}

TEST(who_does_not_listen_has_no_queue)
{
    struct legacy_tasks *tasks = make_tasks();
    struct legacy_stream_key five = {.pid = 5};
    struct legacy_counts counts;
    struct legacy_task task;

    CHECK_EQ(add(tasks, 5, 1), -ENOENT);
    CHECK_EQ(legacy_tasks_take(tasks, &five, NOW, &task), -ENOENT);
    CHECK(!legacy_tasks_count(tasks, 5, &counts));
    legacy_tasks_free(tasks);
}

TEST(what_is_not_answered_and_what_is_remembered_are_bounded)
{
    struct legacy_tasks *tasks = make_tasks();
    struct legacy_stream_key five;
    struct legacy_task task;

    five = open_stream(tasks, 5, 1);
    for (uint64_t i = 0; i < LEGACY_TASKS_OPEN_MAX; i++)
        CHECK_EQ(add(tasks, 5, i), 0);
    CHECK_EQ(add(tasks, 5, 0), -EAGAIN);
    CHECK_EQ(legacy_tasks_take(tasks, &five, NOW, &task), 1);
    CHECK_EQ(add(tasks, 5, 0), -EAGAIN); /* fetched is not answered */
    CHECK_EQ(finish(tasks, 5, task.id, LEGACY_COMPLETED), 0);
    for (uint64_t i = 0; i < 1000; i++) {
        CHECK_EQ(add(tasks, 5, 1000 + i), 0);
        CHECK_EQ(legacy_tasks_take(tasks, &five, NOW, &task), 1);
        CHECK_EQ(finish(tasks, 5, task.id, LEGACY_COMPLETED), 0);
    }
    CHECK_EQ(task.command_id, 1000 + 1000 - LEGACY_TASKS_OPEN_MAX); /* none was lost or turned */
    check_counts(
        tasks, 5,
        (struct legacy_counts){.queued = LEGACY_TASKS_OPEN_MAX - 1,
                               .completed = LEGACY_TASKS_KEPT_MAX - LEGACY_TASKS_OPEN_MAX + 1});
    legacy_tasks_free(tasks);
}

TEST(clients_are_bounded)
{
    struct legacy_tasks *tasks = make_tasks();
    struct legacy_stream_key key;

    for (int32_t pid = 1; pid <= LEGACY_TASKS_CLIENTS_MAX; pid++)
        (void)open_stream(tasks, pid, 1);
    CHECK_EQ(legacy_tasks_open(tasks, 5000, 1, &key, NULL), -ENOSPC);
    (void)open_stream(tasks, 7, 1); /* once more is the same one */
    legacy_tasks_free(tasks);
}

TEST(a_stream_that_is_opened_again_gets_what_was_not_answered)
{
    struct legacy_tasks *tasks = make_tasks();
    struct legacy_stream_key five;
    struct legacy_task task, again;

    five = open_stream(tasks, 5, 1);
    CHECK_EQ(add(tasks, 5, 1), 0);
    CHECK_EQ(legacy_tasks_take(tasks, &five, NOW, &task), 1);
    five = open_stream(tasks, 5, 1);
    CHECK_EQ(legacy_tasks_take(tasks, &five, NOW, &again), 1);
    CHECK_STR_EQ(task.id, again.id);
    five = open_stream(tasks, 5, 2); /* another process with its pid */
    CHECK_EQ(legacy_tasks_take(tasks, &five, NOW, &again), 0);
    CHECK_EQ(finish(tasks, 5, task.id, LEGACY_COMPLETED), -ENOENT);
    legacy_tasks_free(tasks);
}

TEST(a_stream_is_over_where_there_is_a_newer_one)
{
    struct legacy_tasks *tasks = make_tasks();
    struct legacy_stream_key first = open_stream(tasks, 5, 1), second, third;
    struct legacy_task task;

    CHECK_EQ(add(tasks, 5, 1), 0);
    second = open_stream(tasks, 5, 1);
    CHECK_EQ(legacy_tasks_take(tasks, &first, NOW, &task), -ENOENT);
    CHECK_EQ(legacy_tasks_take(tasks, &second, NOW, &task), 1);
    third = open_stream(tasks, 5, 2); /* another process with its pid */
    CHECK_EQ(add(tasks, 5, 2), 0);
    CHECK_EQ(legacy_tasks_take(tasks, &second, NOW, &task), -ENOENT);
    CHECK_EQ(legacy_tasks_take(tasks, &third, NOW, &task), 1);
    CHECK_EQ(task.command_id, 2);
    legacy_tasks_free(tasks);
}

TEST(clients_vanish_with_their_processes)
{
    struct legacy_tasks *tasks = make_tasks();
    struct snapshot *snapshot = snapshot_new(1);
    struct legacy_counts counts;

    snapshot->tenants[0].processes = calloc(1, sizeof(struct snapshot_process));
    snapshot->tenants[0].processes[0].pid = 5;
    snapshot->tenants[0].process_count = 1;
    snapshot->foreign[0] = (struct snapshot_foreign){.pid = 6, .tenant = "a"};
    snapshot->foreign[1] = (struct snapshot_foreign){.pid = 7};
    snapshot->foreign_count = 2;
    for (int32_t pid = 4; pid < 9; pid++)
        (void)open_stream(tasks, pid, 1);
    legacy_tasks_prune(tasks, snapshot);
    for (int32_t pid = 4; pid < 9; pid++)
        CHECK_EQ(legacy_tasks_count(tasks, pid, &counts), pid == 5 || pid == 6);
    snapshot->tenants[0].is_standalone = true; /* its processes are its user's word */
    legacy_tasks_prune(tasks, snapshot);
    CHECK_EQ(legacy_tasks_count(tasks, 5, &counts), false);
    snapshot_release(snapshot);
    legacy_tasks_free(tasks);
}

static void count_call(void *context)
{
    ++*(int *)context;
}

TEST(a_listener_hears_of_what_is_new_and_of_what_has_ended)
{
    struct legacy_tasks *tasks = make_tasks();
    struct snapshot *snapshot = snapshot_new(0);
    int calls = 0;

    (void)open_stream(tasks, 5, 1);
    legacy_tasks_listen(tasks, count_call, &calls);
    CHECK_EQ(add(tasks, 6, 1), -ENOENT);
    CHECK_EQ(calls, 0);
    CHECK_EQ(add(tasks, 5, 1), 0);
    CHECK_EQ(calls, 1);
    legacy_tasks_prune(tasks, snapshot);
    CHECK_EQ(calls, 2);
    legacy_tasks_prune(tasks, snapshot); /* nobody was there any more */
    CHECK_EQ(calls, 2);
    (void)open_stream(tasks, 5, 1); /* the stream before is over */
    CHECK_EQ(calls, 3);
    legacy_tasks_listen(tasks, NULL, NULL);
    (void)open_stream(tasks, 5, 1);
    CHECK_EQ(add(tasks, 5, 1), 0);
    CHECK_EQ(calls, 3);
    snapshot_release(snapshot);
    legacy_tasks_free(tasks);
}

TEST(a_task_is_shown_as_limiters_parse_it)
{
    struct legacy_task task = {.id = "0b1c2d3e-0000-4000-8000-000000000001",
                               .command_id = 7,
                               .kind = LEGACY_VRAM_RECLAIM,
                               .state = LEGACY_PROCESSING,
                               .created_unix_ms = NOW,
                               .updated_unix_ms = NOW + 1000};
    json_t *got = legacy_tasks_json(&task, 4321);
    json_t *wanted = json_loads("{\"id\":\"0b1c2d3e-0000-4000-8000-000000000001\","
                                "\"data\":{\"id\":7,\"kind\":\"VramReclaim\"},"
                                "\"state\":\"Processing\","
                                "\"created_at\":\"2023-11-14T22:13:20.123Z\","
                                "\"updated_at\":\"2023-11-14T22:13:21.123Z\","
                                "\"client_id\":\"worker_4321\"}",
                                0, NULL);

    CHECK(json_equal(got, wanted));
    json_decref(got);
    json_decref(wanted);
}

TEST(kinds_are_those_four_words)
{
    enum legacy_kind kind;

    CHECK(legacy_tasks_kind("HealthCheck", &kind) && kind == LEGACY_HEALTH_CHECK);
    CHECK(legacy_tasks_kind("Suspend", &kind) && kind == LEGACY_SUSPEND);
    CHECK(legacy_tasks_kind("Resume", &kind) && kind == LEGACY_RESUME);
    CHECK(legacy_tasks_kind("VramReclaim", &kind) && kind == LEGACY_VRAM_RECLAIM);
    CHECK(!legacy_tasks_kind("suspend", &kind));
    CHECK(!legacy_tasks_kind("", &kind));
}

struct taker {
    struct legacy_tasks *tasks;
    struct legacy_stream_key key;
};

static void *take_all(void *argument)
{
    struct taker *taker = argument;
    uintptr_t count = 0;
    struct legacy_task task;

    while (count < 1000)
        if (legacy_tasks_take(taker->tasks, &taker->key, NOW, &task) == 1) {
            CHECK_EQ(task.command_id, count);
            CHECK_EQ(finish(taker->tasks, 5, task.id, LEGACY_COMPLETED), 0);
            count++;
        }
    return NULL;
}

TEST(one_thread_adds_while_another_takes)
{
    struct legacy_tasks *tasks = make_tasks();
    struct taker taker;
    pthread_t thread;

    taker.tasks = tasks;
    taker.key = open_stream(tasks, 5, 1);
    CHECK_EQ(pthread_create(&thread, NULL, take_all, &taker), 0);
    for (uint64_t i = 0; i < 1000;)
        if (add(tasks, 5, i) == 0)
            i++;
    CHECK_EQ(pthread_join(thread, NULL), 0);
    legacy_tasks_free(tasks);
}
