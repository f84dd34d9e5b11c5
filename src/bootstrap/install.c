#include "bootstrap/install.h"

#include "utils/file.h"
#include "utils/str.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define BESIDE       ".vgpu-bootstrap~"
#define PROGRAM_MODE 0755
#define TEXT_MODE    0644
#define BLOCK_BYTES  16384

/* --- the directory ---------------------------------------------------------------------------- */

static int make_directories(const char *path, struct err *err)
{
    char part[PATH_MAX];

    if (!str_format(part, sizeof(part), "%s/", path))
        return err_set(err, ENAMETOOLONG, "make directory '%s'", path);
    for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(part, PROGRAM_MODE) < 0 && errno != EEXIST)
            return err_set(err, errno, "make directory '%s'", part);
        *slash = '/';
    }
    return 0;
}

static bool is_same_directory(int a, int b)
{
    struct stat status_a, status_b;

    return fstat(a, &status_a) == 0 && fstat(b, &status_b) == 0 &&
           status_a.st_dev == status_b.st_dev && status_a.st_ino == status_b.st_ino;
}

/* A file system that knows no locks is no reason to install nothing. */
static void lock(int fd)
{
    while (flock(fd, LOCK_EX) < 0 && errno == EINTR)
        ;
}

int install_open(struct install *ret_install, const char *path, const struct install *beside,
                 enum install_mode mode, struct err *err)
{
    int fd, rc = mode == INSTALL_MAKE ? make_directories(path, err) : 0;

    if (rc < 0)
        return rc;
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && (errno != ENOENT || mode == INSTALL_MAKE))
        return err_set(err, errno, "open directory '%s'", path);
    if (fd >= 0 && mode != INSTALL_DRY) {
        /* To lock what this process has locked already would be to wait for ever. */
        if (!beside || beside->fd < 0 || !is_same_directory(fd, beside->fd))
            lock(fd);
        (void)unlinkat(fd, BESIDE, 0); /* mostly it is not there; where it stays, we fail later */
    }
    *ret_install = (struct install){.fd = fd, .path = path, .is_dry = mode == INSTALL_DRY};
    return 0;
}

void install_close(struct install *install)
{
    if (install->fd < 0)
        return;
    if (install->changes && !install->is_dry)
        (void)fsync(install->fd); /* not every file system can; each file is written already */
    attr_close(&install->fd);
}

/* --- what is there ---------------------------------------------------------------------------- */

