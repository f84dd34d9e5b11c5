#include "hypervisor/v2_folder.h"

#include "tests/harness.h"
#include "utils/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NOW 1700000000u

struct place {
    char base[32];
    int fd;
    struct pod_name pod;
};

static void open_place(struct place *place)
{
    struct err err;

    (void)str_format(place->base, sizeof(place->base), "/tmp/vgXXXXXX");
    CHECK(mkdtemp(place->base) != NULL);
    place->fd = v2_folder_open_base(place->base, false, &err);
    CHECK(place->fd >= 0);
    CHECK(pod_name_set(&place->pod, "space", "pod"));
}

static void close_place(struct place *place)
{
    CHECK_EQ(close(place->fd), 0);
    CHECK_EQ(rmdir(place->base), 0); /* so all else was removed */
}

static struct v2_region_image *make_image(uint64_t beat_unix_s, int32_t pid)
{
    static struct v2_region_image image;

    v2_region_init(&image, 1, beat_unix_s);
    CHECK_EQ(v2_region_set_pids(&image, &pid, pid > 0), 0);
    return &image;
}

/* Makes a pod with its file; returns the directory's descriptor. */
static int make_pod(const struct place *place, const struct v2_region_image *image)
{
    struct err err;
    int pod_fd = v2_folder_open_pod(place->fd, &place->pod, true, &err);
    int fd = v2_folder_make_file(pod_fd, image, &err);

    CHECK(pod_fd >= 0 && fd >= 0);
    CHECK_EQ(close(fd), 0);
    return pod_fd;
}

TEST(a_pods_file_has_the_rights_foreign_limiters_need_and_its_directories_no_more)
{
    struct place place;
    struct stat status;
    mode_t mask = umask(0077);
    int pod_fd;

    open_place(&place);
    pod_fd = make_pod(&place, make_image(NOW, 0));
    CHECK_EQ(umask(mask), 0077); /* and the process's umask is what it was */
    CHECK_EQ(fstatat(pod_fd, "shm", &status, 0), 0);
    CHECK_EQ(status.st_mode, S_IFREG | 0666);
    CHECK_EQ(status.st_size, V2_REGION_SIZE);
    CHECK_EQ(fstat(pod_fd, &status), 0);
    CHECK_EQ(status.st_mode & 0777, 0755);
    CHECK_EQ(fstatat(place.fd, "space", &status, 0), 0);
    CHECK_EQ(status.st_mode & 0777, 0755);
    CHECK_EQ(fstatat(pod_fd, ".shm~", &status, 0), -1);
    CHECK_EQ(close(pod_fd), 0);
    v2_folder_remove(place.fd, &place.pod);
    close_place(&place);
}

TEST(links_in_the_place_of_directories_are_refused)
{
    char outside[] = "/tmp/vgXXXXXX", path[64];
    struct place place;

    open_place(&place);
    CHECK(mkdtemp(outside) != NULL);
    CHECK_EQ(symlinkat(outside, place.fd, "space"), 0);
    CHECK_EQ(v2_folder_open_pod(place.fd, &place.pod, true, NULL), -EPERM);
    CHECK_EQ(unlinkat(place.fd, "space", 0), 0);
    (void)snprintf(path, sizeof(path), "%s/space", place.base);
    CHECK_EQ(mkdir(path, 0755), 0);
    (void)snprintf(path, sizeof(path), "%s/space/pod", place.base);
    CHECK_EQ(symlink(outside, path), 0);
    CHECK_EQ(v2_folder_open_pod(place.fd, &place.pod, true, NULL), -EPERM);
    v2_folder_remove(place.fd, &place.pod); /* nor does a removal follow it */
    CHECK_EQ(access(outside, F_OK), 0);
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(rmdir(outside), 0); /* nothing was made there */
    v2_folder_remove(place.fd, &place.pod);
    close_place(&place);
}

TEST(directories_of_somebody_else_are_refused)
{
    struct place place;
    char path[64];

    if (geteuid() != 0)
        skip();
    open_place(&place);
    (void)snprintf(path, sizeof(path), "%s/space", place.base);
    CHECK_EQ(mkdir(path, 0755), 0);
    CHECK_EQ(chown(path, 65534, 65534), 0);
    CHECK_EQ(v2_folder_open_pod(place.fd, &place.pod, true, NULL), -EPERM);
    CHECK_EQ(rmdir(path), 0);
    close_place(&place);
}

TEST(names_that_are_paths_are_refused)
{
    static const char *const bad[] = {"", "..", "a/b", "."};
    struct place place;

    open_place(&place);
    for (size_t i = 0; i < 4; i++) {
        struct pod_name pod = {.namespace = "space"};

        (void)str_format(pod.name, sizeof(pod.name), "%s", bad[i]);
        CHECK_EQ(v2_folder_open_pod(place.fd, &pod, true, NULL), -EINVAL);
    }
    close_place(&place);
}

