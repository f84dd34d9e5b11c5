#include "hypervisor/foreign_region.h"

#include "hypervisor/v2_folder.h"
#include "tests/harness.h"
#include "utils/str.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOW 1700000000u

/* Tenants named "<namespace>.<pod>" are pods. */
static bool name_by_dot(void *context, const struct snapshot_tenant *tenant,
                        struct pod_name *ret_pod)
{
    const char *dot = strchr(tenant->name, '.');
    char namespace[64];

    return dot &&
           str_format(namespace, sizeof(namespace), "%.*s", (int)(dot - tenant->name),
                      tenant->name) &&
           pod_name_set(ret_pod, namespace, dot + 1);
}

struct world {
    char base[32], path[96];
    struct foreign_region *region;
    struct snapshot *snapshot;
    struct snapshot_process processes[2];
};

static void make_world(struct world *world)
{
    struct foreign_region_options options = {.base_path = world->base, .rule = {name_by_dot, NULL}};
    struct snapshot_tenant *tenant;
    struct err err;

    (void)str_format(world->base, sizeof(world->base), "/tmp/vgXXXXXX");
    CHECK(mkdtemp(world->base) != NULL);
    (void)str_format(world->path, sizeof(world->path), "%s/space/pod/shm", world->base);
    CHECK_OK(foreign_region_new(&world->region, &options, &err), &err);
    world->snapshot = snapshot_new(1);
    world->snapshot->gpu_count = 1;
    world->snapshot->gpus[0] =
        (struct snapshot_gpu){.uuid = "GPU-1", .nvml_index = 4, .memory_bytes = 80ull << 30};
    tenant = &world->snapshot->tenants[0];
    (void)str_format(tenant->name, sizeof(tenant->name), "space.pod");
    tenant->state = SNAPSHOT_RUNNING;
    tenant->share_count = 1;
    tenant->shares[0] = (struct snapshot_share){.memory_limit_bytes = 8ull << 30,
                                                .memory_used_bytes = 1ull << 30,
                                                .memory_nvml_bytes = SNAPSHOT_UNKNOWN};
    tenant->process_count = 1;
    world->processes[0].pid = getpid();
    world->processes[1].pid = getppid();
    tenant->processes = calloc(2, sizeof(*tenant->processes));
    memcpy(tenant->processes, world->processes, sizeof(world->processes));
}

static void update(struct world *world, uint64_t now_unix_s)
{
    foreign_region_update(world->region, world->snapshot, now_unix_s);
}

/* The tenant ends, and with it its file and directories. */
static void end_world(struct world *world)
{
    uint32_t count = world->snapshot->tenant_count;

    world->snapshot->tenant_count = 0;
    update(world, NOW);
    world->snapshot->tenant_count = count;
    snapshot_release(world->snapshot);
    foreign_region_free(world->region);
    CHECK_EQ(rmdir(world->base), 0);
}

static struct v2_region read_file(const struct world *world)
{
    int fd = open(world->path, O_RDWR | O_CLOEXEC);
    struct v2_region region;
    struct err err;

    CHECK(fd >= 0);
    CHECK_OK(v2_region_read(fd, &region, &err), &err);
    CHECK_EQ(close(fd), 0);
    return region;
}

static ino_t inode_of(const struct world *world)
{
    struct stat status;

    CHECK_EQ(stat(world->path, &status), 0);
    return status.st_ino;
}

TEST(a_pods_file_follows_the_snapshots)
{
    struct world world;
    struct v2_region region;
    struct snapshot_share *share;

    make_world(&world);
    share = &world.snapshot->tenants[0].shares[0];
    update(&world, NOW);
    region = read_file(&world);
    CHECK_EQ(region.version, 2);
    CHECK_EQ(region.active_count, 1);
    CHECK_EQ(region.devices[0].slot, 4); /* its NVML index */
    CHECK_EQ(region.devices[0].up_limit_percent, 100);
    CHECK_EQ(region.devices[0].memory_limit_bytes, 8ull << 30);
    CHECK_EQ(region.devices[0].memory_used_bytes, 1ull << 30);
    CHECK_EQ(region.heartbeat_unix_s, NOW);
    CHECK_EQ(region.pid_count, 1);
    CHECK_EQ(region.creator_pid, (uint64_t)getpid());
    share->cap_milli_percent = 30000; /* enforced where it holds, and never by their tokens */
    share->memory_limit_bytes = REGION_NO_LIMIT;
    share->memory_used_bytes = 2ull << 30;
    world.snapshot->tenants[0].process_count = 2;
    update(&world, NOW + 1);
    region = read_file(&world);
    CHECK_EQ(region.devices[0].up_limit_percent, 100);
    CHECK_EQ(region.devices[0].memory_limit_bytes, 80ull << 30); /* the card's */
    CHECK_EQ(region.devices[0].memory_used_bytes, 2ull << 30);
    CHECK_EQ(region.heartbeat_unix_s, NOW + 1);
    CHECK_EQ(region.pid_count, 2);
    world.snapshot->tenants[0].share_count = 0;
    world.snapshot->tenants[0].process_count = 0;
    update(&world, NOW + 2);
    region = read_file(&world);
    CHECK_EQ(region.active_count, 0);
    CHECK_EQ(region.device_count, 0);
    CHECK_EQ(region.pid_count, 0);
    end_world(&world);
}

