#include "hypervisor/legacy_limiter.h"

#include "tests/harness.h"
#include "tests/unit/legacy_world.h"
#include "utils/str.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int ask_events(struct legacy_world *world, const struct legacy_caller *caller, int32_t pid,
                      json_t **ret_json)
{
    struct legacy_view view = legacy_world_view(world, caller);
    struct legacy_stream_key key;
    char client[32];

    (void)snprintf(client, sizeof(client), "worker_%d", pid);
    return legacy_limiter_events(&view, client, &key, ret_json);
}

/* This process's own stream. */
static struct legacy_stream_key listen_as_web(struct legacy_world *world)
{
    struct legacy_view view = legacy_world_view(world, &world->web);
    struct legacy_stream_key key = {0};
    char client[32];
    json_t *json;

    (void)snprintf(client, sizeof(client), "worker_%d", (int)getpid());
    CHECK_EQ(legacy_limiter_events(&view, client, &key, &json), 200);
    CHECK(json == NULL);
    return key;
}

static int give_result(struct legacy_world *world, const struct legacy_caller *caller,
                       const char *text, json_t **ret_json)
{
    struct legacy_view view = legacy_world_view(world, caller);
    struct legacy_body body = {text, strlen(text)};

    return legacy_limiter_result(&view, &body, ret_json);
}

static int give_command(struct legacy_world *world, const struct legacy_caller *caller,
                        const struct legacy_order *order, struct legacy_command *ret_command,
                        json_t **ret_json)
{
    struct legacy_view view = legacy_world_view(world, caller);

    return legacy_limiter_command(&view, order, ret_command, ret_json);
}

static struct legacy_order make_order(const char *client_id, const char *text)
{
    return (struct legacy_order){.client_id = client_id, .body = {text, strlen(text)}};
}

static uint32_t count_clients(struct legacy_world *world)
{
    struct legacy_counts counts;
    uint32_t count = 0;

    count += legacy_tasks_count(world->tasks, getpid(), &counts);
    count += legacy_tasks_count(world->tasks, 4200900, &counts);
    count += legacy_tasks_count(world->tasks, 1, &counts);
    return count;
}

/* A task of this process that it has fetched; its result as JSON. */
static void fetch_task(struct legacy_world *world, char *ret_text, size_t size)
{
    struct legacy_task command = {.command_id = 3, .kind = LEGACY_RESUME}, task;
    struct legacy_stream_key key = listen_as_web(world);

    CHECK_EQ(legacy_tasks_add(world->tasks, getpid(), &command, NULL), 0);
    CHECK_EQ(legacy_tasks_take(world->tasks, &key, 1, &task), 1);
    (void)snprintf(ret_text, size,
                   "{\"task_id\":\"%s\",\"client_id\":\"worker_%d\",\"success\":true,"
                   "\"result\":{\"id\":3,\"success\":true,\"message\":null},\"error\":null,"
                   "\"timestamp\":\"2023-11-14T22:13:20.123456789Z\"}",
                   task.id, (int)getpid());
}

TEST(a_pods_process_may_listen_and_no_others)
{
    struct legacy_world world;
    json_t *json;

    legacy_world_init(&world);
    const struct {
        const struct legacy_caller *caller;
        int32_t pid;
        int status;
    } cases[] = {
        {&world.nobody, getpid(), 401},
        {&world.operator, getpid(), 403},
        {&world.reader, getpid(), 403},
        {&world.train, getpid(), 403},
        {&world.stranger, getpid(), 403},
        {&world.web, 4200900, 403},
        {&world.web, 1, 403},
        {&world.web, 72, 403},
        {&world.web, 0, 400},
        {&world.web, -1, 400},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CHECK_EQ(ask_events(&world, cases[i].caller, cases[i].pid, &json), cases[i].status);
        CHECK(legacy_world_is_problem(json, cases[i].status));
    }
    CHECK_EQ(count_clients(&world), 0); /* nothing was made for any of them */
    CHECK_EQ(ask_events(&world, &world.web, getpid(), &json), 200);
    CHECK_EQ(count_clients(&world), 1);
    legacy_world_fini(&world);
}

TEST(a_result_is_taken_once_and_from_the_process_of_its_pod)
{
    struct legacy_world world;
    struct legacy_counts counts;
    char text[512];
    json_t *json;

    legacy_world_init(&world);
    fetch_task(&world, text, sizeof(text));
    CHECK_EQ(give_result(&world, &world.nobody, text, &json), 401);
    CHECK(legacy_world_is_problem(json, 401));
    CHECK_EQ(give_result(&world, &world.train, text, &json), 403);
    CHECK(legacy_world_is_problem(json, 403));
    CHECK_EQ(give_result(&world, &world.operator, text, &json), 403);
    CHECK(legacy_world_is_problem(json, 403));
    CHECK(legacy_tasks_count(world.tasks, getpid(), &counts));
    CHECK_EQ(counts.processing, 1); /* none of these has done anything */
    CHECK_EQ(give_result(&world, &world.web, text, &json), 200);
    CHECK(json == NULL);
    CHECK(legacy_tasks_count(world.tasks, getpid(), &counts));
    CHECK_EQ(counts.completed, 1);
    CHECK_EQ(give_result(&world, &world.web, text, &json), 500);
    CHECK(legacy_world_is_problem(json, 500));
    legacy_world_fini(&world);
}

