#include "hypervisor/log_file.h"

#include "utils/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RETRY_MS 60000 /* how long a failed replacement is not tried again because of age */

static void tell(const char *text)
{
    char line[256];
    struct str str;

    str_init(&str, line, sizeof(line));
    str_add(&str, "vgpu-hypervisor: %s\n", text);
    if (write(STDERR_FILENO, line, str.length) < 0)
        return; /* there is nobody left to tell */
}

/* Remembers what is wrong, and says it where that is news. */
static void set_fault(struct log_file *file, const struct err *err, const char *consequence)
{
    if (file->fault[0])
        return;
    (void)str_format(file->fault, sizeof(file->fault), "%s; %s", err->text, consequence);
    tell(file->fault);
}

/*
 * When the file was made, for its age: the file system's own note of it where there is one, else
 * its last change, from which a file can only seem younger than it is.
 */
static uint64_t find_birth_ms(int fd, uint64_t now_ms)
{
    struct statx status;

    if (statx(fd, "", AT_EMPTY_PATH, STATX_BTIME | STATX_MTIME, &status) < 0)
        return now_ms;
    if (status.stx_mask & STATX_BTIME)
        return (uint64_t)status.stx_btime.tv_sec * 1000;
    return (uint64_t)status.stx_mtime.tv_sec * 1000;
}

static int open_path(struct log_file *file, uint64_t unix_ms, struct err *err)
{
    CLEANUP_CLOSE int fd =
        open(file->path, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_NONBLOCK | O_CLOEXEC, 0640);
    struct stat status;

    if (fd < 0)
        return err_set(err, errno, "open log file '%s'", file->path);
    if (fstat(fd, &status) < 0)
        return err_set(err, errno, "stat log file '%s'", file->path);
    attr_close(&file->fd);
    file->is_regular = S_ISREG(status.st_mode);
    file->length_bytes = file->is_regular ? (uint64_t)status.st_size : 0;
    file->begun_unix_ms = file->length_bytes ? find_birth_ms(fd, unix_ms) : unix_ms;
    file->rotation_due_bytes = 0;
    file->rotation_due_ms = 0;
    file->fd = TAKE_FD(fd);
    return 0;
}

int log_file_open(struct log_file *ret_file, const char *path, const struct log_file_limits *limits,
                  uint64_t unix_ms, struct err *err)
{
    struct log_file file = {.fd = -1, .limits = *limits};
    int rc;

    if (!str_format(file.path, sizeof(file.path), "%s", path))
        return err_set(err, ENAMETOOLONG, "log file '%s'", path);
    rc = open_path(&file, unix_ms, err);
    if (!rc)
        *ret_file = file;
    return rc;
}

void log_file_close(struct log_file *file)
{
    if (file->path[0])
        attr_close(&file->fd);
    *file = (struct log_file){.fd = -1};
}

void log_file_reopen(struct log_file *file, uint64_t unix_ms)
{
    struct stat named, held;
    struct err err;

    if (stat(file->path, &named) == 0 && fstat(file->fd, &held) == 0 &&
        named.st_ino == held.st_ino && named.st_dev == held.st_dev)
        return;
    if (open_path(file, unix_ms, &err) < 0)
        set_fault(file, &err, "going on in the file that was opened before");
}

/* --- replacing --- */

/* FILE.number; FILE itself for 0. */
static void name_former(const struct log_file *file, unsigned int number, char ret_path[PATH_MAX])
{
    if (number)
        (void)str_format(ret_path, PATH_MAX, "%s.%u", file->path, number); /* fits: see path */
    else
        (void)str_format(ret_path, PATH_MAX, "%s", file->path);
}

static bool is_there(const struct log_file *file, unsigned int number)
{
    char path[PATH_MAX];
    struct stat status;

    name_former(file, number, path);
    return lstat(path, &status) == 0;
}

static int shift(const struct log_file *file, unsigned int number, struct err *err)
{
    char from[PATH_MAX], to[PATH_MAX];

    name_former(file, number, from);
    name_former(file, number + 1, to);
    return rename(from, to) < 0 ? err_set(err, errno, "rename log file '%s'", from) : 0;
}

