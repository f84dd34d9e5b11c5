#include "tests/harness.h"

#include "supervisor/runtime.h"
#include "supervisor/verdict.h"
#include "utils/clock.h"
#include "utils/file.h"
#include "utils/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define UUID   "GPU-00000000-1111-2222-3333-444444444444"
#define DRIVER "580.159.04"

static struct {
    char top[32], base[64];
    struct runtime runtime;
} at;

/* A directory of the test's own, in which the base is not there yet. */
static void prepare(void)
{
    (void)str_format(at.top, sizeof(at.top), "/tmp/vgunitXXXXXX");
    CHECK(mkdtemp(at.top) != NULL);
    (void)str_format(at.base, sizeof(at.base), "%s/base", at.top);
    CHECK_EQ(setenv("VGPU_RUNTIME_DIR", at.base, 1), 0);
}

static void start(void)
{
    struct err err;

    prepare();
    CHECK_OK(runtime_open(&at.runtime, &err), &err);
}

static int remove_name(void *context, const char *name)
{
    runtime_remove(&at.runtime, name);
    return 0;
}

static void stop(void)
{
    char path[RUNTIME_PATH_MAX];

    (void)runtime_each(&at.runtime, remove_name, NULL);
    CHECK_EQ(verdict_save(&at.runtime, UUID, DRIVER, VERDICT_NONE, NULL), 0);
    (void)str_format(path, sizeof(path), "%s/tenants", at.base);
    (void)rmdir(path);
    (void)rmdir(at.base);
    CHECK_EQ(rmdir(at.top), 0);
}

static int claim(const char *name, bool adopt, int *fd)
{
    return runtime_claim(&at.runtime, name, adopt, fd, NULL);
}

/*
 * Of one in which nobody lives: while somebody else's process just executes a program that is not
 * known, and for the time being it is taken for an orphan.
 */
static int claim_dead(const char *name, bool adopt, int *fd)
{
    uint64_t end_ns = clock_now_ns() + 10 * NS_PER_SEC;
    int unsure = adopt ? RUNTIME_CLAIMED : RUNTIME_ORPHANED, rc;

    while ((rc = claim(name, adopt, fd)) == unsure && clock_now_ns() < end_ns) {
        if (adopt) {
            (void)close(*fd);
            *fd = -1;
        }
        (void)usleep(1000);
    }
    return rc;
}

static void write_state(const char *name)
{
    char path[RUNTIME_PATH_MAX];

    CHECK_EQ(runtime_path(&at.runtime, name, "state", path, NULL), 0);
    CHECK_EQ(file_write(path, "x", 1, NULL), 0);
}

/* --- the directory --- */

TEST(the_directory_is_made_for_its_owner_alone)
{
    struct stat status;
    char path[RUNTIME_PATH_MAX];

    start();
    CHECK_EQ(stat(at.base, &status), 0);
    CHECK_EQ(status.st_mode & 07777, 0700);
    CHECK_EQ(runtime_path(&at.runtime, "a", NULL, path, NULL), 0);
    CHECK(str_starts_with(path, at.base));
    stop();
}

TEST(a_directory_that_others_may_enter_is_refused)
{
    struct runtime runtime;
    struct err err;

    start();
    CHECK_EQ(chmod(at.base, 0755), 0);
    CHECK_EQ(runtime_open(&runtime, &err), -EPERM);
    CHECK(strstr(err.text, "VGPU_RUNTIME_DIR"));
    CHECK_EQ(chmod(at.base, 0770), 0);
    CHECK_EQ(runtime_open(&runtime, &err), -EPERM);
    CHECK_EQ(chmod(at.base, 0700), 0);
    CHECK_EQ(runtime_open(&runtime, &err), 0);
    stop();
}

