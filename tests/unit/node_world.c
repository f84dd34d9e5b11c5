#include "tests/unit/node_world.h"

#include "tests/harness.h"
#include "utils/clock.h"
#include "utils/str.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_NS      (10 * NS_PER_SEC)
#define LOOK_MS          20
#define SUPERVISORS_MOST 256u

/* What the linker calls instead, and what was there. */
int __wrap_paths_find(const char *file, char *ret_path, size_t size, struct err *err);
int __wrap_gpus_open(struct gpus **ret_gpus, struct err *err);
void __wrap_gpus_close(struct gpus *gpus);
uint32_t __wrap_gpus_count(const struct gpus *gpus);
const struct gpus_card *__wrap_gpus_card(const struct gpus *gpus, uint32_t position);
const char *__wrap_gpus_driver_version(const struct gpus *gpus);
int __wrap_tenant_save(const struct tenant *tenant, const char *path, struct err *err);
int __real_tenant_save(const struct tenant *tenant, const char *path, struct err *err);
int __wrap_uv_spawn(uv_loop_t *loop, uv_process_t *process, const uv_process_options_t *options);
int __real_uv_spawn(uv_loop_t *loop, uv_process_t *process, const uv_process_options_t *options);

static struct node_world world;

/* Each that was started, whatever became of it. */
static struct {
    pid_t pids[SUPERVISORS_MOST];
    uint32_t count;
} supervisors;

int __wrap_paths_find(const char *file, char *ret_path, size_t size, struct err *err)
{
    (void)file;
    return str_format(ret_path, size, "%s", FAKE_SUPERVISOR_FILE) ? 0
                                                                  : err_say(err, EINVAL, "long");
}

int __wrap_gpus_open(struct gpus **ret_gpus, struct err *err)
{
    (void)err;
    *ret_gpus = NULL;
    return 0;
}

void __wrap_gpus_close(struct gpus *gpus)
{
    (void)gpus;
}

uint32_t __wrap_gpus_count(const struct gpus *gpus)
{
    (void)gpus;
    return 2;
}

const struct gpus_card *__wrap_gpus_card(const struct gpus *gpus, uint32_t position)
{
    static struct gpus_card cards[2];

    (void)gpus;
    for (uint32_t i = 0; i < 2; i++) {
        (void)str_format(cards[i].uuid, sizeof(cards[i].uuid), "GPU-%u", i);
        cards[i].nvml_index = i;
        cards[i].memory_bytes = 80 * GIB;
    }
    return &cards[position];
}

const char *__wrap_gpus_driver_version(const struct gpus *gpus)
{
    (void)gpus;
    return "580.1";
}

int __wrap_tenant_save(const struct tenant *tenant, const char *path, struct err *err)
{
    return world.is_disk_full ? err_set(err, ENOSPC, "write '%s'", path)
                              : __real_tenant_save(tenant, path, err);
}

int __wrap_uv_spawn(uv_loop_t *loop, uv_process_t *process, const uv_process_options_t *options)
{
    int rc = __real_uv_spawn(loop, process, options);

    CHECK(supervisors.count < SUPERVISORS_MOST);
    if (rc == 0)
        supervisors.pids[supervisors.count++] = process->pid;
    return rc;
}

/* --- begin and end --- */

void node_world_behave(const char *behaviour)
{
    CHECK_EQ(setenv("FAKE_SUPERVISOR", behaviour, 1), 0);
}

static int on_reload(void *context, struct err *err)
{
    (void)context;
    world.reloads++;
    return world.reload_status ? err_say(err, -world.reload_status, "line 7 is wrong") : 0;
}

struct node_world *node_world_start(const char *behaviour)
{
    struct err err;

    memset(&world, 0, sizeof(world));
    (void)str_format(world.base, sizeof(world.base), "/tmp/vgunitXXXXXX");
    CHECK(mkdtemp(world.base) != NULL);
    node_world_behave(behaviour);
    world.config = (struct node_config){.runtime_dir = world.base,
                                        .node_name = "here",
                                        .policy = &world.policy,
                                        .queue_ns = NS_PER_SEC,
                                        .sample_ms = LOOK_MS,
                                        .on_reload = on_reload};
    CHECK_OK(node_new(&world.node, &world.config, &err), &err);
    return &world;
}

