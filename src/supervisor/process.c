#include "supervisor/process.h"

#include "utils/file.h"
#include "utils/parse.h"
#include "utils/str.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#define STAT_SIZE        1024
#define ENVIRON_SIZE     (256 * 1024)
#define FIELD_STATE      3
#define FIELD_START_TIME 22

/* A field of /proc/<pid>/stat, from the third on; copied into `text`. */
static int read_field(pid_t pid, int wanted, char *text, size_t size)
{
    char path[32], stat[STAT_SIZE], *field, *save = NULL;
    int number = FIELD_STATE;

    (void)str_format(path, sizeof(path), "/proc/%d/stat", (int)pid); /* fits */
    if (file_read(path, stat, sizeof(stat), NULL) < 0)
        return -ESRCH;
    field = strrchr(stat, ')'); /* the name before it may hold anything */
    if (!field)
        return -ESRCH;
    for (field = strtok_r(field + 1, " ", &save); field && number < wanted; number++)
        field = strtok_r(NULL, " ", &save);
    return field && str_format(text, size, "%s", field) ? 0 : -ESRCH;
}

int process_start_time(pid_t pid, uint64_t *ret_ticks)
{
    char text[32];

    if (read_field(pid, FIELD_START_TIME, text, sizeof(text)) < 0)
        return -ESRCH;
    return parse_u64(ret_ticks, text, 0, UINT64_MAX, NULL) < 0 ? -ESRCH : 0;
}

void process_comm(pid_t pid, char *ret_comm, size_t size)
{
    char path[32], *end;

    (void)str_format(path, sizeof(path), "/proc/%d/comm", (int)pid); /* fits */
    if (file_read(path, ret_comm, size, NULL) <= 0)
        (void)str_format(ret_comm, size, "?");
    end = strchr(ret_comm, '\n');
    if (end)
        *end = '\0';
    /* A process may call itself anything: what reaches terminals and JSON is plain. */
    for (char *at = ret_comm; *at; at++)
        if (*at < ' ' || *at > '~')
            *at = '?';
}

int process_open(pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0); /* O_CLOEXEC by itself */

    return fd < 0 ? -errno : fd;
}

static bool is_running(pid_t pid)
{
    char state[8];

    return read_field(pid, FIELD_STATE, state, sizeof(state)) == 0 && state[0] != 'Z' &&
           state[0] != 'X';
}

static bool has_variable(const char *content, size_t length, const char *wanted)
{
    size_t at = 0;

    while (at < length) {
        if (str_equals(content + at, wanted))
            return true;
        at += strlen(content + at) + 1;
    }
    return false;
}

/* One entry of /proc: whether it is a process that runs and was started with the variable. */
static bool is_of_tenant(const char *entry, const char *wanted, char *content, pid_t *ret_pid)
{
    char path[64];
    ssize_t length;
    uint64_t pid;

    if (parse_u64(&pid, entry, 1, INT32_MAX, NULL) < 0)
        return false;
    (void)str_format(path, sizeof(path), "/proc/%llu/environ", (unsigned long long)pid); /* fits */
    length = file_read(path, content, ENVIRON_SIZE, NULL);
    *ret_pid = (pid_t)pid;
    return length > 0 && has_variable(content, (size_t)length, wanted) && is_running((pid_t)pid);
}

/* Calls back for each process of the tenant until that returns true, which it returns. */
static bool visit_tenant(const char *control, bool (*visit)(pid_t pid, int number), int number)
{
    CLEANUP_FREE char *content = malloc(ENVIRON_SIZE);
    DIR *dir = opendir("/proc");
    struct dirent *entry;
    char wanted[256];
    bool is_done = false;
    pid_t pid;

    if (content && dir &&
        str_format(wanted, sizeof(wanted), PROCESS_CONTROL_VARIABLE "=%s", control))
        while (!is_done && (entry = readdir(dir)))
            is_done = is_of_tenant(entry->d_name, wanted, content, &pid) && visit(pid, number);
    if (dir)
        (void)closedir(dir);
    return is_done;
}

static bool is_enough(pid_t pid, int number)
{
    (void)number;
    return pid > 0;
}

bool process_has_tenant(const char *control)
{
    return visit_tenant(control, is_enough, 0);
}

int process_signal(int pid_fd, int number)
{
    return syscall(SYS_pidfd_send_signal, pid_fd, number, NULL, 0) < 0 ? -errno : 0;
}

static bool signal_one(pid_t pid, int number)
{
    uint64_t before, after;
    CLEANUP_CLOSE int fd = -1;

    /* The one whose variable was read, and not another that has its number since. */
    if (process_start_time(pid, &before) < 0)
        return false;
    fd = process_open(pid);
    if (fd >= 0 && process_start_time(pid, &after) == 0 && before == after)
        (void)!process_signal(fd, number); /* it has ended, which is what was wanted */
    return false;
}

void process_signal_tenant(const char *control, int number)
{
    (void)visit_tenant(control, signal_one, number);
}
