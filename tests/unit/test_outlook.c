#include "tests/harness.h"
#include "tests/unit/fake_nvml.h"
#include "tests/unit/node_world.h"
#include "tests/unit/observed_peer.h"

#include "hypervisor/standalone.h"
#include "utils/clock.h"
#include "utils/log.h"
#include "utils/str.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOMEBODY 54321u
#define OTHER    54322u

static struct node_world *world;
static struct observed_peer peer;
static struct node_config config;
static char pattern[48];

/* Two cards that NVML has in the other order, with nobody on them. */
static void prepare(void)
{
    log_set_level(LOG_LEVEL_ERROR);
    fake_nvml_prepare();
    fake_nvml.device_count = 2;
    fake_nvml.lost_mask = 0;
    fake_nvml.process_count = 0;
    fake_nvml.uuids[0] = "GPU-1";
    fake_nvml.uuids[1] = "GPU-0";
}

static void start(void)
{
    world = node_world_start("answer");
}

/* A tenant of that user's, which the daemon looks for from now on. */
static void start_peer(const char *name, uid_t uid)
{
    CHECK_EQ(seteuid(uid), 0);
    observed_peer_start(&peer, name);
    CHECK_EQ(seteuid(0), 0);
    (void)str_format(pattern, sizeof(pattern), "%s", peer.base);
    config = world->config;
    config.standalone_patterns = pattern;
    node_configure(world->node, &config);
}

/* A process of that user's that waits to be killed. */
static pid_t start_process(uid_t uid)
{
    int ready[2];
    char byte;
    pid_t pid;

    CHECK_EQ(pipe(ready), 0);
    pid = fork();
    CHECK(pid >= 0);
    if (!pid) {
        if (setuid(uid) < 0 || write(ready[1], "", 1) != 1)
            _exit(1);
        (void)pause();
        _exit(0);
    }
    CHECK_EQ(read(ready[0], &byte, 1), 1);
    (void)close(ready[0]);
    (void)close(ready[1]);
    return pid;
}

static void end_process(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

static void use_gpu(pid_t pid)
{
    fake_nvml.graphics[fake_nvml.graphics_count++] =
        (nvmlProcessInfo_t){.pid = (unsigned int)pid, .usedGpuMemory = 1000};
}

static bool is_foreign_now(pid_t pid)
{
    const struct snapshot *snapshot = world->node->snapshot;

    for (uint32_t i = 0; i < snapshot->foreign_count; i++)
        if (snapshot->foreign[i].pid == pid)
            return true;
    return false;
}

static bool is_foreign(void *context)
{
    observed_peer_serve(&peer);
    return is_foreign_now(*(const pid_t *)context);
}

static bool is_over(void *context)
{
    observed_peer_serve(&peer);
    return clock_now_ns() >= *(const uint64_t *)context;
}

static void run_for_ms(uint64_t span_ms)
{
    uint64_t end_ns = clock_now_ns() + span_ms * NS_PER_MS;

    CHECK(node_world_wait_for(is_over, &end_ns));
}

static bool is_answered(void *context)
{
    observed_peer_serve(&peer);
    return peer.answers >= *(const uint32_t *)context;
}

static bool is_lost(void *context)
{
    (void)context;
    return world->node->lost_mask != 0;
}

TEST(a_lost_card_is_known_by_its_uuid_and_not_by_nvml_s_number)
{
    prepare();
    fake_nvml.failing_device = 0; /* GPU-1, which is the node's second */
    fake_nvml.failing = "nvmlDeviceGetMemoryInfo*";
    fake_nvml.failure = NVML_ERROR_GPU_IS_LOST;
    start();
    CHECK(node_world_wait_for(is_lost, NULL));
    run_for_ms(100);
    CHECK_EQ(world->node->lost_mask, 1u << 1);
    node_world_stop();
}

TEST(a_silent_socket_keeps_nobody_else_s_processes_from_being_found)
{
    pid_t pid;

    if (geteuid() != 0)
        skip();
    prepare();
    pid = start_process(OTHER);
    use_gpu(pid);
    start();
    start_peer("a", SOMEBODY);
    peer.is_silent = true;
    CHECK(node_world_wait_for(is_foreign, &pid));
    end_process(pid);
    observed_peer_stop(&peer);
    node_world_stop();
}

TEST(its_processes_are_its_user_s_alone_whatever_it_says)
{
    uint32_t first = 1;
    pid_t own, other, supervisor;

    if (geteuid() != 0)
        skip();
    prepare();
    own = start_process(SOMEBODY);
    other = start_process(OTHER);
    supervisor = start_process(OTHER);
    use_gpu(own);
    use_gpu(other);
    use_gpu(supervisor);
    start();
    start_peer("a", SOMEBODY);
    peer.pids[peer.pid_count++] = own;
    peer.pids[peer.pid_count++] = other;
    peer.tenant.supervisor_pid = supervisor;
    CHECK(node_world_wait_for(is_answered, &first));
    CHECK(node_world_wait_for(is_foreign, &other));
    CHECK(node_world_wait_for(is_foreign, &supervisor));
    run_for_ms(3000); /* it is not young any more */
    CHECK(!is_foreign_now(own));
    CHECK(is_foreign_now(other));
    end_process(own);
    end_process(other);
    end_process(supervisor);
    observed_peer_stop(&peer);
    node_world_stop();
}

TEST(a_process_that_is_in_no_tenant_s_list_is_foreign_once_its_user_s_are_known)
{
    uint32_t first = 1;
    pid_t pid;

    if (geteuid() != 0)
        skip();
    prepare();
    pid = start_process(SOMEBODY);
    use_gpu(pid);
    start();
    start_peer("a", SOMEBODY);
    CHECK(node_world_wait_for(is_answered, &first));
    CHECK(!is_foreign_now(pid)); /* its supervisor is young: it may know of it in a moment */
    CHECK(node_world_wait_for(is_foreign, &pid));
    end_process(pid);
    observed_peer_stop(&peer);
    node_world_stop();
}
