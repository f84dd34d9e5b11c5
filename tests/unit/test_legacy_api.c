#include "hypervisor/legacy_api.h"

#include "tests/harness.h"
#include "tests/unit/legacy_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRAP                                                                                       \
    "{\"trap_id\":\"trap_client_17_u\",\"process_id\":17,"                                         \
    "\"frame\":{\"OutOfMemory\":{\"requested_bytes\":%llu}},\"timeout_seconds\":30}"

static int ask_pod(struct legacy_world *world, const struct legacy_caller *caller,
                   const char *container, json_t **ret_json)
{
    struct legacy_view view = legacy_world_view(world, caller);

    return legacy_api_pod(&view, container, ret_json);
}

static int ask_process(struct legacy_world *world, const struct legacy_caller *caller,
                       const char *container, const char *pid, json_t **ret_json)
{
    struct legacy_view view = legacy_world_view(world, caller);
    struct legacy_process_query query = {
        .container_name = container, .container_pid = pid, .proc_path = "/proc"};

    return legacy_api_process(&view, &query, ret_json);
}

static int ask_trap(struct legacy_world *world, const struct legacy_caller *caller,
                    const char *text, json_t **ret_json)
{
    struct legacy_view view = legacy_world_view(world, caller);
    struct legacy_body body = {text, strlen(text)};

    return legacy_api_trap(&view, &body, ret_json);
}

static int ask_trap_bytes(struct legacy_world *world, unsigned long long bytes, json_t **ret_json)
{
    char text[256];

    (void)snprintf(text, sizeof(text), TRAP, bytes);
    return ask_trap(world, &world->web, text, ret_json);
}

TEST(a_pod_is_told_what_its_limiters_parse)
{
    struct legacy_world world;
    json_t *json;

    legacy_world_init(&world);
    CHECK_EQ(ask_pod(&world, &world.web, "main", &json), 200);
    CHECK(legacy_world_is(
        json, "{\"success\":true,\"data\":{\"pod_name\":\"web-0\",\"namespace\":\"shop\","
              "\"gpu_uuids\":[\"GPU-0\"],\"tflops_limit\":null,\"vram_limit\":8589934592,"
              "\"qos_level\":\"Medium\",\"compute_shard\":false,\"isolation\":\"soft\"},"
              "\"message\":\"ok\"}"));
    legacy_world_fini(&world);
}

TEST(of_several_gpus_the_least_limit_and_the_highest_priority_are_told)
{
    struct legacy_world world;
    struct snapshot_tenant *web;
    json_t *json;

    legacy_world_init(&world);
    web = &world.snapshot->tenants[1];
    web->shares[1] = web->shares[0];
    web->shares[1].gpu = 1;
    web->shares[1].memory_limit_bytes = 4ull << 30;
    web->shares[1].priority = REGION_HIGH;
    web->share_count = 2;
    CHECK_EQ(ask_pod(&world, &world.web, NULL, &json), 200);
    CHECK(legacy_world_is(json_incref(json_object_get(json_object_get(json, "data"), "gpu_uuids")),
                          "[\"GPU-0\",\"GPU-1\"]"));
    CHECK(legacy_world_is(json_incref(json_object_get(json_object_get(json, "data"), "vram_limit")),
                          "4294967296"));
    CHECK(legacy_world_is(json_incref(json_object_get(json_object_get(json, "data"), "qos_level")),
                          "\"High\""));
    json_decref(json);
    web->share_count = 1;
    web->shares[0].memory_limit_bytes = REGION_NO_LIMIT;
    web->shares[0].priority = REGION_LOW;
    CHECK_EQ(ask_pod(&world, &world.web, NULL, &json), 200);
    CHECK(legacy_world_is(json_incref(json_object_get(json_object_get(json, "data"), "vram_limit")),
                          "null"));
    CHECK(legacy_world_is(json_incref(json_object_get(json_object_get(json, "data"), "qos_level")),
                          "\"Low\""));
    json_decref(json);
    legacy_world_fini(&world);
}

