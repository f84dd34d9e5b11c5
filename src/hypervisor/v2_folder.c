#include "hypervisor/v2_folder.h"

#include "utils/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME       "shm"
#define UNFINISHED_NAME ".shm~" /* until it is complete */
#define FOLDER_MODE     0755
#define FILE_MODE       0666
#define FOLDER_FLAGS    (O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
#define SWEEP_ENTRIES   4096 /* looked at in a directory in one pass: the rest waits */

static int open_error(struct err *err, const char *what, const char *name)
{
    if (errno == ELOOP || errno == ENOTDIR)
        return err_say(err, EPERM, "%s '%s' is a link, or no directory", what, name);
    return err_set(err, errno, "open %s '%s'", what, name);
}

int v2_folder_open_base(const char *path, bool make, struct err *err)
{
    int fd;

    if (make && mkdir(path, FOLDER_MODE) < 0 && errno != EEXIST)
        return err_set(err, errno, "make directory '%s'", path);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? err_set(err, errno, "open directory '%s'", path) : fd;
}

int v2_folder_open_below(int folder_fd, const char *name, bool make, struct err *err)
{
    CLEANUP_CLOSE int fd = -1;
    struct stat status;
    bool is_new = make && mkdirat(folder_fd, name, FOLDER_MODE) == 0;

    if (make && !is_new && errno != EEXIST)
        return err_set(err, errno, "make directory '%s'", name);
    fd = openat(folder_fd, name, FOLDER_FLAGS | O_CLOEXEC);
    if (fd < 0)
        return open_error(err, "directory", name);
    if (fstat(fd, &status) < 0)
        return err_set(err, errno, "look at directory '%s'", name);
    if (status.st_uid != geteuid() && status.st_uid != 0)
        return err_say(err, EPERM, "directory '%s' belongs to somebody else", name);
    if (is_new && fchmod(fd, FOLDER_MODE) < 0) /* the umask took its part */
        return err_set(err, errno, "open directory '%s' to others", name);
    return TAKE_FD(fd);
}

int v2_folder_open_pod(int base_fd, const struct pod_name *pod, bool make, struct err *err)
{
    CLEANUP_CLOSE int namespace_fd = -1;

    if (!pod_name_is_part(pod->namespace, sizeof(pod->namespace)) ||
        !pod_name_is_part(pod->name, sizeof(pod->name)))
        return err_say(err, EINVAL, "that is no name of a pod");
    namespace_fd = v2_folder_open_below(base_fd, pod->namespace, make, err);
    if (namespace_fd < 0)
        return namespace_fd;
    return v2_folder_open_below(namespace_fd, pod->name, make, err);
}

/*
 * Opens what an O_PATH descriptor is of. Looking at it first is what that is for: opening a device
 * does something to it already.
 */