TEST(tenants_that_others_may_enter_are_refused)
{
    struct runtime runtime;
    struct err err;
    char path[RUNTIME_PATH_MAX];

    start();
    (void)str_format(path, sizeof(path), "%s/tenants", at.base);
    CHECK_EQ(chmod(path, 0777), 0);
    CHECK_EQ(runtime_open(&runtime, &err), -EPERM);
    CHECK_EQ(chmod(path, 0700), 0);
    stop();
}

TEST(a_link_and_a_file_are_no_directory_of_ours)
{
    struct runtime runtime;
    struct err err;

    prepare();
    CHECK_EQ(symlink("/tmp", at.base), 0);
    CHECK_EQ(runtime_open(&runtime, &err), -EPERM);
    CHECK_EQ(unlink(at.base), 0);
    CHECK_EQ(file_write(at.base, "x", 1, NULL), 0);
    CHECK_EQ(runtime_open(&runtime, &err), -EPERM);
    CHECK_EQ(unlink(at.base), 0);
    CHECK_EQ(rmdir(at.top), 0);
}

TEST(somebody_else_s_directory_is_refused)
{
    struct runtime runtime;
    struct err err;

    if (geteuid() != 0)
        return; /* only root can make one */
    start();
    CHECK_EQ(chown(at.base, 65534, 65534), 0);
    CHECK_EQ(runtime_open(&runtime, &err), -EPERM);
    CHECK_EQ(chown(at.base, 0, 0), 0);
    stop();
}

TEST(a_path_too_long_for_a_socket_is_refused_with_words)
{
    struct runtime runtime;
    struct err err;
    char path[RUNTIME_PATH_MAX], name[80], base[200];

    start();
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    CHECK_EQ(runtime_path(&at.runtime, name, "control", path, &err), -ENAMETOOLONG);
    CHECK(strstr(err.text, "VGPU_RUNTIME_DIR"));
    memset(base, 'b', sizeof(base) - 1);
    base[0] = '/';
    base[sizeof(base) - 1] = '\0';
    CHECK_EQ(setenv("VGPU_RUNTIME_DIR", base, 1), 0);
    CHECK_EQ(runtime_open(&runtime, &err), -ENAMETOOLONG);
    base[102] = '\0';
    CHECK_EQ(setenv("VGPU_RUNTIME_DIR", base, 1), 0);
    CHECK_EQ(runtime_open(&runtime, &err), -ENAMETOOLONG); /* with /tenants behind it */
    CHECK_EQ(setenv("VGPU_RUNTIME_DIR", "relative", 1), 0);
    CHECK_EQ(runtime_open(&runtime, &err), -EINVAL);
    stop();
}

/* --- names --- */

TEST(a_name_is_taken_once)
{
    int fd = -1, other = -1;

    start();
    CHECK_EQ(claim("a", false, &fd), RUNTIME_CLAIMED);
    CHECK(fd >= 0);
    CHECK_EQ(claim("a", false, &other), RUNTIME_TAKEN);
    CHECK_EQ(claim("a", true, &other), RUNTIME_TAKEN);
    CHECK_EQ(other, -1);
    CHECK_EQ(claim("b", false, &other), RUNTIME_CLAIMED);
    close(fd);
    close(other);
    CHECK_EQ(claim("a", false, &fd), RUNTIME_CLAIMED);
    close(fd);
    stop();
}

TEST(what_is_left_of_the_dead_is_cleaned_away)
{
    char path[RUNTIME_PATH_MAX];
    int fd = -1;

    start();
    CHECK_EQ(claim("a", false, &fd), RUNTIME_CLAIMED);
    write_state("a");
    close(fd);
    CHECK_EQ(claim_dead("a", false, &fd), RUNTIME_CLAIMED);
    CHECK_EQ(runtime_path(&at.runtime, "a", "state", path, NULL), 0);
    CHECK(access(path, F_OK) < 0);
    close(fd);
    stop();
}

