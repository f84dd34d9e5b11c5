#include "tests/unit/legacy_world.h"

#include "tests/harness.h"
#include "utils/str.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOW_MS UINT64_C(1700000000123)

static bool name_pod(void *context, const struct snapshot_tenant *tenant, struct pod_name *ret_pod)
{
    if (str_equals(tenant->name, "web"))
        return pod_name_set(ret_pod, "shop", "web-0");
    return str_equals(tenant->name, "train") && pod_name_set(ret_pod, "lab", "train");
}

static void fill_tenant(struct snapshot_tenant *tenant, const char *name, int32_t pid)
{
    (void)str_format(tenant->name, sizeof(tenant->name), "%s", name);
    tenant->state = SNAPSHOT_RUNNING;
    tenant->processes = calloc(1, sizeof(*tenant->processes));
    tenant->processes[0].pid = pid;
    tenant->process_count = 1;
    tenant->share_count = 1;
    tenant->shares[0] = (struct snapshot_share){.memory_limit_bytes = 8ull << 30,
                                                .memory_used_bytes = 1ull << 30,
                                                .cap_milli_percent = 30000,
                                                .priority = REGION_NORMAL};
}

static struct legacy_caller pod_caller(const char *namespace, const char *name)
{
    struct legacy_caller caller = {.is_known = true, .is_pod = true};

    CHECK(pod_name_set(&caller.pod, namespace, name));
    return caller;
}

void legacy_world_init(struct legacy_world *world)
{
    struct snapshot *snapshot = snapshot_new(2);
    struct err err;

    memset(world, 0, sizeof(*world));
    CHECK_OK(legacy_tasks_new(&world->tasks, &err), &err);
    world->snapshot = snapshot;
    world->rule.name = name_pod;
    snapshot->gpu_count = 2;
    for (uint32_t i = 0; i < 2; i++) {
        struct snapshot_gpu *gpu = &snapshot->gpus[i];

        (void)str_format(gpu->uuid, sizeof(gpu->uuid), "GPU-%u", i);
        gpu->nvml_index = i;
        gpu->memory_bytes = 80ull << 30;
        gpu->memory_used_bytes = 4ull << 30;
    }
    fill_tenant(&snapshot->tenants[0], "train", 4200900);
    fill_tenant(&snapshot->tenants[1], "web", getpid());
    snapshot->foreign[0] = (struct snapshot_foreign){.pid = 71, .tenant = "web"};
    snapshot->foreign[1] = (struct snapshot_foreign){.pid = 72};
    snapshot->foreign_count = 2;
    world->web = pod_caller("shop", "web-0");
    world->train = pod_caller("lab", "train");
    world->stranger = pod_caller("shop", "web-1");
    world->operator=(struct legacy_caller){.is_known = true, .is_operator = true};
    world->reader = (struct legacy_caller){.is_known = true};
}

void legacy_world_fini(struct legacy_world *world)
{
    legacy_tasks_free(world->tasks);
    snapshot_release(world->snapshot);
}

struct legacy_view legacy_world_view(struct legacy_world *world, const struct legacy_caller *caller)
{
    return (struct legacy_view){.caller = caller,
                                .snapshot = world->snapshot,
                                .rule = &world->rule,
                                .tasks = world->tasks,
                                .now_unix_ms = NOW_MS};
}

bool legacy_world_is(json_t *json, const char *literal)
{
    json_t *wanted = json_loads(literal, JSON_DECODE_ANY, NULL);
    bool is_equal = wanted && json_equal(json, wanted);

    if (!is_equal) {
        char *text = json_dumps(json, JSON_ENCODE_ANY);

        print_message("got    %s\nwanted %s\n", text ? text : "nothing", literal);
        free(text);
    }
    json_decref(json);
    json_decref(wanted);
    return is_equal;
}

bool legacy_world_is_problem(json_t *json, int status)
{
    bool is_problem = json_integer_value(json_object_get(json, "status")) == status &&
                      json_object_get(json, "type") && json_object_get(json, "title") &&
                      json_object_get(json, "detail") && json_object_size(json) == 4;

    json_decref(json);
    return is_problem;
}