static int open_place(int place, int flags)
{
    char path[32];

    (void)str_format(path, sizeof(path), "/proc/self/fd/%d", place); /* fits */
    return open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

int v2_folder_open_file(int pod_fd, bool is_ours, struct err *err)
{
    CLEANUP_CLOSE int place = openat(pod_fd, FILE_NAME, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    CLEANUP_CLOSE int fd = -1;
    struct stat status;

    if (place < 0)
        return open_error(err, "file", FILE_NAME);
    if (fstat(place, &status) < 0)
        return err_set(err, errno, "look at file '%s'", FILE_NAME);
    if (!S_ISREG(status.st_mode))
        return err_say(err, EPERM, "'%s' is no file", FILE_NAME);
    fd = open_place(place, is_ours ? O_RDWR : O_RDONLY);
    if (fd < 0)
        return open_error(err, "file", FILE_NAME);
    if (is_ours && (status.st_uid != geteuid() || status.st_nlink != 1))
        return err_say(err, EPERM, "file '%s' is not of our making", FILE_NAME);
    if (is_ours && (status.st_mode & 07777) != FILE_MODE && fchmod(fd, FILE_MODE) < 0)
        return err_set(err, errno, "open file '%s' to others", FILE_NAME);
    return TAKE_FD(fd);
}

/* The name may be taken: by a daemon that was killed here, or by the pod. */
static int create_unfinished(int pod_fd)
{
    for (int i = 0; i < 2; i++) {
        int fd = openat(pod_fd, UNFINISHED_NAME, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                        0600);

        if (fd >= 0 || errno != EEXIST)
            return fd;
        (void)unlinkat(pod_fd, UNFINISHED_NAME, 0); /* where that fails, so does the next try */
    }
    return -1;
}

int v2_folder_make_file(int pod_fd, const struct v2_region_image *image, struct err *err)
{
    CLEANUP_CLOSE int fd = create_unfinished(pod_fd);
    int rc;

    if (fd < 0)
        return err_set(err, errno, "make a pod's shared file");
    rc = v2_region_write(fd, image, err);
    /* Not by the mode of creation: the umask is the process's, and not for one thread to change. */
    if (!rc && fchmod(fd, FILE_MODE) < 0)
        rc = err_set(err, errno, "open a pod's shared file to its processes");
    if (!rc && renameat(pod_fd, UNFINISHED_NAME, pod_fd, FILE_NAME) < 0)
        rc = err_set(err, errno, "name a pod's shared file");
    if (rc < 0) {
        (void)unlinkat(pod_fd, UNFINISHED_NAME, 0); /* the failure to report is the first one */
        return rc;
    }
    if (!v2_folder_has_file(pod_fd, fd))
        return err_say(err, EAGAIN, "somebody else changes a pod's shared file");
    return TAKE_FD(fd);
}

bool v2_folder_has_file(int pod_fd, int fd)
{
    struct stat named, opened;

    return fstatat(pod_fd, FILE_NAME, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           fstat(fd, &opened) == 0 && named.st_dev == opened.st_dev &&
           named.st_ino == opened.st_ino && opened.st_nlink == 1;
}

void v2_folder_remove(int base_fd, const struct pod_name *pod)
{
    CLEANUP_CLOSE int namespace_fd = v2_folder_open_below(base_fd, pod->namespace, false, NULL);
    CLEANUP_CLOSE int pod_fd = -1;

    if (namespace_fd < 0)
        return;
    pod_fd = v2_folder_open_below(namespace_fd, pod->name, false, NULL);
    /* What fails here leaves something behind, which a sweep comes back to. */
    if (pod_fd >= 0) {
        (void)unlinkat(pod_fd, FILE_NAME, 0);
        (void)unlinkat(pod_fd, UNFINISHED_NAME, 0);
    }
    (void)unlinkat(namespace_fd, pod->name, AT_REMOVEDIR);
    (void)unlinkat(base_fd, pod->namespace, AT_REMOVEDIR);
}

/* --- sweeping -------------------------------------------------------------------------------- */

/* A time far ahead of ours is somebody's invention; one a little ahead is a clock set back. */
static bool is_older(int64_t unix_s, uint64_t now_unix_s, uint64_t timeout_s)
{
    uint64_t then = unix_s < 0 ? 0 : (uint64_t)unix_s;

    return then > now_unix_s ? then - now_unix_s > timeout_s : now_unix_s - then > timeout_s;
}

static bool has_living(const struct v2_region *region)
{
    for (uint32_t i = 0; i < region->pid_count; i++)
        if (kill(region->pids[i], 0) == 0 || errno == EPERM)
            return true;
    return false;
}

static bool is_left_over(int pod_fd, const struct v2_folder_rules *rules, uint64_t now_unix_s)
{
    CLEANUP_CLOSE int fd = v2_folder_open_file(pod_fd, false, NULL);
    struct v2_region region;
    struct stat status;

    if (fd < 0 || fstat(fd, &status) < 0)
        return false;
    /* Neither whole nor of a length that one ever has while it is made: not ours to judge. */
    if (status.st_size != 0 && status.st_size != V2_REGION_SIZE)
        return false;
    if (v2_region_read(fd, &region, NULL) < 0)
        return is_older(status.st_mtime, now_unix_s, rules->heartbeat_timeout_s);
    if (v2_region_is_healthy(&region, now_unix_s, rules->heartbeat_timeout_s))
        return false;
    /* A pid may be somebody else's by now, or a lie: it does not keep a file for ever. */
    return !has_living(&region) ||
           !v2_region_is_healthy(&region, now_unix_s, rules->pids_timeout_s);
}

/* A directory to walk through, on a descriptor of its own; NULL: it cannot be read. */
static DIR *open_list(int folder_fd)
{
    CLEANUP_CLOSE int fd = openat(folder_fd, ".", FOLDER_FLAGS | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);

    if (list)
        (void)TAKE_FD(fd); /* the list's */
    return list;
}

static uint32_t sweep_namespace(int base_fd, const char *namespace,
                                const struct v2_folder_rules *rules, uint64_t now_unix_s)
{
    CLEANUP_CLOSE int namespace_fd = v2_folder_open_below(base_fd, namespace, false, NULL);
    DIR *list = namespace_fd < 0 ? NULL : open_list(namespace_fd);
    uint32_t removed = 0;
    struct dirent *entry;

    for (int i = 0; list && i < SWEEP_ENTRIES && (entry = readdir(list)); i++) {
        CLEANUP_CLOSE int pod_fd = -1;
        struct pod_name pod;

        if (!pod_name_set(&pod, namespace, entry->d_name) || rules->is_known(rules->context, &pod))
            continue;
        pod_fd = v2_folder_open_below(namespace_fd, pod.name, false, NULL);
        if (pod_fd < 0 || !is_left_over(pod_fd, rules, now_unix_s))
            continue;
        v2_folder_remove(base_fd, &pod);
        removed++;
    }
    if (list)
        (void)closedir(list);
    return removed;
}

uint32_t v2_folder_sweep(int base_fd, const struct v2_folder_rules *rules, uint64_t now_unix_s)
{
    DIR *list = open_list(base_fd);
    uint32_t removed = 0;
    struct dirent *entry;

    for (int i = 0; list && i < SWEEP_ENTRIES && (entry = readdir(list)); i++) {
        struct pod_name probe;

        if (pod_name_set(&probe, entry->d_name, "pod"))
            removed += sweep_namespace(base_fd, probe.namespace, rules, now_unix_s);
    }
    if (list)
        (void)closedir(list);
    return removed;
}