/* Those beyond what is kept, of when more were. */
static void remove_old(const struct log_file *file)
{
    char path[PATH_MAX];

    for (unsigned int number = file->limits.kept + 1;; number++) {
        name_former(file, number, path);
        if (unlink(path) < 0)
            break; /* ENOENT; or it is none of ours */
    }
}

/*
 * Up to the first name that is free: where somebody took the file itself away, or a former try came
 * to half of it, no former file has to go.
 */
static int rotate(struct log_file *file, uint64_t unix_ms, struct err *err)
{
    unsigned int count = 0;
    int rc = 0;

    while (count < file->limits.kept && is_there(file, count))
        count++;
    while (count-- && !rc)
        rc = shift(file, count, err);
    if (!rc)
        remove_old(file);
    /* Where the new one cannot be made, lines go on into the old one, whatever it is called. */
    return rc ? rc : open_path(file, unix_ms, err);
}

static bool is_due(const struct log_file *file, size_t length, uint64_t unix_ms)
{
    const struct log_file_limits *limits = &file->limits;

    if (!file->is_regular || !file->length_bytes)
        return false; /* a line too long for the limit would make empty files only */
    if (limits->size_bytes && file->length_bytes + length > limits->size_bytes &&
        file->length_bytes >= file->rotation_due_bytes)
        return true;
    return limits->age_ms && unix_ms > file->begun_unix_ms &&
           unix_ms - file->begun_unix_ms >= limits->age_ms && unix_ms >= file->rotation_due_ms;
}

static void rotate_where_due(struct log_file *file, size_t length, uint64_t unix_ms)
{
    struct err err;

    if (!is_due(file, length, unix_ms))
        return;
    if (rotate(file, unix_ms, &err) == 0) {
        if (file->is_rotation_failing)
            file->fault[0] = '\0';
        file->is_rotation_failing = false;
        return;
    }
    /* Not with every line: again when it has grown by as much, or in a while. */
    file->rotation_due_bytes = file->length_bytes + file->limits.size_bytes / 2;
    file->rotation_due_ms = unix_ms + RETRY_MS;
    file->is_rotation_failing = true;
    set_fault(file, &err, "the log grows in the file it is in");
}

/* --- writing --- */

/* All of it or nothing: what a full disk took of a line is taken back. Returns success. */
static bool write_whole(struct log_file *file, const char *line, size_t length)
{
    ssize_t written;
    int reason;

    do {
        written = write(file->fd, line, length);
    } while (written < 0 && errno == EINTR);
    if (written == (ssize_t)length) {
        file->length_bytes += length;
        return true;
    }
    reason = written < 0 ? errno : ENOSPC;
    if (written > 0 && ftruncate(file->fd, (off_t)file->length_bytes) < 0)
        file->length_bytes += (size_t)written; /* no file to cut: half a line it is */
    errno = reason;
    return false;
}

static void report_loss(struct log_file *file)
{
    struct err err;

    if (!file->lost_lines)
        (void)err_set(&err, errno, "write log file '%s'", file->path);
    file->lost_lines++;
    if (file->lost_lines == 1) {
        file->fault[0] = '\0'; /* worse than what else was wrong */
        set_fault(file, &err, "lines are lost until it can be written");
    }
}

static void report_recovery(struct log_file *file)
{
    file->lost_lines = 0;
    file->fault[0] = '\0';
    tell("the log file can be written again");
}

bool log_file_write(struct log_file *file, const char *line, size_t length, uint64_t unix_ms)
{
    bool is_written;

    rotate_where_due(file, length, unix_ms);
    is_written = write_whole(file, line, length);
    if (!is_written)
        report_loss(file);
    else if (file->lost_lines)
        report_recovery(file);
    return is_written;
}

const char *log_file_fault(const struct log_file *file)
{
    return file->fault[0] ? file->fault : NULL;
}
