#include "hypervisor/metrics_file.h"

#include "utils/file.h"
#include "utils/log.h"
#include "utils/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MS_PER_DAY UINT64_C(86400000)
#define DATE_SIZE  sizeof("2026-01-31")
#define FILE_MODE  0644
#define OPEN_FLAGS (O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK)

struct metrics_file {
    char directory[PATH_MAX];
    char prefix[NAME_MAX + 1]; /* of the file's name, before ".DATE" */
    bool is_output;            /* standard output */
    int fd;                    /* -1: could not be opened */
    uint64_t day;              /* of the open file, since 1970 */
    uint64_t lost;             /* lines since writing failed; 0: it works */
};

static void format_date(char date[DATE_SIZE], uint64_t day)
{
    time_t seconds = (time_t)(day * (MS_PER_DAY / 1000));
    struct tm tm;

    if (!gmtime_r(&seconds, &tm) || !strftime(date, DATE_SIZE, "%Y-%m-%d", &tm))
        (void)str_format(date, DATE_SIZE, "0000-00-00"); /* beyond the years that there are */
}

/* --- removing old ones --- */

static bool is_date(const char *text)
{
    static const char pattern[] = "0000-00-00";

    if (strlen(text) != sizeof(pattern) - 1)
        return false;
    for (size_t i = 0; pattern[i]; i++)
        if (pattern[i] == '-' ? text[i] != '-' : text[i] < '0' || text[i] > '9')
            return false;
    return true;
}

/* The date in the name of a file of ours, or NULL. */
static const char *date_of(const struct metrics_file *file, const char *name)
{
    size_t length = strlen(file->prefix);

    if (!str_starts_with(name, file->prefix) || name[length] != '.' || !is_date(name + length + 1))
        return NULL;
    return name + length + 1;
}

/* Keeps `date` among the newest, which are sorted, newest first. */
static void keep_newest(char newest[METRICS_FILE_KEPT][DATE_SIZE], const char *date)
{
    size_t at = METRICS_FILE_KEPT;

    while (at > 0 && strcmp(newest[at - 1], date) < 0)
        at--;
    if (at == METRICS_FILE_KEPT)
        return;
    memmove(newest[at + 1], newest[at], (METRICS_FILE_KEPT - 1 - at) * DATE_SIZE);
    memcpy(newest[at], date, DATE_SIZE);
}

/* What cannot be removed stays: the next day tries again. */
static void remove_old(const struct metrics_file *file)
{
    char newest[METRICS_FILE_KEPT][DATE_SIZE] = {"", "", ""}, today[DATE_SIZE];
    DIR *directory = opendir(file->directory);

    if (!directory) {
        log_warn("metrics: cannot look for old files in '%s': %s", file->directory,
                 strerror(errno));
        return;
    }
    for (const struct dirent *entry = readdir(directory); entry; entry = readdir(directory)) {
        const char *date = date_of(file, entry->d_name);

        if (date)
            keep_newest(newest, date);
    }
    format_date(today, file->day);
    rewinddir(directory);
    for (const struct dirent *entry = readdir(directory); entry; entry = readdir(directory)) {
        const char *date = date_of(file, entry->d_name);

        /* Today's may be an old one: where the clock was wrong before. */
        if (date && strcmp(date, newest[METRICS_FILE_KEPT - 1]) < 0 && strcmp(date, today) != 0 &&
            unlinkat(dirfd(directory), entry->d_name, 0) < 0)
            log_warn("metrics: cannot remove the old file '%s': %s", entry->d_name,
                     strerror(errno));
    }
    (void)closedir(directory); /* it was only read */
}

/* --- opening --- */

/*
 * Not through a link: the directory may be one that others write into. A file of ours is for
 * collectors to read, whatever the umask; what somebody has made of it since stays.
 */
static int open_or_make(const char *path)
{
    int fd = open(path, OPEN_FLAGS | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);

    if (fd < 0)
        return errno == EEXIST ? open(path, OPEN_FLAGS | O_CLOEXEC) : -1;
    if (fchmod(fd, FILE_MODE) < 0)
        log_warn("metrics: '%s' cannot be opened to readers: %s", path, strerror(errno));
    return fd;
}