/* What lies under the file's name before it is made. */
TEST(whatever_has_the_files_name_is_replaced_and_never_written_through)
{
    char target[] = "/tmp/vgXXXXXX";
    struct place place;
    struct stat status;
    struct err err;
    int pod_fd, fd, target_fd = mkstemp(target);

    CHECK(target_fd >= 0);
    open_place(&place);
    pod_fd = v2_folder_open_pod(place.fd, &place.pod, true, &err);
    CHECK_EQ(symlinkat(target, pod_fd, "shm"), 0);
    CHECK_EQ(symlinkat(target, pod_fd, ".shm~"), 0);
    CHECK_EQ(v2_folder_open_file(pod_fd, true, NULL), -EPERM);
    CHECK_EQ(v2_folder_open_file(pod_fd, false, NULL), -EPERM);
    fd = v2_folder_make_file(pod_fd, make_image(NOW, 0), &err);
    CHECK(fd >= 0);
    CHECK(v2_folder_has_file(pod_fd, fd));
    CHECK_EQ(fstat(target_fd, &status), 0);
    CHECK_EQ(status.st_size, 0);
    CHECK_EQ(unlinkat(pod_fd, "shm", 0), 0);
    CHECK(!v2_folder_has_file(pod_fd, fd));
    CHECK_EQ(close(fd), 0);
    CHECK_EQ(mkfifoat(pod_fd, "shm", 0666), 0); /* would wait for ever */
    CHECK_EQ(v2_folder_open_file(pod_fd, true, NULL), -EPERM);
    CHECK_EQ(v2_folder_open_file(pod_fd, false, NULL), -EPERM);
    CHECK_EQ(unlinkat(pod_fd, "shm", 0), 0);
    CHECK_EQ(linkat(AT_FDCWD, target, pod_fd, "shm", 0), 0);
    CHECK_EQ(v2_folder_open_file(pod_fd, true, NULL), -EPERM); /* it is a file elsewhere, too */
    CHECK_EQ(close(target_fd), 0);
    CHECK_EQ(unlink(target), 0);
    CHECK_EQ(close(pod_fd), 0);
    v2_folder_remove(place.fd, &place.pod);
    close_place(&place);
}

/* Opening is what does something to a device; a pod's image may have one under the name. */
TEST(what_is_no_file_is_not_even_opened)
{
    struct place place;
    struct err err;
    char path[64], events[256];
    int pod_fd, notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

    open_place(&place);
    pod_fd = v2_folder_open_pod(place.fd, &place.pod, true, &err);
    CHECK_EQ(mkfifoat(pod_fd, "shm", 0666), 0);
    CHECK(str_format(path, sizeof(path), "%s/space/pod/shm", place.base));
    CHECK(inotify_add_watch(notify, path, IN_OPEN) >= 0);
    CHECK_EQ(v2_folder_open_file(pod_fd, true, &err), -EPERM);
    CHECK_EQ(v2_folder_open_file(pod_fd, false, &err), -EPERM);
    CHECK(read(notify, events, sizeof(events)) < 0);
    CHECK_EQ(close(notify) | close(pod_fd), 0);
    v2_folder_remove(place.fd, &place.pod);
    close_place(&place);
}

TEST(a_directory_in_the_files_place_is_an_error_that_leaves_nothing)
{
    struct place place;
    struct err err;
    int pod_fd;

    open_place(&place);
    pod_fd = v2_folder_open_pod(place.fd, &place.pod, true, &err);
    CHECK_EQ(mkdirat(pod_fd, "shm", 0755), 0);
    CHECK_EQ(v2_folder_make_file(pod_fd, make_image(NOW, 0), NULL), -EISDIR);
    CHECK_EQ(faccessat(pod_fd, ".shm~", F_OK, 0), -1);
    CHECK_EQ(unlinkat(pod_fd, "shm", AT_REMOVEDIR), 0);
    CHECK_EQ(close(pod_fd), 0);
    v2_folder_remove(place.fd, &place.pod);
    close_place(&place);
}

TEST(a_removal_stops_at_what_is_not_empty)
{
    struct place place;
    struct pod_name other;
    int pod_fd, other_fd;
    struct err err;

    open_place(&place);
    CHECK(pod_name_set(&other, "space", "other"));
    pod_fd = make_pod(&place, make_image(NOW, 0));
    other_fd = v2_folder_open_pod(place.fd, &other, true, &err);
    v2_folder_remove(place.fd, &place.pod);
    CHECK_EQ(v2_folder_open_pod(place.fd, &place.pod, false, NULL), -ENOENT);
    CHECK_EQ(faccessat(place.fd, "space/other", F_OK, 0), 0);
    v2_folder_remove(place.fd, &place.pod); /* once more is no harm */
    v2_folder_remove(place.fd, &other);
    CHECK_EQ(close(pod_fd), 0);
    CHECK_EQ(close(other_fd), 0);
    close_place(&place);
}

