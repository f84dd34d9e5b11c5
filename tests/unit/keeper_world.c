#include "tests/unit/keeper_world.h"

#include "hypervisor/keeper_watch.h"
#include "tests/harness.h"
#include "utils/clock.h"
#include "utils/str.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_NS (10 * NS_PER_SEC)
#define BEAT_MS     2
#define GIB         (UINT64_C(1) << 30)

static struct keeper_world world;

static void on_change(void *context, struct keeper *keeper, const struct keeper_status *before)
{
    (void)context;
    (void)keeper;
    (void)before;
    world.changes++;
}

static void on_ready(void *context, struct keeper *keeper)
{
    (void)context;
    (void)keeper;
    world.readies++;
}

static void on_lost(void *context, struct keeper *keeper)
{
    (void)context;
    (void)keeper;
    world.losses++;
}

static void on_end(void *context, struct keeper *keeper, int status)
{
    (void)context;
    world.ends++;
    world.end_status = status;
    keeper_free(keeper);
}

static void on_child(uv_signal_t *signal, int number)
{
    (void)signal;
    (void)number;
    LIST_EACH(at, &world.keepers)
    keeper_look_at_child(CONTAINER_OF(at, struct keeper, node));
}

static void on_beat(uv_timer_t *timer)
{
    (void)timer;
}

void keeper_world_behave(const char *behaviour)
{
    CHECK_EQ(setenv("FAKE_SUPERVISOR", behaviour, 1), 0);
}

struct keeper_world *keeper_world_start(const char *behaviour)
{
    struct err err;

    memset(&world, 0, sizeof(world));
    list_init(&world.keepers);
    (void)str_format(world.base, sizeof(world.base), "/tmp/vgunitXXXXXX");
    CHECK(mkdtemp(world.base) != NULL);
    CHECK_OK(runtime_open_daemon(&world.runtime, world.base, &err), &err);
    CHECK_EQ(uv_loop_init(&world.loop), 0);
    CHECK_EQ(uv_timer_init(&world.loop, &world.beat), 0);
    CHECK_EQ(uv_timer_start(&world.beat, on_beat, BEAT_MS, BEAT_MS), 0);
    CHECK_EQ(uv_signal_init(&world.loop, &world.child), 0);
    CHECK_EQ(uv_signal_start(&world.child, on_child, SIGCHLD), 0);
    world.config = (struct keeper_config){.loop = &world.loop,
                                          .runtime = &world.runtime,
                                          .program = FAKE_SUPERVISOR_FILE,
                                          .words_fd = STDERR_FILENO,
                                          .on_change = on_change,
                                          .on_ready = on_ready,
                                          .on_lost = on_lost,
                                          .on_end = on_end};
    keeper_world_behave(behaviour);
    return &world;
}

static void end_supervisor(const struct keeper *keeper)
{
    pid_t pid = keeper->is_child ? keeper->process.pid : 0;

    if (!pid)
        return;
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

static int remove_one(void *context, const char *name)
{
    (void)context;
    runtime_remove(&world.runtime, name);
    return 0;
}

void keeper_world_stop(void)
{
    char tenants[RUNTIME_PATH_MAX];

    LIST_EACH_SAFE(at, following, &world.keepers)
    {
        struct keeper *keeper = CONTAINER_OF(at, struct keeper, node);

        end_supervisor(keeper);
        keeper_free(keeper);
    }
    uv_close((uv_handle_t *)&world.beat, NULL);
    uv_close((uv_handle_t *)&world.child, NULL);
    CHECK_EQ(uv_run(&world.loop, UV_RUN_DEFAULT), 0);
    CHECK_EQ(uv_loop_close(&world.loop), 0);
    (void)runtime_each(&world.runtime, remove_one, NULL);
    (void)str_format(tenants, sizeof(tenants), "%s/tenants", world.base);
    CHECK_EQ(rmdir(tenants), 0);
    CHECK_EQ(rmdir(world.base), 0);
}

int keeper_world_create(struct keeper **ret_keeper, const char *name, bool is_kept, int *front_fd)
{
    struct tenant tenant;
    int none = -1, rc;

    tenant_init(&tenant, name);
    tenant.is_kept = is_kept;
    tenant.gpu_count = 2;
    for (uint32_t i = 0; i < 2; i++) {
        (void)str_format(tenant.cards[i].uuid, sizeof(tenant.cards[i].uuid), "GPU-%u", i);
        tenant.cards[i].nvml_index = i;
        tenant.cards[i].memory_bytes = 80 * GIB;
        tenant.quotas[i] = (struct tenant_quota){10 * GIB, 30000, 2, REGION_NORMAL, i == 0};
    }
    rc = keeper_create(ret_keeper, &world.config, &tenant, front_fd ? front_fd : &none, NULL);
    if (!rc)
        list_append(&world.keepers, &(*ret_keeper)->node);
    return rc;
}

bool keeper_world_wait_for(bool (*is_so)(void *context), void *context)
{
    uint64_t end_ns = clock_now_ns() + PATIENCE_NS;

    while (!is_so(context) && clock_now_ns() < end_ns)
        (void)uv_run(&world.loop, UV_RUN_ONCE);
    return is_so(context);
}

struct bound {
    const uint32_t *number;
    uint32_t least;
};

static bool is_reached(void *context)
{
    const struct bound *bound = context;

    return *bound->number >= bound->least;
}

bool keeper_world_wait(const uint32_t *number, uint32_t least)
{
    struct bound bound = {number, least};

    return keeper_world_wait_for(is_reached, &bound);
}