TEST(what_one_who_was_killed_has_written_half_is_removed_with_the_rest)
{
    char path[RUNTIME_PATH_MAX], half[RUNTIME_PATH_MAX + 16], other[RUNTIME_PATH_MAX + 16];
    int fd;

    start();
    CHECK_EQ(claim("a", false, &fd), RUNTIME_CLAIMED);
    (void)close(fd);
    write_state("a");
    CHECK_EQ(runtime_path(&at.runtime, "a", "state", path, NULL), 0);
    (void)str_format(half, sizeof(half), "%s.123~", path);
    (void)str_format(other, sizeof(other), "%s.x~", path);
    CHECK_EQ(file_write(half, "x", 1, NULL), 0);
    CHECK_EQ(file_write(other, "x", 1, NULL), 0);
    runtime_remove(&at.runtime, "a");
    CHECK(access(half, F_OK) < 0);
    CHECK_EQ(unlink(other), 0); /* not ours */
    runtime_remove(&at.runtime, "a");
    CHECK_EQ(runtime_path(&at.runtime, "a", NULL, path, NULL), 0);
    CHECK(access(path, F_OK) < 0);
    stop();
}

TEST(a_sweep_takes_what_is_left_of_the_dead_alone)
{
    char alive[RUNTIME_PATH_MAX], dead[RUNTIME_PATH_MAX];
    uint64_t end_ns = clock_now_ns() + 10 * NS_PER_SEC;
    int fd = -1, other = -1;

    start();
    CHECK_EQ(claim("alive", false, &fd), RUNTIME_CLAIMED);
    CHECK_EQ(claim("dead", false, &other), RUNTIME_CLAIMED);
    close(other);
    CHECK_EQ(runtime_path(&at.runtime, "alive", NULL, alive, NULL), 0);
    CHECK_EQ(runtime_path(&at.runtime, "dead", NULL, dead, NULL), 0);
    do /* it leaves what it is not sure of */
        runtime_sweep(&at.runtime);
    while (access(dead, F_OK) == 0 && clock_now_ns() < end_ns);
    CHECK_EQ(access(alive, F_OK), 0);
    CHECK(access(dead, F_OK) < 0);
    close(fd);
    stop();
}

TEST(without_an_orphan_nothing_is_adopted)
{
    int fd = -1;

    start();
    CHECK_EQ(claim("nobody", true, &fd), -ENOENT);
    CHECK_EQ(claim("a", false, &fd), RUNTIME_CLAIMED);
    write_state("a");
    close(fd);
    fd = -1;
    CHECK_EQ(claim_dead("a", true, &fd), -ENOENT);
    CHECK_EQ(fd, -1);
    stop();
}

TEST(a_lock_that_is_a_link_is_not_followed)
{
    char path[RUNTIME_PATH_MAX], victim[64];
    int fd = -1;

    start();
    (void)str_format(victim, sizeof(victim), "%s/victim", at.top);
    CHECK_EQ(runtime_path(&at.runtime, "a", NULL, path, NULL), 0);
    CHECK_EQ(mkdir(path, 0700), 0);
    CHECK_EQ(runtime_path(&at.runtime, "a", "lock", path, NULL), 0);
    CHECK_EQ(symlink(victim, path), 0);
    CHECK(claim("a", false, &fd) < 0);
    CHECK(access(victim, F_OK) < 0);
    stop();
}

static int count_name(void *context, const char *name)
{
    int *count = context;

    return ++*count == 2 ? -EINTR : 0;
}

