/*
 * The libFuzzer target of what is read of /proc about processes of others: any bytes as a process's
 * `cgroup` (hypervisor/cgroup_path) and as its `status` (hypervisor/pid_namespace).
 */
#include "hypervisor/cgroup_path.h"
#include "hypervisor/pid_namespace.h"
#include "tests/fuzz/scratch.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PID       7
#define INNER_PID 17

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int cgroup_fd = -1, status_fd;

/* A /proc with one process in a namespace of its own, and with ourselves. */
static void make_proc(void)
{
    scratch_make("7");
    scratch_make("7/ns");
    scratch_make("self");
    scratch_make("self/ns");
    if (symlink("pid:[2]", scratch_path("7/ns/pid")) < 0 ||
        symlink("pid:[1]", scratch_path("self/ns/pid")) < 0)
        abort();
    cgroup_fd = scratch_open("7/cgroup");
    status_fd = scratch_open("7/status");
}

static void read_cgroup(size_t room)
{
    char path[CGROUP_PATH_MAX], above[CGROUP_PATH_MAX], *slash;

    if (cgroup_path_read(scratch_folder(), PID, path, room) < 0)
        return;
    if (strlen(path) >= room || path[0] != '/' || strchr(path, '\n'))
        abort();
    (void)cgroup_path_can_be_own(path); /* it must not crash */
    memcpy(above, path, sizeof(path));
    slash = strrchr(above, '/');
    *slash = '\0';
    if (!cgroup_path_is_in(path, path) || !cgroup_path_is_in(path, above))
        abort();
}

/* Whether one of the text's lines says so; the text ends at its first NUL. */
static bool says(const char *text)
{
    for (const char *line = strstr(text, "\nNSpid:"); line; line = strstr(line, "\nNSpid:")) {
        size_t length = strcspn(++line, "\n");

        if (length > 3 && strncmp(line + length - 3, "\t17", 3) == 0)
            return true;
    }
    return false;
}

static void find_process(const char *text)
{
    const int32_t known[] = {PID};
    const struct pid_namespace_query query = {scratch_folder(), INNER_PID, known, 1};
    int32_t pid;

    if (pid_namespace_find(&query, &pid, NULL) == 0 && (pid != PID || !says(text)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = strndup((const char *)data, size);

    if (!text)
        abort();
    if (cgroup_fd < 0)
        make_proc();
    scratch_fill(cgroup_fd, data, size);
    scratch_fill(status_fd, data, size);
    read_cgroup(CGROUP_PATH_MAX);
    read_cgroup(8);
    find_process(text);
    free(text);
    return 0;
}