static int open_day(struct metrics_file *file, uint64_t day, struct err *err)
{
    char date[DATE_SIZE], path[PATH_MAX];

    format_date(date, day);
    if (!str_format(path, sizeof(path), "%s/%s.%s", file->directory, file->prefix, date))
        return err_set(err, ENAMETOOLONG, "open the metrics file");
    if (file->fd >= 0)
        (void)close(file->fd); /* each write has said how it went */
    file->day = day;
    file->fd = open_or_make(path);
    if (file->fd < 0)
        return err_set(err, errno, "open the metrics file '%s'", path);
    remove_old(file);
    return 0;
}

static int split_path(struct metrics_file *file, const char *path, struct err *err)
{
    const char *slash = strrchr(path, '/');
    struct stat st;
    bool fits;

    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        fits = str_format(file->directory, sizeof(file->directory), "%s", path) &&
               str_format(file->prefix, sizeof(file->prefix), "metrics.log");
    else
        fits = str_format(file->directory, sizeof(file->directory), "%.*s",
                          slash ? (int)(slash - path) : 1, slash ? path : ".") &&
               str_format(file->prefix, sizeof(file->prefix), "%s", slash ? slash + 1 : path);
    if (!fits)
        return err_set(err, ENAMETOOLONG, "the metrics file '%.64s'", path);
    if (!file->prefix[0])
        return err_set(err, ENOENT, "the directory of the metrics file '%s'", path);
    /* A file of the root directory. */
    if (!file->directory[0])
        (void)str_format(file->directory, sizeof(file->directory), "/"); /* has room */
    return 0;
}

int metrics_file_new(struct metrics_file **ret_file, const char *path, uint64_t unix_ms,
                     struct err *err)
{
    struct metrics_file *file = calloc(1, sizeof(*file));
    int rc = 0;

    if (!file)
        return err_set(err, ENOMEM, "allocate the metrics file");
    file->fd = -1;
    file->is_output = str_equals(path, "-");
    if (file->is_output)
        file->fd = STDOUT_FILENO;
    else
        rc = split_path(file, path, err);
    if (rc == 0 && !file->is_output)
        rc = open_day(file, unix_ms / MS_PER_DAY, err);
    if (rc < 0) {
        metrics_file_free(file);
        return rc;
    }
    *ret_file = file;
    return 0;
}

void metrics_file_free(struct metrics_file *file)
{
    if (!file)
        return;
    if (file->fd >= 0 && !file->is_output)
        (void)close(file->fd); /* each write has said how it went */
    free(file);
}

/* --- writing --- */

uint64_t metrics_file_count_lines(const char *lines, size_t length)
{
    uint64_t count = 0;

    for (size_t i = 0; i < length; i++)
        count += lines[i] == '\n';
    return count;
}

/* All of it, or none: half a line would spoil the next one. */
static int append(const struct metrics_file *file, const char *lines, size_t length,
                  struct err *err)
{
    off_t end = file->is_output ? 0 : lseek(file->fd, 0, SEEK_END);
    int rc = end < 0 ? -errno : file_write_all(file->fd, lines, length);

    if (rc == 0)
        return 0;
    if (!file->is_output && end >= 0 && ftruncate(file->fd, end) < 0)
        log_debug("metrics: half a line stays in the file: %s", strerror(errno));
    return err_set(err, -rc, "write the metrics");
}

/* Whether lines have to go to another file: of another day, or since somebody removed this one. */
static bool needs_open(const struct metrics_file *file, uint64_t day)
{
    struct stat st;

    if (file->is_output)
        return false;
    return file->fd < 0 || day != file->day || fstat(file->fd, &st) < 0 || st.st_nlink == 0;
}

uint64_t metrics_file_write(struct metrics_file *file, const char *lines, size_t length,
                            uint64_t unix_ms)
{
    uint64_t day = unix_ms / MS_PER_DAY, count = metrics_file_count_lines(lines, length);
    struct err err;
    int rc = 0;

    if (needs_open(file, day))
        rc = open_day(file, day, &err);
    if (rc == 0)
        rc = append(file, lines, length, &err);
    if (rc < 0) {
        if (!file->lost)
            log_warn("metrics: %s; lines are lost until it works again", err.text);
        file->lost += count;
        return count;
    }
    if (file->lost)
        log_warn("metrics: written again; %" PRIu64 " lines were lost", file->lost);
    file->lost = 0;
    return 0;
}
