#include "supervisor/process.h"

#include "utils/clock.h"
#include "utils/file.h"
#include "utils/parse.h"
#include "utils/sock.h"
#include "utils/str.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
#define STAT_SIZE        1024
#define STATUS_SIZE      512 /* user ids are among the first lines of /proc/<pid>/status */
#define ENVIRON_SIZE     (6 * 1024 * 1024 + 1) /* the kernel's most for arguments and variables */
#define FIELD_STATE      3
#define FIELD_PARENT     4
#define FIELD_START_TIME 22
#define FIELD_MEMORY     23 /* of its address space, in bytes */
#define FIELD_ENVIRON    50 /* where it begins; the next: where it ends */
#define YOUNGEST_SIZE    128
#define LOOKS_MAX        4
#define LOOKS_LONG_MAX                                                                             \
    2 /* of those that take longer than the next, so that the rest waits no longer */
#define LOOKS_LONG_NS   (200 * NS_PER_MS)
#define EXECUTING_LOOKS 20
#define EXECUTING_US    50

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

bool process_has_ended(int pid_fd)
{
    struct pollfd poll_fd = {.fd = pid_fd, .events = POLLIN};

    return poll(&poll_fd, 1, 0) > 0;
}

int process_user(pid_t pid, uid_t *ret_uid)
{
    char path[32], status[STATUS_SIZE], *line, *save = NULL;
    uint64_t uid;

    (void)str_format(path, sizeof(path), "/proc/%d/status", (int)pid); /* fits */
    if (file_read(path, status, sizeof(status), NULL) < 0)
        return -ESRCH;
    line = strstr(status, "\nUid:"); /* the name before it has its newlines escaped */
    line = line ? strtok_r(line + strlen("\nUid:"), "\t ", &save) : NULL;
    if (!line || parse_u64(&uid, line, 0, UINT32_MAX, NULL) < 0)
        return -ESRCH;
    *ret_uid = (uid_t)uid;
    return 0;
}

pid_t process_parent(pid_t pid)
{
    char text[32];
    uint64_t parent;

    if (read_field(pid, FIELD_PARENT, text, sizeof(text)) < 0 ||
        parse_u64(&parent, text, 0, INT32_MAX, NULL) < 0)
        return -ESRCH;
    return (pid_t)parent;
}

/* An older kernel does not say who connected: one of the same user has the number, at least. */
static int open_of_user(const struct sock_peer *peer)
{
    CLEANUP_CLOSE int fd = process_open(peer->pid);
    uid_t uid;

    if (fd < 0)
        return fd;
    return process_user(peer->pid, &uid) == 0 && uid == peer->uid ? TAKE_FD(fd) : -ESRCH;
}

int process_open_peer(int socket_fd, const struct sock_peer *peer)
{
    CLEANUP_CLOSE int fd = -1;
    socklen_t length = sizeof(fd);

    if (peer->pid <= 0)
        return -ESRCH; /* of another pid namespace */
    if (getsockopt(socket_fd, SOL_SOCKET, SO_PEERPIDFD, &fd, &length) < 0)
        fd = errno == ENOPROTOOPT ? open_of_user(peer) : -errno;
    if (fd >= 0 && process_has_ended(fd))
        return -ESRCH; /* its number may be a stranger's by now */
    return fd < 0 ? fd : TAKE_FD(fd);
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
    uid_t uids[3]; /* whose processes may be of it */
    size_t uid_count;
    bool is_any_user; /* nobody can tell whose it is */
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

/* The variable is anybody's to set. It counts where the tenant's socket would admit the process. */
static bool may_belong(const struct search *search, pid_t pid)
{
    uid_t uid;

    if (search->is_any_user)
        return true;
    if (process_user(pid, &uid) < 0)
        return false;
    for (size_t i = 0; i < search->uid_count; i++)
        if (search->uids[i] == uid)
            return true;
    return false;
}

static enum membership look_at(const struct search *search, pid_t pid)
{
    char path[64];
    ssize_t length;

    if (!may_belong(search, pid))
        return OF_OTHERS;
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
    *search = (struct search){.content = malloc(ENVIRON_SIZE)};
    return search->content && str_format(search->wanted, sizeof(search->wanted),
                                         PROCESS_CONTROL_VARIABLE "=%s", control);
}

/* Those of whoever has the tenant's socket, root's and our own. */
static void find_users(struct search *search, const char *control)
{
    struct stat status;

    search->is_any_user = lstat(control, &status) < 0;
    if (!search->is_any_user)
        search->uids[search->uid_count++] = status.st_uid;
    search->uids[search->uid_count++] = 0;
    search->uids[search->uid_count++] = geteuid();
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

static enum process_presence look_once(const struct search *search)
{
    enum process_presence presence = PROCESS_ABSENT;
    DIR *directory = opendir("/proc");
    pid_t pid;

    while (directory && presence != PROCESS_PRESENT && (pid = next_process(directory))) {
        enum membership found = membership(search, pid);

        if (found != OF_OTHERS)
            presence = found == OF_TENANT ? PROCESS_PRESENT : PROCESS_UNSURE;
    }
    if (directory)
        (void)closedir(directory);
    return presence;
}

/*
 * The kernel lists all processes at the first readdir(3). One that is started afterwards, by one
 * that has ended by the time we come to it, is not seen: a program that becomes a daemon does just
 * that. So where anything was started meanwhile, once is not enough.
 */
enum process_presence process_find_tenant(const char *control)
{
    char before[YOUNGEST_SIZE], after[YOUNGEST_SIZE];
    uint64_t long_ns = clock_now_ns() + LOOKS_LONG_NS;
    struct search search;
    enum process_presence presence = PROCESS_ABSENT;
    bool is_sure = !begin_search(&search, control);

    find_users(&search, control);
    for (int i = 0; i < LOOKS_MAX && presence == PROCESS_ABSENT && !is_sure; i++) {
        read_youngest(before, sizeof(before));
        presence = look_once(&search);
        read_youngest(after, sizeof(after));
        is_sure =
            strcmp(before, after) == 0 || (i + 1 >= LOOKS_LONG_MAX && clock_now_ns() > long_ns);
    }
    free(search.content);
    return presence;
}

bool process_has_tenant(const char *control)
{
    return process_find_tenant(control) != PROCESS_ABSENT;
}

int process_signal(int pid_fd, int number)
{
    return syscall(SYS_pidfd_send_signal, pid_fd, number, NULL, 0) < 0 ? -errno : 0;
}

int process_signal_of(int pid_fd, pid_t pid, uid_t uid, int number)
{
    uid_t owner;

    /* The kernel asks whether it may what is not root; what root does for a user, that may too. */
    if (geteuid() == 0 && (process_user(pid, &owner) < 0 || owner != uid))
        return -EPERM;
    /* An ended one's number, which was just looked at, may be another's: it gets no signal. */
    return process_signal(pid_fd, number);
}

void process_signal_tenant(const char *control, uid_t uid, int number)
{
    DIR *directory = opendir("/proc");
    struct search search;
    pid_t pid;

    if (begin_search(&search, control) && directory) {
        search.uids[search.uid_count++] = uid;
        while ((pid = next_process(directory))) {
            /* Opened before it is looked at: what is signalled has not taken the number since. */
            CLEANUP_CLOSE int fd = process_open(pid);

            if (fd >= 0 && membership(&search, pid) == OF_TENANT)
                (void)!process_signal(fd, number); /* it has ended, which is what was wanted */
        }
    }
    free(search.content);
    if (directory)
        (void)closedir(directory);
}
