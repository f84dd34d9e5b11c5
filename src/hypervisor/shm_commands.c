#include "hypervisor/shm_commands.h"

#include "hypervisor/pod_name.h"
#include "hypervisor/v2_print.h"
#include "utils/log.h"
#include "utils/parse.h"
#include "utils/str.h"

#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define STATUS_FAILED 1
#define STATUS_USAGE  2
#define SIZE_MB_MAX   (1 << 20)

/* A flag with a value, and where the value goes. */
struct flag {
    const char *name;
    const char **value;
};

/* One flag at words[0]; returns the number of words it took. */
static int read_flag(const struct flag *flags, char *const *words, struct err *err)
{
    size_t length = strcspn(words[0], "=");
    const char *value = words[0][length] ? words[0] + length + 1 : words[1];

    for (; flags->name; flags++) {
        if (strlen(flags->name) != length || strncmp(flags->name, words[0], length) != 0)
            continue;
        if (!value)
            return err_say(err, EINVAL, "'%s' needs a value", flags->name);
        *flags->value = value;
        return words[0][length] ? 1 : 2;
    }
    return err_say(err, EINVAL, "'%s' is not understood (vgpu-hypervisor --help)", words[0]);
}

static int read_flags(const struct flag *flags, char *const *words, struct err *err)
{
    while (*words) {
        int taken = read_flag(flags, words, err);

        if (taken < 0)
            return taken;
        words += taken;
    }
    return 0;
}

/* --- mount-shm --- */

static int make_folders(const char *path, struct err *err)
{
    char part[PATH_MAX];

    if (path[0] != '/' || !str_format(part, sizeof(part), "%s", path))
        return err_say(err, EINVAL, "'%s' is not an absolute path", path);
    for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(part, 0755) < 0 && errno != EEXIST)
            return err_set(err, errno, "make directory '%s'", part);
        *slash = '/';
    }
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return err_set(err, errno, "make directory '%s'", path);
    return 0;
}

/* Whether a tmpfs has been mounted exactly there. */
static int find_mount(const char *path, bool *ret_is_mounted, struct err *err)
{
    char parent[PATH_MAX];
    struct stat here, above;
    struct statfs system;

    if (!str_format(parent, sizeof(parent), "%s/..", path))
        return err_set(err, ENAMETOOLONG, "'%s'", path);
    if (stat(path, &here) < 0 || stat(parent, &above) < 0 || statfs(path, &system) < 0)
        return err_set(err, errno, "look at '%s'", path);
    if (!S_ISDIR(here.st_mode))
        return err_set(err, ENOTDIR, "'%s'", path);
    *ret_is_mounted = here.st_dev != above.st_dev && system.f_type == TMPFS_MAGIC;
    return 0;
}

/*
 * Mode 0755: files there are for others to read. Where everybody may write, a tenant replaces a
 * file by one that is too short, and ends who maps it.
 */
static int mount_there(const char *path, uint64_t size_mb, struct err *err)
{
    bool is_mounted;
    char options[64];
    int rc = make_folders(path, err);

    if (!rc)
        rc = find_mount(path, &is_mounted, err);
    if (rc < 0)
        return rc;
    if (is_mounted) {
        printf("a tmpfs is mounted at '%s' already\n", path);
        return 0;
    }
    (void)str_format(options, sizeof(options), "size=%lluM,mode=0755", (unsigned long long)size_mb);
    if (mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options) < 0)
        return err_set(err, errno, "mount a tmpfs at '%s'", path);
    printf("mounted a tmpfs of %llu MiB at '%s'\n", (unsigned long long)size_mb, path);
    return 0;
}

int shm_commands_mount(char *const *words)
{
    const char *path = SHM_COMMANDS_BASE, *size = "128";
    const struct flag flags[] = {{"--mount-point", &path}, {"--size-mb", &size}, {NULL, NULL}};
    struct err err;
    uint64_t size_mb;

    if (read_flags(flags, words, &err) < 0 || parse_u64(&size_mb, size, 1, SIZE_MB_MAX, &err) < 0) {
        log_error("mount-shm: %s", err.text);
        return STATUS_USAGE;
    }
    if (mount_there(path, size_mb, &err) < 0) {
        log_error("mount-shm: %s", err.text);
        return STATUS_FAILED;
    }
    return 0;
}

/* --- show-shm --- */

int shm_commands_show(char *const *words)
{
    const char *set = getenv("SHM_BASE_PATH"), *base = set && *set ? set : SHM_COMMANDS_BASE;
    const char *space = NULL, *name = NULL;
    const struct flag flags[] = {
        {"--namespace", &space}, {"--pod-name", &name}, {"--shm-base-path", &base}, {NULL, NULL}};
    struct pod_name pod;
    struct err err;

    if (read_flags(flags, words, &err) < 0) {
        log_error("show-shm: %s", err.text);
        return STATUS_USAGE;
    }
    if (!space || !name || !pod_name_set(&pod, space, name)) {
        log_error("show-shm: --namespace and --pod-name have to be names");
        return STATUS_USAGE;
    }
    if (v2_print_pod(stdout, base, pod.namespace, pod.name, &err) < 0) {
        log_error("show-shm: %s", err.text);
        return STATUS_FAILED;
    }
    return 0;
}
