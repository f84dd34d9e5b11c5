#include "supervisor/runtime.h"

#include "supervisor/process.h"
#include "utils/clock.h"
#include "utils/file.h"
#include "utils/parse.h"
#include "utils/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_TRIES    10
#define LOCK_RETRY_NS (10 * NS_PER_MS)

static int find_base(struct runtime *runtime, struct err *err)
{
    const char *given = getenv("VGPU_RUNTIME_DIR"), *session = getenv("XDG_RUNTIME_DIR");
    bool fits;

    if (given && *given)
        fits = str_format(runtime->base, sizeof(runtime->base), "%s", given);
    else if (geteuid() == 0)
        fits = str_format(runtime->base, sizeof(runtime->base), "/run/vgpu");
    else if (session && *session)
        fits = str_format(runtime->base, sizeof(runtime->base), "%s/vgpu", session);
    else
        fits = str_format(runtime->base, sizeof(runtime->base), "/tmp/vgpu-%u", geteuid());
    if (!fits)
        return err_say(err, ENAMETOOLONG, "the runtime directory's path is too long for a socket");
    if (runtime->base[0] != '/')
        return err_say(err, EINVAL, "VGPU_RUNTIME_DIR '%s' is not an absolute path", given);
    return 0;
}

int runtime_find(struct runtime *ret_runtime, struct err *err)
{
    struct runtime runtime = {.is_shared = false};
    int rc = find_base(&runtime, err);

    if (!rc)
        *ret_runtime = runtime;
    return rc;
}

/* What is there may be root's own of before the daemon, or made under a narrower umask. */
static int make_directory(const struct runtime *runtime, const char *path, struct err *err)
{
    int rc = file_make_own_dir(path, runtime->is_shared ? 0711 : 0700, err);

    if (!rc && runtime->is_shared && chmod(path, 0711) < 0)
        rc = err_set(err, errno, "open '%s' for others to pass", path);
    return rc;
}

static int make_base(const struct runtime *runtime, struct err *err)
{
    char tenants[RUNTIME_PATH_MAX];
    int rc;

    if (!str_format(tenants, sizeof(tenants), "%s/tenants", runtime->base))
        return err_say(err, ENAMETOOLONG, "the runtime directory '%s' is too long for a socket",
                       runtime->base);
    rc = make_directory(runtime, runtime->base, err);
    if (!rc)
        rc = make_directory(runtime, tenants, err);
    return rc < 0 ? err_wrap(err, "runtime directory (set VGPU_RUNTIME_DIR to choose another)") : 0;
}

int runtime_open(struct runtime *ret_runtime, struct err *err)
{
    struct runtime runtime = {.is_shared = false};
    int rc = find_base(&runtime, err);

    if (!rc)
        rc = make_base(&runtime, err);
    if (!rc)
        *ret_runtime = runtime;
    return rc;
}

int runtime_at(struct runtime *ret_runtime, const char *base, struct err *err)
{
    struct runtime runtime = {.is_shared = false};

    if (base[0] != '/')
        return err_say(err, EINVAL, "the runtime directory '%s' is not an absolute path", base);
    if (!str_format(runtime.base, sizeof(runtime.base), "%s", base))
        return err_say(err, ENAMETOOLONG, "the runtime directory '%s' is too long for a socket",
                       base);
    *ret_runtime = runtime;
    return 0;
}

int runtime_open_daemon(struct runtime *ret_runtime, const char *base, struct err *err)
{
    struct runtime runtime = {.is_shared = false};
    int rc = base && *base ? runtime_at(&runtime, base, err) : find_base(&runtime, err);

    runtime.is_shared = geteuid() == 0;
    if (!rc)
        rc = make_base(&runtime, err);
    if (!rc)
        *ret_runtime = runtime;
    return rc;
}

int runtime_path(const struct runtime *runtime, const char *name, const char *file, char *ret_path,
                 struct err *err)
{
    if (!str_format(ret_path, RUNTIME_PATH_MAX, "%s/tenants/%s%s%s", runtime->base, name,
                    file ? "/" : "", file ? file : ""))
        return err_say(err, ENAMETOOLONG,
                       "'%s' below '%s' is too long for a socket: take a shorter name or set "
                       "VGPU_RUNTIME_DIR",
                       name, runtime->base);
    return 0;
}

static bool is_same_file(int fd, const char *path)
{
    struct stat held, named;

    return fstat(fd, &held) == 0 && stat(path, &named) == 0 && held.st_ino == named.st_ino &&
           held.st_dev == named.st_dev;
}

static int lock_tenant(const struct runtime *runtime, const char *name, int *ret_fd,
                       struct err *err)
{
    CLEANUP_CLOSE int fd = -1;
    char path[RUNTIME_PATH_MAX];
    int rc = runtime_path(runtime, name, NULL, path, err);