TEST(used_memory_is_the_higher_of_what_is_known_and_stays_where_nothing_is)
{
    static const struct {
        uint64_t ledger, nvml, wanted;
    } cases[] = {
        {5, SNAPSHOT_UNKNOWN, 5},
        {SNAPSHOT_UNKNOWN, 6, 6},
        {7, 6, 7},
        {7, 9, 9},
        {SNAPSHOT_UNKNOWN, SNAPSHOT_UNKNOWN, 9},
    };
    struct world world;

    make_world(&world);
    for (size_t i = 0; i < 5; i++) {
        world.snapshot->tenants[0].shares[0].memory_used_bytes = cases[i].ledger;
        world.snapshot->tenants[0].shares[0].memory_nvml_bytes = cases[i].nvml;
        update(&world, NOW);
        CHECK_EQ(read_file(&world).devices[0].memory_used_bytes, cases[i].wanted);
    }
    end_world(&world);
}

TEST(tenants_that_are_no_pods_get_no_file)
{
    struct world world;
    struct stat status;

    make_world(&world);
    (void)str_format(world.snapshot->tenants[0].name, 64, "nobody");
    update(&world, NOW);
    (void)str_format(world.snapshot->tenants[0].name, 64, "space...");
    update(&world, NOW);
    CHECK_EQ(stat(world.base, &status), 0);
    CHECK_EQ(status.st_nlink, 2); /* no directory below */
    end_world(&world);
}

TEST(the_next_daemon_goes_on_with_the_file_that_processes_have_mapped)
{
    struct world world;
    struct foreign_region_options options = {.base_path = world.base, .rule = {name_by_dot, NULL}};
    struct err err;
    ino_t inode;

    make_world(&world);
    update(&world, NOW);
    inode = inode_of(&world);
    foreign_region_free(world.region);
    CHECK_EQ(inode_of(&world), inode);
    CHECK_EQ(chmod(world.path, 0600), 0);
    CHECK_OK(foreign_region_new(&world.region, &options, &err), &err);
    world.snapshot->tenants[0].shares[0].memory_used_bytes = 77;
    update(&world, NOW + 5);
    CHECK_EQ(inode_of(&world), inode);
    CHECK_EQ(read_file(&world).devices[0].memory_used_bytes, 77);
    CHECK_EQ(read_file(&world).heartbeat_unix_s, NOW + 5);
    end_world(&world);
}

/* Limiters that have it mapped would read that nothing is used, by nobody. */
TEST(a_file_that_was_taken_over_keeps_what_it_says_until_the_supervisor_has_answered)
{
    struct world world;
    struct foreign_region_options options = {.base_path = world.base, .rule = {name_by_dot, NULL}};
    struct snapshot_tenant *tenant;
    struct v2_region region;
    struct err err;

    make_world(&world);
    tenant = &world.snapshot->tenants[0];
    update(&world, NOW);
    foreign_region_free(world.region);
    CHECK_OK(foreign_region_new(&world.region, &options, &err), &err);
    tenant->state = SNAPSHOT_ORPHANED;
    tenant->process_count = 0;
    tenant->shares[0].memory_used_bytes = SNAPSHOT_UNKNOWN;
    for (unsigned int i = 1; i < 4; i++) {
        update(&world, NOW + i);
        region = read_file(&world);
        CHECK_EQ(region.heartbeat_unix_s, NOW + i);
        CHECK_EQ(region.pid_count, 1);
        CHECK_EQ(region.devices[0].memory_used_bytes, 1ull << 30);
    }
    tenant->state = SNAPSHOT_RUNNING;
    tenant->process_count = 2;
    tenant->shares[0].memory_used_bytes = 5;
    update(&world, NOW + 4);
    CHECK_EQ(read_file(&world).pid_count, 2);
    CHECK_EQ(read_file(&world).devices[0].memory_used_bytes, 5);
    /* Nor is it emptied while a supervisor is replaced. */
    tenant->state = SNAPSHOT_ORPHANED;
    tenant->process_count = 0;
    update(&world, NOW + 5);
    CHECK_EQ(read_file(&world).pid_count, 2);
    CHECK_EQ(read_file(&world).heartbeat_unix_s, NOW + 5);
    tenant->process_count = 1;
    end_world(&world);
}