TEST(a_failure_needs_no_result_and_is_counted_as_one)
{
    struct legacy_world world;
    struct legacy_counts counts;
    char text[512], *after;
    json_t *json, *result;

    legacy_world_init(&world);
    fetch_task(&world, text, sizeof(text));
    result = json_loads(text, 0, NULL);
    CHECK_EQ(json_object_set_new(result, "success", json_false()), 0);
    CHECK_EQ(json_object_set_new(result, "error", json_string("no")), 0);
    CHECK_EQ(json_object_del(result, "result"), 0);
    after = json_dumps(result, 0);
    CHECK_EQ(give_result(&world, &world.web, after, &json), 200);
    CHECK(legacy_tasks_count(world.tasks, getpid(), &counts));
    CHECK_EQ(counts.failed, 1);
    free(after);
    json_decref(result);
    legacy_world_fini(&world);
}

TEST(what_is_no_result_is_refused)
{
    static const char *const bad[] = {
        "",
        "{}",
        "[1]",
        "{\"task_id\":\"a\",\"client_id\":\"trap_client_1\",\"success\":true,\"timestamp\":\"\"}",
        "{\"task_id\":\"a\",\"client_id\":\"worker_1\",\"success\":1,\"timestamp\":\"\"}",
        "{\"task_id\":\"a\",\"client_id\":\"worker_1\",\"success\":true}",
        "{\"task_id\":\"a\",\"client_id\":\"worker_1\",\"success\":true,\"timestamp\":\"\","
        "\"result\":1}",
        "{\"task_id\":\"a\",\"client_id\":\"worker_1\",\"success\":true,\"timestamp\":\"\","
        "\"error\":{}}",
        "{\"task_id\":\"0000000000000000000000000000000000000\",\"client_id\":\"worker_1\","
        "\"success\":true,\"timestamp\":\"\"}",
    };
    struct legacy_world world;
    json_t *json;

    legacy_world_init(&world);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK_EQ(give_result(&world, &world.web, bad[i], &json), 400);
        CHECK(legacy_world_is_problem(json, 400));
    }
    legacy_world_fini(&world);
}

/* --- commands -------------------------------------------------------------------------------- */

TEST(suspend_and_resume_are_requests_for_the_tenant_of_the_process)
{
    struct legacy_world world;
    struct legacy_order order = make_order("worker_4200900", "{\"id\":7,\"kind\":\"Suspend\"}");
    struct legacy_command command;
    json_t *json;

    legacy_world_init(&world);
    CHECK_EQ(give_command(&world, &world.operator, & order, &command, &json), 0);
    CHECK_EQ(command.request, REQUEST_SUSPEND);
    CHECK_STR_EQ(command.tenant, "train");
    CHECK(legacy_world_is(legacy_limiter_done(&command, world.tasks, 1),
                          "{\"id\":7,\"success\":true,\"message\":\"suspended\"}"));
    order = make_order("worker_71", "{\"id\":8,\"kind\":\"Resume\"}");
    CHECK_EQ(give_command(&world, &world.operator, & order, &command, &json), 0);
    CHECK_EQ(command.request, REQUEST_RESUME);
    CHECK_STR_EQ(command.tenant, "web");
    CHECK(legacy_world_is(legacy_limiter_done(&command, world.tasks, 1),
                          "{\"id\":8,\"success\":true,\"message\":\"resumed\"}"));
    legacy_world_fini(&world);
}

TEST(health_is_answered_at_once_with_the_tenants_state)
{
    struct legacy_world world;
    struct legacy_order order = make_order("worker_71", "{\"id\":1,\"kind\":\"HealthCheck\"}");
    struct legacy_command command;
    json_t *json;

    legacy_world_init(&world);
    CHECK_EQ(give_command(&world, &world.web, &order, &command, &json), 200);
    CHECK(legacy_world_is(json, "{\"id\":1,\"success\":true,\"message\":\"running\"}"));
    world.snapshot->tenants[1].state = SNAPSHOT_ORPHANED;
    CHECK_EQ(give_command(&world, &world.operator, & order, &command, &json), 200);
    CHECK(legacy_world_is(json, "{\"id\":1,\"success\":false,\"message\":\"orphaned\"}"));
    legacy_world_fini(&world);
}