    if (!rc)
        rc = make_directory(runtime, path, err);
    if (!rc)
        rc = runtime_path(runtime, name, "lock", path, err);
    if (rc < 0)
        return rc;
    fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 && errno == ENOENT)
        return -EWOULDBLOCK; /* somebody cleans up at this moment */
    if (fd < 0)
        return err_set(err, errno, "open '%s'", path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? -EWOULDBLOCK : err_set(err, errno, "lock '%s'", path);
    if (!is_same_file(fd, path))
        return -EWOULDBLOCK; /* its last holder removed it meanwhile */
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* Somebody may look at the lock, or remove the directory, at this very moment: ask a few times. */
static int lock_patiently(const struct runtime *runtime, const char *name, int *ret_fd,
                          struct err *err)
{
    int rc = -EWOULDBLOCK;

    for (int i = 0; i < LOCK_TRIES && rc == -EWOULDBLOCK; i++) {
        if (i)
            clock_sleep_until_ns(clock_now_ns() + LOCK_RETRY_NS);
        rc = lock_tenant(runtime, name, ret_fd, err);
    }
    return rc;
}

int runtime_lock(const struct runtime *runtime, const char *name, int *ret_lock_fd, struct err *err)
{
    int rc = lock_tenant(runtime, name, ret_lock_fd, err);

    if (rc == -EWOULDBLOCK)
        return RUNTIME_TAKEN;
    return rc < 0 ? rc : (int)RUNTIME_CLAIMED;
}

bool runtime_holds(const struct runtime *runtime, const char *name, int lock_fd)
{
    char path[RUNTIME_PATH_MAX];

    return runtime_path(runtime, name, "lock", path, NULL) == 0 && is_same_file(lock_fd, path);
}

int runtime_claim(const struct runtime *runtime, const char *name, bool adopt, int *ret_lock_fd,
                  struct err *err)
{
    CLEANUP_CLOSE int fd = -1;
    char directory[RUNTIME_PATH_MAX], control[RUNTIME_PATH_MAX], state[RUNTIME_PATH_MAX];
    int rc = runtime_path(runtime, name, "control", control, err);
    bool is_left, is_alive;

    if (!rc)
        rc = runtime_path(runtime, name, "state", state, err);
    if (!rc)
        rc = lock_patiently(runtime, name, &fd, err);
    if (rc == -EWOULDBLOCK)
        return RUNTIME_TAKEN;
    if (rc < 0) {
        if (runtime_path(runtime, name, NULL, directory, NULL) == 0)
            (void)rmdir(directory); /* made a moment ago, or somebody's and not empty */
        return rc;
    }
    is_left = access(state, F_OK) == 0;
    is_alive = is_left && process_has_tenant(control);
    if (adopt && !is_alive) {
        runtime_remove(runtime, name);
        return err_say(err, ENOENT, "there is no orphaned tenant '%s' to adopt", name);
    }
    if (!adopt && is_alive)
        return RUNTIME_ORPHANED;
    if (!adopt && is_left) {
        (void)unlink(control); /* what they were is over; new ones are made */
        (void)unlink(state);
    }
    *ret_lock_fd = TAKE_FD(fd);
    return RUNTIME_CLAIMED;
}

void runtime_remove(const struct runtime *runtime, const char *name)
{
    static const char *const files[] = {"control", "state", "lock"};
    char path[RUNTIME_PATH_MAX];

    for (size_t i = 0; i < ARRAY_LENGTH(files); i++)
        if (runtime_path(runtime, name, files[i], path, NULL) == 0)
            file_remove(path);
    if (runtime_path(runtime, name, NULL, path, NULL) == 0)
        (void)rmdir(path);
}

int runtime_each(const struct runtime *runtime, runtime_visit *visit, void *context)
{
    char path[RUNTIME_PATH_MAX];
    struct dirent *entry;
    int rc = 0;
    DIR *dir;

    if (!str_format(path, sizeof(path), "%s/tenants", runtime->base))
        return -ENAMETOOLONG;
    dir = opendir(path);
    if (!dir)
        return errno == ENOENT ? 0 : -errno;
    while (!rc && (entry = readdir(dir)))
        if (parse_name(entry->d_name, NULL) == 0)
            rc = visit(context, entry->d_name);
    (void)closedir(dir);
    return rc;
}

static int sweep(void *context, const char *name)
{
    const struct runtime *runtime = context;
    CLEANUP_CLOSE int fd = -1;
    char control[RUNTIME_PATH_MAX], lock[RUNTIME_PATH_MAX];

    if (runtime_path(runtime, name, "control", control, NULL) < 0 ||
        runtime_path(runtime, name, "lock", lock, NULL) < 0)
        return 0;
    fd = open(lock, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && is_same_file(fd, lock) &&
        !process_has_tenant(control))
        runtime_remove(runtime, name);
    return 0;
}

void runtime_sweep(const struct runtime *runtime)
{
    struct runtime copy = *runtime;

    (void)runtime_each(runtime, sweep, &copy); /* what cannot be read need not be clean */
}