TEST(a_new_file_is_whole_before_the_supervisor_has_answered)
{
    struct world world;
    int fd;

    make_world(&world);
    world.snapshot->tenants[0].state = SNAPSHOT_STARTING;
    update(&world, NOW);
    CHECK_EQ(read_file(&world).devices[0].memory_limit_bytes, 8ull << 30);
    update(&world, NOW + 1);
    CHECK_EQ(read_file(&world).heartbeat_unix_s, NOW + 1);
    fd = open(world.path, O_RDWR | O_TRUNC | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_EQ(close(fd), 0);
    update(&world, NOW + 2);
    CHECK_EQ(read_file(&world).devices[0].memory_limit_bytes, 8ull << 30);
    end_world(&world);
}

TEST(processes_that_are_counted_to_the_tenant_are_in_its_file)
{
    struct world world;
    struct v2_region region;

    make_world(&world);
    world.snapshot->foreign_count = 4;
    for (unsigned int i = 0; i < 4; i++)
        world.snapshot->foreign[i] =
            (struct snapshot_foreign){.pid = 4000 + (int32_t)i, .memory_bytes = 100};
    for (unsigned int i = 0; i < 3; i++)
        (void)str_format(world.snapshot->foreign[i].tenant, 64, "space.pod");
    world.snapshot->foreign[1].memory_bytes = SNAPSHOT_UNKNOWN;
    world.snapshot->foreign[2].pid = 4000; /* on another card */
    world.snapshot->foreign[2].gpu = 1;
    update(&world, NOW);
    region = read_file(&world);
    CHECK_EQ(region.devices[0].memory_used_bytes, (1ull << 30) + 100);
    CHECK_EQ(region.pid_count, 3); /* its own, 4000 and 4001 */
    end_world(&world);
}

TEST(a_file_that_its_pod_removes_or_replaces_comes_back)
{
    char target[] = "/tmp/vgXXXXXX";
    int target_fd = mkstemp(target);
    struct world world;
    struct stat status;
    char folder[96];

    make_world(&world);
    update(&world, NOW);
    CHECK_EQ(unlink(world.path), 0);
    update(&world, NOW + 1);
    CHECK_EQ(read_file(&world).heartbeat_unix_s, NOW + 1);
    CHECK_EQ(unlink(world.path), 0);
    CHECK_EQ(symlink(target, world.path), 0);
    update(&world, NOW + 2);
    CHECK_EQ(read_file(&world).heartbeat_unix_s, NOW + 2);
    CHECK_EQ(fstat(target_fd, &status), 0);
    CHECK_EQ(status.st_size, 0); /* nothing was written through it */
    CHECK_EQ(unlink(world.path), 0);
    (void)str_format(folder, sizeof(folder), "%s/space/pod", world.base);
    CHECK_EQ(rmdir(folder), 0);
    update(&world, NOW + 3);
    CHECK_EQ(read_file(&world).heartbeat_unix_s, NOW + 3);
    CHECK_EQ(close(target_fd), 0);
    CHECK_EQ(unlink(target), 0);
    end_world(&world);
}

TEST(a_file_that_cannot_be_made_is_tried_again)
{
    char outside[] = "/tmp/vgXXXXXX", folder[96];
    struct world world;

    make_world(&world);
    CHECK(mkdtemp(outside) != NULL);
    (void)str_format(folder, sizeof(folder), "%s/space", world.base);
    CHECK_EQ(symlink(outside, folder), 0);
    update(&world, NOW);
    update(&world, NOW);
    CHECK_EQ(rmdir(outside), 0); /* nothing was made there */
    CHECK_EQ(unlink(folder), 0);
    update(&world, NOW + 1);
    CHECK_EQ(read_file(&world).heartbeat_unix_s, NOW + 1);
    end_world(&world);
}

/* A pod that truncates and scribbles as fast as it can, beside the writer. */
struct vandal {
    const char *path;
    _Atomic bool is_over;
};

static void *spoil(void *argument)
{
    struct vandal *vandal = argument;

    for (unsigned int i = 0; !atomic_load(&vandal->is_over); i++) {
        int fd = open(vandal->path, O_RDWR | O_CLOEXEC);

        if (fd < 0)
            continue;
        (void)!ftruncate(fd, (off_t)(i * 4099 % 70000));
        (void)!pwrite(fd, &i, sizeof(i), (off_t)(i * 31 % 40000));
        (void)close(fd);
    }
    return NULL;
}

TEST(a_pod_that_truncates_its_file_all_the_time_ends_nobody_and_wins_nothing)
{
    struct world world;
    struct vandal vandal = {.path = world.path};
    pthread_t thread;

    make_world(&world);
    update(&world, NOW);
    CHECK_EQ(pthread_create(&thread, NULL, spoil, &vandal), 0);
    for (uint64_t i = 0; i < 2000; i++)
        update(&world, NOW + i);
    atomic_store(&vandal.is_over, true);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    for (uint64_t i = 0; i < 21; i++)
        update(&world, NOW + 3000);
    CHECK_EQ(read_file(&world).pid_count, 1);
    CHECK_EQ(read_file(&world).heartbeat_unix_s, NOW + 3000);
    CHECK_EQ(read_file(&world).devices[0].memory_limit_bytes, 8ull << 30);
    end_world(&world);
}

TEST(a_lock_that_is_left_held_is_freed_and_waited_for_by_nobody)
{
    struct world world;
    struct v2_region_image *map;
    int fd;

    make_world(&world);
    update(&world, NOW);
    fd = open(world.path, O_RDWR | O_CLOEXEC);
    map = mmap(NULL, sizeof(*map), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(map != MAP_FAILED);
    map->lock = (uint64_t)getpid();
    map->slots[4].memory_limit_bytes = UINT64_MAX;
    update(&world, NOW + 1);
    CHECK_EQ(map->lock, 0); /* as who has it mapped sees it */
    CHECK_EQ(map->slots[4].memory_limit_bytes, 8ull << 30);
    CHECK_EQ(map->heartbeat_unix_s, NOW + 1);
    CHECK_EQ(munmap(map, sizeof(*map)), 0);
    CHECK_EQ(close(fd), 0);
    end_world(&world);
}

TEST(a_spoilt_list_of_pids_is_whole_again_within_ten_seconds)
{
    struct world world;
    int fd;

    make_world(&world);
    update(&world, NOW);
    fd = open(world.path, O_RDWR | O_CLOEXEC);
    CHECK_EQ(ftruncate(fd, 2208), 0);
    for (uint64_t i = 0; i < 21; i++)
        update(&world, NOW + 1);
    CHECK_EQ(read_file(&world).pid_count, 1);
    CHECK_EQ(read_file(&world).creator_pid, (uint64_t)getpid());
    CHECK_EQ(close(fd), 0);
    end_world(&world);
}

TEST(what_unknown_pods_left_is_swept_away_once_the_tenants_are_known)
{
    struct world world;
    static struct v2_region_image image;
    struct pod_name stale;
    struct err err;
    int base_fd, pod_fd, fd;

    make_world(&world);
    CHECK(pod_name_set(&stale, "space", "stale"));
    base_fd = v2_folder_open_base(world.base, false, &err);
    pod_fd = v2_folder_open_pod(base_fd, &stale, true, &err);
    v2_region_init(&image, 1, NOW - 60);
    fd = v2_folder_make_file(pod_fd, &image, &err);
    CHECK(fd >= 0);
    update(&world, NOW);
    CHECK_EQ(faccessat(pod_fd, "shm", F_OK, 0), 0); /* a tenant may be found yet */
    world.snapshot->is_ready = true;
    update(&world, NOW + 1);
    CHECK_EQ(faccessat(pod_fd, "shm", F_OK, 0), -1);
    CHECK_EQ(read_file(&world).heartbeat_unix_s, NOW + 1);
    CHECK_EQ(close(fd), 0);
    CHECK_EQ(close(pod_fd), 0);
    CHECK_EQ(close(base_fd), 0);
    end_world(&world);
}

TEST(a_base_that_cannot_be_made_is_said)
{
    struct foreign_region_options options = {.base_path = "/proc/none/shm",
                                             .rule = {name_by_dot, NULL}};
    struct foreign_region *region;
    struct err err;

    CHECK_EQ(foreign_region_new(&region, &options, &err), -ENOENT);
    foreign_region_free(NULL);
}
