#include "hypervisor/foreign_process.h"

#include "supervisor/process.h"
#include "utils/file.h"
#include "utils/parse.h"
#include "utils/str.h"

#include <errno.h>
#include <string.h>

#define STATUS_MAX 4096

/* The second number of the line "Uid:", which is the effective one. */
static uid_t read_uid(pid_t pid)
{
    char path[32], status[STATUS_MAX], *line, *save = NULL;
    uint64_t uid;

    (void)str_format(path, sizeof(path), "/proc/%d/status", (int)pid); /* fits */
    if (file_read(path, status, sizeof(status), NULL) < 0)
        return (uid_t)-1;
    line = strstr(status, "\nUid:");
    if (!line || !strtok_r(line + strlen("\nUid:"), "\t", &save))
        return (uid_t)-1;
    line = strtok_r(NULL, "\t", &save);
    return line && parse_u64(&uid, line, 0, UINT32_MAX, NULL) == 0 ? (uid_t)uid : (uid_t)-1;
}

int foreign_process_describe(void *context, pid_t pid, struct foreign_process *ret_process)
{
    struct foreign_process process = {.cgroup = ""};
    uint64_t after;

    (void)context;
    if (process_start_time(pid, &process.start_ticks) < 0)
        return -ESRCH;
    process_comm(pid, process.comm, sizeof(process.comm));
    process.uid = read_uid(pid);
    if (cgroup_path_read("/proc", pid, process.cgroup, sizeof(process.cgroup)) < 0)
        process.cgroup[0] = '\0';
    /* All of it was said of one process. */
    if (process_start_time(pid, &after) < 0 || after != process.start_ticks)
        return -ESRCH;
    *ret_process = process;
    return 0;
}

int foreign_process_signal(void *context, pid_t pid, uint64_t start_ticks, int number)
{
    CLEANUP_CLOSE int fd = process_open(pid);
    uint64_t now_ticks;

    (void)context;
    if (fd < 0)
        return fd;
    /* Whoever has the pid now is who the descriptor stands for. */
    if (process_start_time(pid, &now_ticks) < 0 || now_ticks != start_ticks)
        return -ESRCH;
    return process_signal(fd, number);
}