/* --- sweeping -------------------------------------------------------------------------------- */

static bool is_known(void *context, const struct pod_name *pod)
{
    return context && pod_name_equals(context, pod);
}

static uint32_t sweep(const struct place *place, const struct pod_name *known, uint64_t now_unix_s)
{
    struct pod_name copy = known ? *known : place->pod;
    struct v2_folder_rules rules = {.is_known = is_known,
                                    .context = known ? &copy : NULL,
                                    .heartbeat_timeout_s = 10,
                                    .pids_timeout_s = 3600};

    return v2_folder_sweep(place->fd, &rules, now_unix_s);
}

TEST(a_sweep_removes_what_is_old_dead_and_unknown_and_that_alone)
{
    struct place place;
    pid_t dead = fork();

    if (!dead)
        _exit(0);
    CHECK_EQ(waitpid(dead, NULL, 0), dead);
    open_place(&place);
    CHECK_EQ(close(make_pod(&place, make_image(NOW, dead))), 0);
    CHECK_EQ(sweep(&place, NULL, NOW + 10), 0); /* somebody may write it still */
    CHECK_EQ(sweep(&place, &place.pod, NOW + 9999), 0);
    CHECK_EQ(sweep(&place, NULL, NOW + 11), 1);
    CHECK_EQ(close(make_pod(&place, make_image(NOW, getpid()))), 0);
    CHECK_EQ(sweep(&place, NULL, NOW + 11), 0);   /* its process lives */
    CHECK_EQ(sweep(&place, NULL, NOW + 3601), 1); /* or another one with its pid */
    CHECK_EQ(close(make_pod(&place, make_image(UINT64_MAX, dead))), 0);
    CHECK_EQ(sweep(&place, NULL, NOW), 1); /* a heartbeat of the far future is none */
    close_place(&place);
}

/* A pod's directory with a file of that length which is no shared file. */
static void make_odd(const struct place *place, off_t length)
{
    struct err err;
    int pod_fd = v2_folder_open_pod(place->fd, &place->pod, true, &err);
    int fd = openat(pod_fd, "shm", O_CREAT | O_WRONLY, 0666);

    CHECK(fd >= 0);
    CHECK_EQ(pwrite(fd, "\xff", 1, 0), 1);
    CHECK_EQ(ftruncate(fd, length), 0);
    CHECK_EQ(close(fd), 0);
    CHECK_EQ(close(pod_fd), 0);
}

TEST(a_sweep_removes_what_a_crash_left_and_no_file_that_merely_has_the_name)
{
    static const struct {
        off_t length;
        bool is_removed;
    } cases[] = {{0, true}, {V2_REGION_SIZE, true}, {1, false}, {V2_REGION_SIZE + 1, false}};
    struct place place;

    open_place(&place);
    for (size_t i = 0; i < 4; i++) {
        uint64_t now = (uint64_t)time(NULL);

        make_odd(&place, cases[i].length);
        CHECK_EQ(sweep(&place, NULL, now), 0);
        CHECK_EQ(sweep(&place, NULL, now + 12), cases[i].is_removed);
        v2_folder_remove(place.fd, &place.pod);
    }
    close_place(&place);
}

TEST(a_sweep_follows_no_link_and_leaves_empty_directories_alone)
{
    char outside[] = "/tmp/vgXXXXXX", path[64];
    struct place place, other;
    uint64_t late = (uint64_t)time(NULL) + 100000;
    struct err err;
    int pod_fd;

    CHECK(mkdtemp(outside) != NULL);
    open_place(&place);
    open_place(&other);
    CHECK_EQ(close(make_pod(&other, make_image(NOW, 0))), 0);
    (void)snprintf(path, sizeof(path), "%s/space", other.base);
    CHECK_EQ(symlinkat(path, place.fd, "link"), 0);
    CHECK_EQ(mkdirat(place.fd, "odd name", 0755), 0);
    CHECK_EQ(close(openat(place.fd, "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
    pod_fd = v2_folder_open_pod(place.fd, &place.pod, true, &err);
    CHECK_EQ(symlinkat(outside, pod_fd, "shm"), 0);
    CHECK_EQ(sweep(&place, NULL, late), 0);
    CHECK_EQ(unlinkat(pod_fd, "shm", 0), 0);
    CHECK_EQ(sweep(&place, NULL, late), 0);
    CHECK_EQ(close(pod_fd), 0);
    v2_folder_remove(place.fd, &place.pod);
    CHECK_EQ(unlinkat(place.fd, "link", 0), 0);
    CHECK_EQ(unlinkat(place.fd, "file", 0), 0);
    CHECK_EQ(unlinkat(place.fd, "odd name", AT_REMOVEDIR), 0);
    CHECK_EQ(sweep(&other, NULL, late), 1); /* it would have been removed through the link */
    CHECK_EQ(rmdir(outside), 0);
    close_place(&other);
    close_place(&place);
}
