#include "hypervisor/pid_namespace.h"

#include "utils/file.h"
#include "utils/parse.h"
#include "utils/str.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define IDENTITY_SIZE 40    /* pid:[4026531836] */
#define STATUS_SIZE   32768 /* the line comes after the groups, which may be hundreds */
#define NSPID         "\nNSpid:"

struct search {
    const struct pid_namespace_query *query;
    char own[IDENTITY_SIZE]; /* the machine's, as far as this daemon can tell */
    char identities[PID_NAMESPACE_MAX][IDENTITY_SIZE];
    size_t identity_count;
    int32_t found; /* 0: none yet */
    bool is_ambiguous;
    bool has_own; /* a known process is in the machine's namespace */
};

static bool read_identity(const char *proc_path, const char *process, char *ret_identity)
{
    char path[PATH_MAX];
    ssize_t length;

    if (!str_format(path, sizeof(path), "%s/%s/ns/pid", proc_path, process))
        return false;
    length = readlink(path, ret_identity, IDENTITY_SIZE - 1);
    if (length <= 0)
        return false;
    ret_identity[length] = '\0';
    return true;
}

/* What a process is called in its own namespace; 0: it cannot be told. */
static int32_t read_inner_pid(const char *proc_path, const char *process)
{
    char path[PATH_MAX], status[STATUS_SIZE], *line, *last;
    uint64_t pid;

    if (!str_format(path, sizeof(path), "%s/%s/status", proc_path, process) ||
        file_read(path, status, sizeof(status), NULL) < 0)
        return 0;
    /* A process's name, in the line before, has its line ends escaped: this is no part of it. */
    line = strstr(status, NSPID);
    if (!line)
        return 0;
    line++;
    line[strcspn(line, "\n")] = '\0';
    last = strrchr(line, '\t');
    return last && parse_u64(&pid, last + 1, 1, INT32_MAX, NULL) == 0 ? (int32_t)pid : 0;
}

static bool has_identity(const struct search *search, const char *identity)
{
    for (size_t i = 0; i < search->identity_count; i++)
        if (str_equals(search->identities[i], identity))
            return true;
    return false;
}

static void add_candidate(struct search *search, int32_t pid)
{
    if (search->found && search->found != pid)
        search->is_ambiguous = true;
    search->found = pid;
}

/* `identity` NULL: any of the search's. */
static void look_at(struct search *search, int32_t pid, const char *identity)
{
    const char *proc_path = search->query->proc_path;
    char process[16], before[IDENTITY_SIZE], after[IDENTITY_SIZE];

    (void)str_format(process, sizeof(process), "%d", pid); /* fits */
    if (!read_identity(proc_path, process, before) ||
        !(identity ? str_equals(identity, before) : has_identity(search, before)) ||
        read_inner_pid(proc_path, process) != search->query->container_pid)
        return;
    /* Were the pid another process's by now, that would be in a namespace that we look for. */
    if (read_identity(proc_path, process, after) && str_equals(before, after))
        add_candidate(search, pid);
}

static int look_at_known(struct search *search, struct err *err)
{
    const struct pid_namespace_query *query = search->query;

    for (size_t i = 0; i < query->known_count; i++) {
        char process[16], identity[IDENTITY_SIZE];

        (void)str_format(process, sizeof(process), "%d", query->known[i]); /* fits */
        if (query->known[i] <= 0 || !read_identity(query->proc_path, process, identity))
            continue;
        look_at(search, query->known[i], identity);
        search->has_own |= str_equals(identity, search->own);
        if (str_equals(identity, search->own) || has_identity(search, identity))
            continue;
        if (search->identity_count == PID_NAMESPACE_MAX)
            return err_say(err, ENOTUNIQ, "the pod's processes are in too many namespaces");
        (void)str_format(search->identities[search->identity_count++], IDENTITY_SIZE, "%s",
                         identity); /* fits */
    }
    return 0;
}

static int look_at_all(struct search *search, struct err *err)
{
    DIR *list = opendir(search->query->proc_path);
    struct dirent *entry;

    if (!list)
        return err_set(err, errno, "list processes in '%s'", search->query->proc_path);
    while ((entry = readdir(list))) {
        uint64_t pid;

        if (parse_u64(&pid, entry->d_name, 1, INT32_MAX, NULL) == 0)
            look_at(search, (int32_t)pid, NULL);
    }
    (void)closedir(list);
    return 0;
}

int pid_namespace_find(const struct pid_namespace_query *query, int32_t *ret_pid, struct err *err)
{
    struct search search = {.query = query};
    int rc;

    if (query->container_pid <= 0)
        return err_say(err, EINVAL, "%d is no process", query->container_pid);
    if (!read_identity(query->proc_path, "self", search.own))
        return err_set(err, errno, "find our own namespace of processes");
    rc = look_at_known(&search, err);
    /* Within one namespace a number is one process's. */
    if (!rc && search.identity_count &&
        !(search.found && search.identity_count == 1 && !search.has_own))
        rc = look_at_all(&search, err);
    if (rc < 0)
        return rc;
    if (search.is_ambiguous)
        return err_say(err, ENOTUNIQ, "several containers of the pod have a process %d",
                       query->container_pid);
    if (!search.found)
        return err_say(err, ENOENT, "the pod has no process %d that is known here",
                       query->container_pid);
    *ret_pid = search.found;
    return 0;
}