TEST(a_pod_without_a_tenant_is_told_so_softly)
{
    struct legacy_world world;
    json_t *json;

    legacy_world_init(&world);
    CHECK_EQ(ask_pod(&world, &world.stranger, "main", &json), 200);
    CHECK(legacy_world_is(json, "{\"success\":false,\"data\":null,"
                                "\"message\":\"the pod has no tenant on this node\"}"));
    CHECK_EQ(ask_process(&world, &world.stranger, "main", "1", &json), 200);
    CHECK(legacy_world_is(json, "{\"success\":false,\"data\":null,"
                                "\"message\":\"the pod has no tenant on this node\"}"));
    legacy_world_fini(&world);
}

/* Every route with every caller that is no pod. */
TEST(without_a_pods_token_nothing_is_told)
{
    struct legacy_world world;
    json_t *json;

    legacy_world_init(&world);
    const struct {
        const struct legacy_caller *caller;
        int status;
    } cases[] = {{&world.nobody, 401}, {&world.operator, 403 }, {&world.reader, 403}};

    for (size_t i = 0; i < 3; i++) {
        CHECK_EQ(ask_pod(&world, cases[i].caller, "main", &json), cases[i].status);
        CHECK(legacy_world_is_problem(json, cases[i].status));
        CHECK_EQ(ask_process(&world, cases[i].caller, "main", "1", &json), cases[i].status);
        CHECK(legacy_world_is_problem(json, cases[i].status));
        CHECK_EQ(ask_trap(&world, cases[i].caller, "{", &json), cases[i].status);
        CHECK(legacy_world_is_problem(json, cases[i].status));
    }
    legacy_world_fini(&world);
}

TEST(a_container_has_a_name)
{
    static const char *const bad[] = {"", "../x", "a b", "a\"b"};
    struct legacy_world world;
    json_t *json;

    legacy_world_init(&world);
    for (size_t i = 0; i < 4; i++) {
        CHECK_EQ(ask_pod(&world, &world.web, bad[i], &json), 400);
        CHECK(legacy_world_is_problem(json, 400));
        CHECK_EQ(ask_process(&world, &world.web, bad[i], "1", &json), 400);
        CHECK(legacy_world_is_problem(json, 400));
    }
    legacy_world_fini(&world);
}

/* --- which process --------------------------------------------------------------------------- */

TEST(a_process_needs_a_container_and_a_number)
{
    static const char *const bad[] = {"", "0", "-1", "1x", "99999999999", " 1"};
    struct legacy_world world;
    json_t *json;

    legacy_world_init(&world);
    for (size_t i = 0; i < 6; i++) {
        CHECK_EQ(ask_process(&world, &world.web, "main", bad[i], &json), 400);
        CHECK(legacy_world_is_problem(json, 400));
    }
    CHECK_EQ(ask_process(&world, &world.web, "main", NULL, &json), 400);
    json_decref(json);
    CHECK_EQ(ask_process(&world, &world.web, NULL, "1", &json), 400);
    json_decref(json);
    legacy_world_fini(&world);
}

/* This process is in the namespace of the test, where only the known are found: itself. */
TEST(a_pods_process_is_found_and_another_pods_is_not)
{
    struct legacy_world world;
    char pid[16], wanted[256];
    json_t *json;

    legacy_world_init(&world);
    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    (void)snprintf(wanted, sizeof(wanted),
                   "{\"success\":true,\"data\":{\"host_pid\":%s,\"container_pid\":%s,"
                   "\"container_name\":\"main\",\"pod_name\":\"web-0\",\"namespace\":\"shop\"},"
                   "\"message\":\"ok\"}",
                   pid, pid);
    CHECK_EQ(ask_process(&world, &world.web, "main", pid, &json), 200);
    CHECK(legacy_world_is(json, wanted));
    CHECK_EQ(ask_process(&world, &world.train, "main", pid, &json), 200);
    CHECK(json_is_false(json_object_get(json, "success")));
    CHECK(json_is_null(json_object_get(json, "data")));
    json_decref(json);
    (void)snprintf(pid, sizeof(pid), "%d", (int)getppid());
    CHECK_EQ(ask_process(&world, &world.web, "main", pid, &json), 200);
    CHECK(json_is_false(json_object_get(json, "success")));
    json_decref(json);
    world.web.peer_pid = getppid(); /* but who asks is known by its connection */
    CHECK_EQ(ask_process(&world, &world.web, "main", pid, &json), 200);
    CHECK(json_is_true(json_object_get(json, "success")));
    json_decref(json);
    legacy_world_fini(&world);
}

