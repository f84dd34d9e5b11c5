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
#define ENVIRON_SIZE     (6 * 1024 * 1024 + 1) /* the kernel's most for arguments and variables */
#define FIELD_STATE      3
#define FIELD_START_TIME 22
#define FIELD_MEMORY     23 /* of its address space, in bytes */
#define FIELD_ENVIRON    50 /* where it begins; the next: where it ends */
#define YOUNGEST_SIZE    128
#define LOOKS_MAX        4
#define EXECUTING_LOOKS  20
#define EXECUTING_US     50

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

bool process_is_stopped(pid_t pid)
{
    char state[8];

    return read_field(pid, FIELD_STATE, state, sizeof(state)) == 0 && state[0] == 'T';
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

/* Whose a process is. */
enum membership {
    OF_OTHERS,
    NOT_KNOWN, /* it is executing a program this instant: its variables are not in place yet */
    OF_TENANT,
};

struct search {
    char wanted[256];
    char *content; /* ENVIRON_SIZE bytes */
};

static uint64_t read_number(pid_t pid, int field)
{
    char text[32];
    uint64_t number;

    return read_field(pid, field, text, sizeof(text)) == 0 &&
                   parse_u64(&number, text, 0, UINT64_MAX, NULL) == 0
               ? number
               : 0;
}

/*
 * No environment is shown of what has no memory (zombies, the kernel's own), of what was started
 * with an empty one, and of what executes a program between the opening of the file and its
 * reading, or has begun to and has not put its variables in place yet.
 */
static bool is_executing(pid_t pid)
{
    uint64_t begin = read_number(pid, FIELD_ENVIRON), end = read_number(pid, FIELD_ENVIRON + 1);

    return (!begin || begin != end) && read_number(pid, FIELD_MEMORY) > 0;
}

static enum membership look_at(const struct search *search, pid_t pid)
{
    char path[64];
    ssize_t length;

    (void)str_format(path, sizeof(path), "/proc/%d/environ", (int)pid); /* fits */
    length = file_read(path, search->content, ENVIRON_SIZE, NULL);
    if (length < 0)
        return OF_OTHERS; /* another user's, or gone */
    if (length == 0)
        return is_executing(pid) ? NOT_KNOWN : OF_OTHERS;
    return has_variable(search->content, (size_t)length, search->wanted) && is_running(pid)
               ? OF_TENANT
               : OF_OTHERS;
}

/* To execute a program takes some 100 us; longer where it is read from a disk. */
static enum membership membership(const struct search *search, pid_t pid)
{
    enum membership found = look_at(search, pid);

    for (int i = 0; i < EXECUTING_LOOKS && found == NOT_KNOWN; i++) {
        (void)usleep(EXECUTING_US);
        found = look_at(search, pid);
    }
    return found;
}

static bool begin_search(struct search *search, const char *control)
{
    search->content = malloc(ENVIRON_SIZE);
    return search->content && str_format(search->wanted, sizeof(search->wanted),
                                         PROCESS_CONTROL_VARIABLE "=%s", control);
}

/* The next process of /proc; 0 at the end. */
static pid_t next_process(DIR *directory)
{
    const struct dirent *entry;
    uint64_t pid;

    while ((entry = readdir(directory)))
        if (parse_u64(&pid, entry->d_name, 1, INT32_MAX, NULL) == 0)
            return (pid_t)pid;
    return 0;
}

/* The number of the youngest process or thread there has been: the last word of this file. */
static void read_youngest(char *text, size_t size)
{
    if (file_read("/proc/loadavg", text, size, NULL) < 0)
        text[0] = '\0';
    if (strrchr(text, ' '))
        memmove(text, strrchr(text, ' '), strlen(strrchr(text, ' ')) + 1);
}

static bool look_once(const struct search *search)
{
    DIR *directory = opendir("/proc");
    bool is_there = false;
    pid_t pid;

    while (directory && !is_there && (pid = next_process(directory)))
        is_there = membership(search, pid) != OF_OTHERS;
    if (directory)
        (void)closedir(directory);
    return is_there;
}

/*
 * The kernel lists all processes at the first readdir(3). One that is started afterwards, by one
 * that has ended by the time we come to it, is not seen: a program that becomes a daemon does just
 * that. So where anything was started meanwhile, once is not enough.
 */
bool process_has_tenant(const char *control)
{
    char before[YOUNGEST_SIZE], after[YOUNGEST_SIZE];
    struct search search;
    bool is_there = false, is_sure = !begin_search(&search, control);

    for (int i = 0; i < LOOKS_MAX && !is_there && !is_sure; i++) {
        read_youngest(before, sizeof(before));
        is_there = look_once(&search);
        read_youngest(after, sizeof(after));
        is_sure = strcmp(before, after) == 0;
    }
    free(search.content);
    return is_there;
}

int process_signal(int pid_fd, int number)
{
    return syscall(SYS_pidfd_send_signal, pid_fd, number, NULL, 0) < 0 ? -errno : 0;
}

void process_signal_tenant(const char *control, int number)
{
    DIR *directory = opendir("/proc");
    struct search search;
    pid_t pid;

    if (begin_search(&search, control) && directory)
        while ((pid = next_process(directory))) {
            /* Opened before it is looked at: what is signalled has not taken the number since. */
            CLEANUP_CLOSE int fd = process_open(pid);

            if (fd >= 0 && membership(&search, pid) == OF_TENANT)
                (void)!process_signal(fd, number); /* it has ended, which is what was wanted */
        }
    free(search.content);
    if (directory)
        (void)closedir(directory);
}
