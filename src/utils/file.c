#include "utils/file.h"

#include "utils/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

ssize_t file_read(const char *path, char *buffer, size_t size, struct err *err)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t length = 0;

    if (fd < 0)
        return err_set(err, errno, "open '%s'", path);
    while (length + 1 < size) {
        ssize_t count = read(fd, buffer + length, size - 1 - length);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return err_set(err, errno, "read '%s'", path);
        if (!count)
            break;
        length += (size_t)count;
    }
    buffer[length] = '\0';
    return (ssize_t)length;
}

int file_write_all(int fd, const char *content, size_t size)
{
    while (size) {
        ssize_t count = write(fd, content, size);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        content += count;
        size -= (size_t)count;
    }
    return 0;
}

int file_write(const char *path, const void *content, size_t size, struct err *err)
{
    CLEANUP_CLOSE int fd = -1;
    char beside[PATH_MAX];
    int rc;

    if (!str_format(beside, sizeof(beside), "%s.%d~", path, (int)getpid()))
        return err_set(err, ENAMETOOLONG, "write '%s'", path);
    fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set(err, errno, "write '%s'", beside);
    rc = file_write_all(fd, content, size);
    if (!rc && rename(beside, path) < 0)
        rc = -errno;
    if (rc < 0) {
        (void)unlink(beside); /* the failure to report is the first one */
        return err_set(err, -rc, "write '%s'", path);
    }
    return 0;
}

/* As file_write() names it. */
static bool is_beside(const char *entry, const char *name)
{
    size_t length = strlen(name);
    const char *digits = entry + length + 1;

    if (strncmp(entry, name, length) != 0 || entry[length] != '.')
        return false;
    length = strspn(digits, "0123456789");
    return length && str_equals(digits + length, "~");
}

void file_remove(const char *path)
{
    const char *slash = strrchr(path, '/');
    char directory[PATH_MAX];
    struct dirent *entry;
    DIR *dir;

    (void)unlink(path);
    if (!slash || !str_format(directory, sizeof(directory), "%.*s/", (int)(slash - path), path))
        return;
    dir = opendir(directory);
    if (!dir)
        return;
    while ((entry = readdir(dir)))
        if (is_beside(entry->d_name, slash + 1))
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
    (void)closedir(dir);
}

int file_make_own_dir(const char *path, mode_t mode, struct err *err)
{
    struct stat status;

    if (mkdir(path, mode) < 0 && errno != EEXIST)
        return err_set(err, errno, "make directory '%s'", path);
    if (lstat(path, &status) < 0)
        return err_set(err, errno, "look at '%s'", path);
    if (!S_ISDIR(status.st_mode))
        return err_say(err, EPERM, "'%s' is not a directory", path);
    if (status.st_uid != geteuid())
        return err_say(err, EPERM, "directory '%s' belongs to somebody else", path);
    if (status.st_mode & 066)
        return err_say(err, EPERM,
                       "directory '%s' is open to others, which makes it unsafe (chmod 700)", path);
    return 0;
}

void file_allow_many(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* up to there it is always allowed */
}
