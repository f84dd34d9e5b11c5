#include "hypervisor/legacy_caller.h"

#include "tests/harness.h"
#include "tests/unit/legacy_world.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TEST(clients_have_one_name_each)
{
    static const char *const bad[] = {
        "",           "worker_",   "worker_0",
        "worker_01",  "worker_-1", "worker_+1",
        "worker_1 ",  " worker_1", "worker_2147483648",
        "Worker_1",   "1",         "worker_1/../2",
        "worker_0x1", "worker",    "worker_99999999999999999999",
    };
    int32_t pid = -1;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK(!legacy_caller_parse_client(bad[i], &pid));
    CHECK_EQ(pid, -1);
    CHECK(legacy_caller_parse_client("worker_2147483647", &pid));
    CHECK_EQ(pid, 2147483647);
}

TEST(a_pod_owns_the_processes_of_its_tenant_and_those_counted_to_it)
{
    struct legacy_world world;
    struct legacy_view view;

    legacy_world_init(&world);
    view = legacy_world_view(&world, &world.web);
    CHECK(legacy_caller_owns(&view, getpid()));
    CHECK(legacy_caller_owns(&view, 71));
    CHECK(!legacy_caller_owns(&view, 72)); /* nobody's */
    CHECK(!legacy_caller_owns(&view, 4200900));
    CHECK(!legacy_caller_owns(&view, 1));
    view.caller = &world.stranger;
    CHECK(!legacy_caller_owns(&view, getpid()));
    CHECK_STR_EQ(legacy_caller_tenant_of(&view, 4200900)->name, "train");
    CHECK(legacy_caller_tenant_of(&view, 72) == NULL);
    legacy_world_fini(&world);
}

TEST(a_standalone_tenant_s_word_about_its_processes_is_not_believed)
{
    struct legacy_world world;
    struct legacy_view view;

    legacy_world_init(&world);
    view = legacy_world_view(&world, &world.web);
    /* It comes first, and names the process of another tenant. */
    world.snapshot->tenants[0].is_standalone = true;
    world.snapshot->tenants[0].processes[0].pid = getpid();
    CHECK_STR_EQ(legacy_caller_tenant_of(&view, getpid())->name, "web");
    world.snapshot->tenants[0].processes[0].pid = 4200900;
    CHECK(legacy_caller_tenant_of(&view, 4200900) == NULL);
    legacy_world_fini(&world);
}

TEST(a_body_is_an_object_of_bounded_length_without_names_twice)
{
    static char big[70000];
    static const char *const bad[] = {"", "[]", "1", "{", "{\"a\":1,\"a\":2}", "{} x", "null"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK(!legacy_caller_parse_body(&(struct legacy_body){bad[i], strlen(bad[i])}));
    CHECK(!legacy_caller_parse_body(&(struct legacy_body){NULL, 0}));
    memset(big, ' ', sizeof(big));
    memcpy(big, "{}", 2);
    CHECK(!legacy_caller_parse_body(&(struct legacy_body){big, sizeof(big)}));
    CHECK(legacy_world_is(legacy_caller_parse_body(&(struct legacy_body){big, 65536}), "{}"));
}

TEST(a_problem_has_the_shape_of_the_standard)
{
    json_t *json;

    CHECK_EQ(legacy_caller_problem(403, "no", &json), 403);
    CHECK(legacy_world_is(json, "{\"type\":\"about:blank\",\"title\":\"Forbidden\","
                                "\"status\":403,\"detail\":\"no\"}"));
}