static int look(const struct install *install, const char *name, struct stat *status)
{
    if (install->fd < 0)
        return -ENOENT;
    return fstatat(install->fd, name, status, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

enum install_kind install_look(const struct install *install, const char *name)
{
    struct stat status;
    int rc = look(install, name, &status);

    if (rc < 0)
        return rc == -ENOENT ? INSTALL_NOTHING : INSTALL_OTHER;
    return S_ISREG(status.st_mode)   ? INSTALL_FILE
           : S_ISLNK(status.st_mode) ? INSTALL_LINK
                                     : INSTALL_OTHER;
}

int install_read(const struct install *install, const char *name, int *ret_fd, struct err *err)
{
    int fd = -1;

    errno = ENOENT;
    if (install->fd >= 0)
        fd = openat(install->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, errno, "read '%s/%s'", install->path, name);
    *ret_fd = fd;
    return 0;
}

static ssize_t read_some(int fd, char *buffer, size_t size)
{
    size_t length = 0;

    while (length < size) {
        ssize_t count = read(fd, buffer + length, size - length);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        if (!count)
            break;
        length += (size_t)count;
    }
    return (ssize_t)length;
}

int install_read_text(const struct install *install, const char *name, char **ret_text,
                      struct err *err)
{
    CLEANUP_CLOSE int fd = -1;
    CLEANUP_FREE char *text = NULL;
    struct err reason;
    ssize_t length;
    int rc = install_read(install, name, &fd, &reason);

    if (rc < 0 && rc != -ENOENT)
        return err_say(err, -rc, "%s", reason.text);
    text = malloc(INSTALL_TEXT_MAX);
    if (!text)
        return err_set(err, ENOMEM, "read '%s/%s'", install->path, name);
    length = rc < 0 ? 0 : read_some(fd, text, INSTALL_TEXT_MAX);
    if (length < 0)
        return err_set(err, (int)-length, "read '%s/%s'", install->path, name);
    if (length == INSTALL_TEXT_MAX || memchr(text, '\0', (size_t)length))
        return err_say(err, EFBIG, "'%s/%s' is no text, or too long a one", install->path, name);
    text[length] = '\0';
    *ret_text = TAKE_POINTER(text);
    return 0;
}

bool install_read_link(const struct install *install, const char *name, char *ret_text, size_t size)
{
    ssize_t length = install->fd < 0 ? -1 : readlinkat(install->fd, name, ret_text, size);

    if (length < 0 || (size_t)length == size)
        return false;
    ret_text[length] = '\0';
    return true;
}

/* --- changes ---------------------------------------------------------------------------------- */

/* Nobody has to listen: an installation does not fail because standard output is closed. */
static void say(struct install *install, const char *would, const char *done, const char *name)
{
    char line[PATH_MAX + NAME_MAX + 64];
    struct str str;

    install->changes++;
    str_init(&str, line, sizeof(line));
    str_add(&str, "%s %s/%s\n", install->is_dry ? would : done, install->path, name);
    if (write(STDOUT_FILENO, line, str.length) < 0)
        return;
}

/* Takes the descriptor of what was written beside, and puts it in its place. */
static int put_in_place(struct install *install, int fd, mode_t mode, const char *name,
                        struct err *err)
{
    CLEANUP_CLOSE int beside = fd;

    if (fchmod(beside, mode) < 0 || fsync(beside) < 0 ||
        renameat(install->fd, BESIDE, install->fd, name) < 0)
        return err_set(err, errno, "write '%s/%s'", install->path, name);
    return 0;
}

static int open_beside(const struct install *install, int *ret_fd, struct err *err)
{
    int fd =
        openat(install->fd, BESIDE, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return err_set(err, errno, "write '%s/%s'", install->path, BESIDE);
    *ret_fd = fd;
    return 0;
}

static void drop_beside(const struct install *install)
{
    (void)unlinkat(install->fd, BESIDE, 0); /* the failure to report is the one before */
}

static int copy_content(int from, int to)
{
    char block[BLOCK_BYTES];
    ssize_t count;
    int rc = lseek(from, 0, SEEK_SET) < 0 ? -errno : 0;

    while (!rc && (count = read_some(from, block, sizeof(block))) != 0)
        rc = count < 0 ? (int)count : file_write_all(to, block, (size_t)count);
    return rc;
}

static bool has_same_content(int a, int b)
{
    char block_a[BLOCK_BYTES], block_b[BLOCK_BYTES];
    ssize_t count_a, count_b;

    if (lseek(a, 0, SEEK_SET) < 0 || lseek(b, 0, SEEK_SET) < 0)
        return false;
    do {
        count_a = read_some(a, block_a, sizeof(block_a));
        count_b = read_some(b, block_b, sizeof(block_b));
        if (count_a < 0 || count_a != count_b || memcmp(block_a, block_b, (size_t)count_a) != 0)
            return false;
    } while (count_a);
    return true;
}

static bool is_there(const struct install *install, const char *name, mode_t mode)
{
    struct stat status;

    return look(install, name, &status) == 0 && S_ISREG(status.st_mode) &&
           (status.st_mode & 07777) == mode;
}

int install_copy(struct install *install, int source_fd, const char *name, struct err *err)
{
    CLEANUP_CLOSE int old_fd = -1;
    int fd = -1, rc;

    if (is_there(install, name, PROGRAM_MODE) && install_read(install, name, &old_fd, NULL) == 0 &&
        has_same_content(source_fd, old_fd))
        return 0;
    say(install, "would install", "installed", name);
    if (install->is_dry)
        return 0;
    rc = open_beside(install, &fd, err);
    if (rc < 0)
        return rc;
    rc = copy_content(source_fd, fd);
    if (rc < 0) {
        attr_close(&fd);
        (void)err_set(err, -rc, "write '%s/%s'", install->path, name);
    } else {
        rc = put_in_place(install, fd, PROGRAM_MODE, name, err);
    }
    if (rc < 0)
        drop_beside(install);
    return rc;
}

int install_text(struct install *install, const char *name, const char *text, struct err *err)
{
    CLEANUP_FREE char *old = NULL;
    int fd = -1, rc = 0;

    if (is_there(install, name, TEXT_MODE)) {
        rc = install_read_text(install, name, &old, err);
        if (rc < 0 || str_equals(old, text))
            return rc;
    }
    say(install, "would write", "wrote", name);
    if (install->is_dry)
        return 0;
    rc = open_beside(install, &fd, err);
    if (rc < 0)
        return rc;
    rc = file_write_all(fd, text, strlen(text));
    if (rc < 0) {
        attr_close(&fd);
        (void)err_set(err, -rc, "write '%s/%s'", install->path, name);
    } else {
        rc = put_in_place(install, fd, TEXT_MODE, name, err);
    }
    if (rc < 0)
        drop_beside(install);
    return rc;
}

int install_link(struct install *install, const char *name, const char *text, struct err *err)
{
    char old[PATH_MAX];

    if (install_read_link(install, name, old, sizeof(old)) && str_equals(old, text))
        return 0;
    say(install, "would link", "linked", name);
    if (install->is_dry)
        return 0;
    if (symlinkat(text, install->fd, BESIDE) < 0 ||
        renameat(install->fd, BESIDE, install->fd, name) < 0) {
        (void)err_set(err, errno, "link '%s/%s'", install->path, name);
        drop_beside(install);
        return err ? -err->code : -EIO;
    }
    return 0;
}

int install_remove(struct install *install, const char *name, struct err *err)
{
    if (install_look(install, name) == INSTALL_NOTHING)
        return 0;
    say(install, "would remove", "removed", name);
    if (!install->is_dry && unlinkat(install->fd, name, 0) < 0)
        return err_set(err, errno, "remove '%s/%s'", install->path, name);
    return 0;
}