TEST(only_names_are_visited_and_a_visit_can_stop)
{
    char path[RUNTIME_PATH_MAX];
    int fds[3] = {-1, -1, -1}, count = 0;

    start();
    CHECK_EQ(runtime_path(&at.runtime, ".hidden", NULL, path, NULL), 0);
    CHECK_EQ(mkdir(path, 0700), 0);
    CHECK_EQ(runtime_each(&at.runtime, count_name, &count), 0);
    CHECK_EQ(count, 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(claim((const char *[]){"a", "b", "c"}[i], false, &fds[i]), RUNTIME_CLAIMED);
    CHECK_EQ(runtime_each(&at.runtime, count_name, &count), -EINTR);
    CHECK_EQ(count, 2);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    CHECK_EQ(rmdir(path), 0);
    stop();
}

/* --- verdicts --- */

static void write_verdict(const char *content, size_t size)
{
    char path[128];

    (void)str_format(path, sizeof(path), "%s/verdict-%s", at.base, UUID);
    CHECK_EQ(file_write(path, content, size, NULL), 0);
}

static size_t read_verdict(char *content, size_t size)
{
    char path[128];

    (void)str_format(path, sizeof(path), "%s/verdict-%s", at.base, UUID);
    return (size_t)file_read(path, content, size, NULL);
}

TEST(a_verdict_is_kept_for_this_gpu_driver_and_boot)
{
    start();
    CHECK_EQ(verdict_load(&at.runtime, UUID, DRIVER), VERDICT_NONE);
    CHECK_EQ(verdict_save(&at.runtime, UUID, DRIVER, VERDICT_INERT, NULL), 0);
    CHECK_EQ(verdict_load(&at.runtime, UUID, DRIVER), VERDICT_INERT);
    CHECK_EQ(verdict_save(&at.runtime, UUID, DRIVER, VERDICT_OBEYS, NULL), 0);
    CHECK_EQ(verdict_load(&at.runtime, UUID, DRIVER), VERDICT_OBEYS);
    CHECK_EQ(verdict_load(&at.runtime, UUID, "595.45.04"), VERDICT_NONE);
    CHECK_EQ(verdict_load(&at.runtime, "GPU-other", DRIVER), VERDICT_NONE);
    CHECK_EQ(verdict_save(&at.runtime, UUID, DRIVER, VERDICT_NONE, NULL), 0);
    CHECK_EQ(verdict_save(&at.runtime, UUID, DRIVER, VERDICT_NONE, NULL), 0);
    CHECK_EQ(verdict_load(&at.runtime, UUID, DRIVER), VERDICT_NONE);
    stop();
}

TEST(a_file_of_nonsense_is_no_verdict)
{
    char content[512], changed[512];
    size_t length;

    start();
    CHECK_EQ(verdict_save(&at.runtime, UUID, DRIVER, VERDICT_OBEYS, NULL), 0);
    length = read_verdict(content, sizeof(content));
    for (size_t i = 0; i < length; i++) {
        memcpy(changed, content, length);
        changed[i] ^= 1;
        write_verdict(changed, length);
        CHECK_EQ(verdict_load(&at.runtime, UUID, DRIVER), VERDICT_NONE);
        write_verdict(content, i); /* cut short */
        CHECK_EQ(verdict_load(&at.runtime, UUID, DRIVER), VERDICT_NONE);
    }
    memset(changed, 'x', sizeof(changed));
    write_verdict(changed, sizeof(changed));
    CHECK_EQ(verdict_load(&at.runtime, UUID, DRIVER), VERDICT_NONE);
    stop();
}

TEST(a_uuid_that_is_too_long_is_refused)
{
    char uuid[400];

    start();
    memset(uuid, 'u', sizeof(uuid) - 1);
    uuid[sizeof(uuid) - 1] = '\0';
    CHECK(verdict_save(&at.runtime, uuid, DRIVER, VERDICT_OBEYS, NULL) < 0);
    CHECK_EQ(verdict_load(&at.runtime, uuid, DRIVER), VERDICT_NONE);
    stop();
}

/* --- the lock alone --- */

TEST(a_lock_takes_what_is_there_as_it_is)
{
    char path[RUNTIME_PATH_MAX];
    int fd = -1, other = -1;

    start();
    CHECK_EQ(claim("a", false, &fd), RUNTIME_CLAIMED);
    write_state("a");
    CHECK_EQ(runtime_lock(&at.runtime, "a", &other, NULL), RUNTIME_TAKEN);
    close(fd);
    CHECK_EQ(runtime_lock(&at.runtime, "a", &fd, NULL), RUNTIME_CLAIMED);
    CHECK_EQ(runtime_path(&at.runtime, "a", "state", path, NULL), 0);
    CHECK_EQ(access(path, F_OK), 0);
    close(fd);
    stop();
}

TEST(who_holds_a_lock_of_before_does_not_hold_the_name)
{
    int fd = -1, other = -1;

    start();
    CHECK_EQ(claim("a", false, &fd), RUNTIME_CLAIMED);
    CHECK(runtime_holds(&at.runtime, "a", fd));
    runtime_remove(&at.runtime, "a");
    CHECK(!runtime_holds(&at.runtime, "a", fd));
    CHECK_EQ(claim("a", false, &other), RUNTIME_CLAIMED); /* another's of the same name */
    CHECK(!runtime_holds(&at.runtime, "a", fd));
    CHECK(runtime_holds(&at.runtime, "a", other));
    close(fd);
    close(other);
    stop();
}

/* --- the daemon's --- */

static mode_t mode_of(const char *path)
{
    struct stat status;

    CHECK_EQ(stat(path, &status), 0);
    return status.st_mode & 07777;
}

static mode_t daemon_mode(void)
{
    return geteuid() == 0 ? 0711 : 0700;
}

TEST(others_may_pass_through_root_s_daemon_s_directories)
{
    char tenants[RUNTIME_PATH_MAX], tenant[RUNTIME_PATH_MAX];
    mode_t mask = umask(077);
    struct err err;
    int fd = -1;

    prepare();
    CHECK_OK(runtime_open_daemon(&at.runtime, NULL, &err), &err);
    CHECK_EQ(at.runtime.is_shared, geteuid() == 0);
    CHECK_EQ(mode_of(at.base), daemon_mode());
    (void)str_format(tenants, sizeof(tenants), "%s/tenants", at.base);
    CHECK_EQ(mode_of(tenants), daemon_mode());
    CHECK_EQ(claim("a", false, &fd), RUNTIME_CLAIMED);
    CHECK_EQ(runtime_path(&at.runtime, "a", NULL, tenant, NULL), 0);
    CHECK_EQ(mode_of(tenant), daemon_mode());
    close(fd);
    CHECK_OK(runtime_open(&at.runtime, &err), &err); /* fit for a vgpu without a daemon, too */
    (void)umask(mask);
    stop();
}

TEST(what_was_private_before_the_daemon_came_is_opened)
{
    struct err err;

    start(); /* a `vgpu run` of before */
    CHECK_EQ(mode_of(at.base), 0700);
    CHECK_OK(runtime_open_daemon(&at.runtime, at.base, &err), &err);
    CHECK_EQ(mode_of(at.base), daemon_mode());
    stop();
}

TEST(a_daemon_refuses_what_others_may_read_or_write_or_own)
{
    struct runtime runtime;
    struct err err;

    start();
    CHECK_EQ(chmod(at.base, 0733), 0);
    CHECK_EQ(runtime_open_daemon(&runtime, at.base, &err), -EPERM);
    CHECK_EQ(mode_of(at.base), 0733); /* it is not made safe behind its owner's back */
    CHECK_EQ(chmod(at.base, 0755), 0);
    CHECK_EQ(runtime_open_daemon(&runtime, at.base, &err), -EPERM);
    CHECK_EQ(chmod(at.base, 0700), 0);
    if (geteuid() == 0) {
        CHECK_EQ(chown(at.base, 65534, 65534), 0);
        CHECK_EQ(runtime_open_daemon(&runtime, at.base, &err), -EPERM);
        CHECK_EQ(chown(at.base, 0, 0), 0);
    }
    CHECK_EQ(runtime_open_daemon(&runtime, "relative", &err), -EINVAL);
    stop();
}
