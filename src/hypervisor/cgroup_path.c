#include "hypervisor/cgroup_path.h"

#include "utils/file.h"
#include "utils/str.h"

#include <errno.h>
#include <string.h>

#define CONTENT_MAX 8192

/* "0::/path", "1:name=systemd:/path", "4:memory:/path": the better a line, the higher. */
static int rank_line(const char *line, const char *path)
{
    if (str_equals(path, "/"))
        return 1;
    if (str_starts_with(line, "0::"))
        return 4;
    return strstr(line, ":name=systemd:") ? 3 : 2;
}

int cgroup_path_read(const char *root, pid_t pid, char *ret_path, size_t size)
{
    char file[256], content[CONTENT_MAX], *save = NULL;
    const char *best = NULL;
    int best_rank = 0;

    if (!str_format(file, sizeof(file), "%s/%d/cgroup", root, (int)pid))
        return -ENAMETOOLONG;
    if (file_read(file, content, sizeof(content), NULL) <= 0)
        return -ESRCH;
    for (char *line = strtok_r(content, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *colon = strchr(line, ':');
        char *path = colon ? strchr(colon + 1, ':') : NULL;
        int rank = path && path[1] == '/' ? rank_line(line, path + 1) : 0;

        if (rank > best_rank) {
            best_rank = rank;
            best = path + 1;
        }
    }
    if (!best)
        return -ESRCH;
    /* Half a path would be another group. */
    if (strlen(best) >= size)
        return -ENAMETOOLONG;
    (void)str_format(ret_path, size, "%s", best); /* fits */
    return 0;
}

static bool ends_with(const char *text, size_t length, const char *end)
{
    return length >= strlen(end) && strncmp(text + length - strlen(end), end, strlen(end)) == 0;
}

/* The root seen from a namespace below it: "/", "/..", "/../..". */
static bool is_root(const char *path)
{
    return path[strspn(path, "/.")] == '\0';
}

bool cgroup_path_can_be_own(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    size_t length = strlen(name);

    if (is_root(path) || length == 0)
        return false;
    if (ends_with(name, length, ".slice") || str_equals(name, "init.scope"))
        return false;
    /* A login's, and what a desktop or a user's manager starts: terminals are there. */
    if (str_starts_with(name, "session-") || str_starts_with(name, "user@"))
        return false;
    return !strstr(path, "/app.slice/") && !strstr(path, "/session.slice/");
}

bool cgroup_path_is_in(const char *path, const char *group)
{
    size_t length = strlen(group);

    return strncmp(path, group, length) == 0 && (path[length] == '\0' || path[length] == '/');
}