TEST(who_may_not_give_a_command_changes_nothing)
{
    struct legacy_world world;
    struct legacy_order health =
                            make_order("worker_4200900", "{\"id\":1,\"kind\":\"HealthCheck\"}"),
                        suspend = make_order("worker_71", "{\"id\":1,\"kind\":\"Suspend\"}"),
                        resume = make_order("worker_71", "{\"id\":1,\"kind\":\"Resume\"}"),
                        nonsense = make_order("worker_71", "{"),
                        unknown = make_order("worker_72", "{\"id\":1,\"kind\":\"Suspend\"}"),
                        reclaim = make_order("worker_71", "{\"id\":1,\"kind\":\"VramReclaim\"}");
    struct legacy_command command = {.id = 99};
    json_t *json;

    legacy_world_init(&world);
    const struct {
        const struct legacy_caller *caller;
        const struct legacy_order *order;
        int status;
    } cases[] = {
        {&world.nobody, &health, 401},    {&world.nobody, &nonsense, 401},
        {&world.reader, &health, 403},    {&world.web, &health, 403},
        {&world.stranger, &suspend, 403}, {&world.web, &suspend, 403},
        {&world.web, &resume, 403},       {&world.train, &resume, 403},
        {&world.web, &nonsense, 400},     {&world.operator, & unknown, 404},
        {&world.web, &reclaim, 403},      {&world.operator, & reclaim, 501},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CHECK_EQ(give_command(&world, cases[i].caller, cases[i].order, &command, &json),
                 cases[i].status);
        CHECK(legacy_world_is_problem(json, cases[i].status));
    }
    CHECK_EQ(command.id, 99);
    legacy_world_fini(&world);
}

TEST(what_is_no_command_is_refused)
{
    static const struct {
        const char *client, *text;
    } bad[] = {{"worker_71", ""},
               {"worker_71", "{\"id\":1}"},
               {"worker_71", "{\"id\":-1,\"kind\":\"Suspend\"}"},
               {"worker_71", "{\"id\":1,\"kind\":\"Explode\"}"},
               {"worker_71", "{\"id\":\"1\",\"kind\":\"Suspend\"}"},
               {"71", "{\"id\":1,\"kind\":\"Suspend\"}"}};
    struct legacy_world world;
    struct legacy_command command;
    json_t *json;

    legacy_world_init(&world);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct legacy_order order = make_order(bad[i].client, bad[i].text);

        CHECK_EQ(give_command(&world, &world.operator, & order, &command, &json), 400);
        CHECK(legacy_world_is_problem(json, 400));
    }
    legacy_world_fini(&world);
}

TEST(who_listens_is_told_of_a_command_once_it_is_done)
{
    struct legacy_world world;
    char client[32];
    struct legacy_order order;
    struct legacy_command command;
    struct legacy_stream_key key = {.pid = getpid()};
    struct legacy_task task;
    json_t *json;

    legacy_world_init(&world);
    (void)snprintf(client, sizeof(client), "worker_%d", (int)getpid());
    order = make_order(client, "{\"id\":12,\"kind\":\"Suspend\"}");
    CHECK_EQ(give_command(&world, &world.operator, & order, &command, &json), 0);
    json_decref(legacy_limiter_done(&command, world.tasks, 1));
    CHECK_EQ(legacy_tasks_take(world.tasks, &key, 1, &task), -ENOENT); /* nobody listened */
    key = listen_as_web(&world);
    CHECK_EQ(give_command(&world, &world.operator, & order, &command, &json), 0);
    CHECK_EQ(legacy_tasks_take(world.tasks, &key, 1, &task), 0); /* it may be refused yet */
    json_decref(legacy_limiter_done(&command, world.tasks, 1));
    CHECK_EQ(legacy_tasks_take(world.tasks, &key, 1, &task), 1);
    CHECK_EQ(task.command_id, 12);
    CHECK_EQ(task.kind, LEGACY_SUSPEND);
    legacy_world_fini(&world);
}

TEST(who_listens_is_told_of_a_question_for_its_health)
{
    struct legacy_order order = make_order("worker_71", "{\"id\":4,\"kind\":\"HealthCheck\"}");
    struct legacy_world world;
    struct legacy_command command;
    struct legacy_stream_key key;
    struct legacy_task task;
    json_t *json;

    legacy_world_init(&world);
    CHECK_EQ(legacy_tasks_open(world.tasks, 71, 1, &key, NULL), 0);
    CHECK_EQ(give_command(&world, &world.web, &order, &command, &json), 200);
    json_decref(json);
    CHECK_EQ(legacy_tasks_take(world.tasks, &key, 1, &task), 1);
    CHECK_EQ(task.kind, LEGACY_HEALTH_CHECK);
    legacy_world_fini(&world);
}