/* --- traps ----------------------------------------------------------------------------------- */

TEST(an_allocation_is_to_be_tried_again_where_it_fits_by_now)
{
    struct legacy_world world;
    json_t *json;

    legacy_world_init(&world);
    CHECK_EQ(ask_trap_bytes(&world, 7ull << 30, &json), 200);
    CHECK(legacy_world_is(json, "{\"trap_id\":\"trap_client_17_u\",\"action\":\"Resume\","
                                "\"timestamp\":\"2023-11-14T22:13:20.123Z\"}"));
    CHECK_EQ(ask_trap_bytes(&world, (7ull << 30) + 1, &json), 200);
    CHECK(legacy_world_is(json, "{\"trap_id\":\"trap_client_17_u\",\"action\":{\"Fatal\":"
                                "\"no GPU of the pod has room for 7516192769 bytes\"},"
                                "\"timestamp\":\"2023-11-14T22:13:20.123Z\"}"));
    legacy_world_fini(&world);
}

static bool is_resumed(struct legacy_world *world, unsigned long long bytes)
{
    json_t *json;
    bool is_text;

    CHECK_EQ(ask_trap_bytes(world, bytes, &json), 200);
    is_text = json_is_string(json_object_get(json, "action"));
    json_decref(json);
    return is_text;
}

TEST(limit_and_card_speak_against_it_and_what_is_not_known_does_not)
{
    struct legacy_world world;
    struct snapshot_share *share;
    struct snapshot_gpu *gpu;

    legacy_world_init(&world);
    share = &world.snapshot->tenants[1].shares[0];
    gpu = &world.snapshot->gpus[0];
    share->memory_used_bytes = SNAPSHOT_UNKNOWN;
    CHECK(is_resumed(&world, 76ull << 30));
    CHECK(!is_resumed(&world, (76ull << 30) + 1)); /* the card is full */
    gpu->memory_used_bytes = SNAPSHOT_UNKNOWN;
    CHECK(is_resumed(&world, INT64_MAX));
    share->memory_used_bytes = 9ull << 30; /* above its limit, which was lowered */
    CHECK(!is_resumed(&world, 0));
    share->memory_limit_bytes = REGION_NO_LIMIT;
    CHECK(is_resumed(&world, 1));
    gpu->memory_used_bytes = gpu->memory_bytes + 1;
    CHECK(!is_resumed(&world, 0));
    world.snapshot->tenants[1].share_count = 0;
    CHECK(!is_resumed(&world, 0));
    legacy_world_fini(&world);
}

TEST(what_is_no_trap_is_refused)
{
    static const char *const bad[] = {
        "",
        "{}",
        "[]",
        "{\"trap_id\":1}",
        "{\"trap_id\":\"\",\"process_id\":1,\"frame\":{\"OutOfMemory\":{\"requested_bytes\":1}},"
        "\"timeout_seconds\":1}",
        "{\"trap_id\":\"a\\nb\",\"process_id\":1,\"frame\":{\"OutOfMemory\":"
        "{\"requested_bytes\":1}},\"timeout_seconds\":1}",
        "{\"trap_id\":\"a\",\"process_id\":0,\"frame\":{\"OutOfMemory\":{\"requested_bytes\":1}},"
        "\"timeout_seconds\":1}",
        "{\"trap_id\":\"a\",\"process_id\":1,\"frame\":{\"OutOfMemory\":{\"requested_bytes\":-1}},"
        "\"timeout_seconds\":1}",
        "{\"trap_id\":\"a\",\"process_id\":1,\"frame\":{\"Other\":{}},\"timeout_seconds\":1}",
        "{\"trap_id\":\"a\",\"process_id\":1,\"frame\":{\"OutOfMemory\":"
        "{\"requested_bytes\":99999999999999999999}},\"timeout_seconds\":1}",
        "{\"trap_id\":\"a\",\"process_id\":\"1\",\"frame\":{\"OutOfMemory\":"
        "{\"requested_bytes\":1}},\"timeout_seconds\":1}",
    };
    struct legacy_world world;
    json_t *json;

    legacy_world_init(&world);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK_EQ(ask_trap(&world, &world.web, bad[i], &json), 400);
        CHECK(legacy_world_is_problem(json, 400));
    }
    legacy_world_fini(&world);
}