/* Also one that has not yet written who it is: it would, into the directory that is removed. */
static void end_supervisors(void)
{
    siginfo_t info;

    for (uint32_t i = 0; i < supervisors.count; i++) {
        pid_t pid = supervisors.pids[i];

        /* One that libuv has waited for is nobody's, and its number may be another's. */
        if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
            continue;
        CHECK_EQ(kill(pid, SIGKILL), 0);
        CHECK_EQ(waitpid(pid, NULL, 0), pid);
    }
    supervisors.count = 0;
}

static int remove_one(void *context, const char *name)
{
    runtime_remove(context, name);
    return 0;
}

void node_world_end_node(void)
{
    if (!world.node)
        return;
    node_stop(world.node);
    node_free(world.node);
    world.node = NULL;
}

void node_world_stop(void)
{
    struct runtime runtime;
    char tenants[RUNTIME_PATH_MAX], lock[RUNTIME_PATH_MAX];

    node_world_end_node();
    end_supervisors();
    CHECK_EQ(runtime_at(&runtime, world.base, NULL), 0);
    (void)runtime_each(&runtime, remove_one, &runtime);
    (void)str_format(tenants, sizeof(tenants), "%s/tenants", world.base);
    CHECK_EQ(rmdir(tenants), 0);
    (void)str_format(lock, sizeof(lock), "%s/daemon.lock", world.base);
    CHECK_EQ(unlink(lock), 0);
    CHECK_EQ(rmdir(world.base), 0);
}

bool node_world_wait_for(bool (*is_so)(void *context), void *context)
{
    uint64_t end_ns = clock_now_ns() + PATIENCE_NS;

    while (!is_so(context) && clock_now_ns() < end_ns)
        (void)uv_run(node_loop(world.node), UV_RUN_ONCE);
    return is_so(context);
}

static bool has_state(void *context)
{
    const char *const *wanted = context;
    struct snapshot *snapshot = node_backend(world.node)->get_snapshot(world.node);
    const struct snapshot_tenant *tenant = snapshot_find(snapshot, wanted[0]);
    bool is_so = str_equals(tenant ? snapshot_state_word(tenant->state) : "", wanted[1]);

    snapshot_release(snapshot);
    return is_so;
}

bool node_world_becomes(const char *name, const char *state)
{
    const char *wanted[] = {name, state};

    return node_world_wait_for(has_state, wanted);
}

/* --- requests --- */

static void on_done(struct request *request)
{
    request->context = (void *)((uintptr_t)request->context + 1);
}

struct request node_world_request(enum request_kind kind, const char *name)
{
    struct request request = {.kind = kind,
                              .caller = {.uid = geteuid(), .is_operator = true},
                              .front_fd = -1,
                              .done = on_done,
                              .status = 1};

    (void)str_format(request.name, sizeof(request.name), "%s", name);
    return request;
}

struct request node_world_create(const char *name, uint64_t memory_bytes)
{
    struct request request = node_world_request(REQUEST_CREATE, name);

    request.is_kept = true;
    request.gpu_mask = 1;
    request.limits = (struct message_set){
        .fields = MESSAGE_SET_MEMORY, .gpu_mask = UINT32_MAX, .memory_bytes = memory_bytes};
    return request;
}

void node_world_post(struct request *request)
{
    const struct backend *backend = node_backend(world.node);

    backend->post(backend->context, request);
}

uint32_t node_world_done_count(const struct request *request)
{
    return (uint32_t)(uintptr_t)request->context;
}

bool node_world_is_done(const struct request *request)
{
    return request->context != NULL;
}

static bool is_done(void *context)
{
    return node_world_is_done(context);
}

bool node_world_wait_done(struct request *request)
{
    return node_world_wait_for(is_done, request);
}

int node_world_do(struct request *request)
{
    node_world_post(request);
    CHECK(node_world_wait_done(request));
    CHECK_EQ(node_world_done_count(request), 1);
    return request->status;
}

uint32_t node_world_count_sockets(void)
{
    DIR *dir = opendir("/proc/self/fd");
    const struct dirent *entry;
    uint32_t count = 0;
    char link[32];

    while ((entry = readdir(dir)))
        count += readlinkat(dirfd(dir), entry->d_name, link, sizeof(link)) > 0 &&
                 memcmp(link, "socket:", strlen("socket:")) == 0;
    (void)closedir(dir);
    return count;
}
