#include "hypervisor/membership.h"

#include "hypervisor/foreign.h"
#include "utils/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct member {
    int32_t pid;
    bool is_listed; /* by the newest update */
    uint64_t start_ticks;
    char tenant[64];
    char cgroup[CGROUP_PATH_MAX];
};

struct membership {
    const struct foreign_system *system;
    char own_cgroup[CGROUP_PATH_MAX]; /* ours; empty: not known */
    struct member *members;
    size_t count, room;
};

int membership_new(struct membership **ret_membership, const struct foreign_system *system,
                   struct err *err)
{
    struct membership *membership = calloc(1, sizeof(*membership));
    struct foreign_process self;

    if (!membership)
        return err_set(err, ENOMEM, "allocate the list of tenants' processes");
    membership->system = system;
    if (system->describe(system->context, getpid(), &self) == 0)
        memcpy(membership->own_cgroup, self.cgroup, sizeof(self.cgroup));
    *ret_membership = membership;
    return 0;
}

void membership_free(struct membership *membership)
{
    if (!membership)
        return;
    free(membership->members);
    free(membership);
}

static struct member *find(const struct membership *membership, pid_t pid)
{
    for (size_t i = 0; i < membership->count; i++)
        if (membership->members[i].pid == pid)
            return &membership->members[i];
    return NULL;
}

static struct member *add(struct membership *membership, pid_t pid)
{
    if (membership->count == membership->room) {
        size_t room = membership->room * 2 + 16;
        struct member *members = realloc(membership->members, room * sizeof(*members));

        if (!members)
            return NULL;
        membership->members = members;
        membership->room = room;
    }
    membership->members[membership->count] = (struct member){.pid = pid};
    return &membership->members[membership->count++];
}

/* One that is in a list; who it is is read once. */
static bool list_pid(struct membership *membership, const char *tenant, pid_t pid)
{
    struct member *member = find(membership, pid);
    struct foreign_process process;

    if (!member) {
        member = add(membership, pid);
        if (!member)
            return false;
        if (membership->system->describe(membership->system->context, pid, &process) == 0) {
            member->start_ticks = process.start_ticks;
            memcpy(member->cgroup, process.cgroup, sizeof(process.cgroup));
        }
    }
    member->is_listed = true;
    (void)str_format(member->tenant, sizeof(member->tenant), "%s", tenant); /* as long as names */
    return true;
}

static bool lives(const struct membership *membership, const struct member *member)
{
    struct foreign_process process;

    return membership->system->describe(membership->system->context, member->pid, &process) == 0 &&
           process.start_ticks == member->start_ticks;
}

bool membership_update(struct membership *membership, const struct foreign_input *input)
{
    bool is_complete = true;
    size_t kept = 0;

    for (size_t i = 0; i < membership->count; i++)
        membership->members[i].is_listed = false;
    for (size_t i = 0; i < input->tenant_count; i++)
        for (size_t j = 0; j < input->tenants[i].pid_count; j++)
            is_complete = list_pid(membership, input->tenants[i].name, input->tenants[i].pids[j]) &&
                          is_complete;
    for (size_t i = 0; i < membership->count; i++) {
        const struct member *member = &membership->members[i];

        if (member->is_listed || lives(membership, member))
            membership->members[kept++] = *member;
    }
    membership->count = kept;
    return is_complete;
}

bool membership_has(const struct membership *membership, pid_t pid)
{
    return find(membership, pid) != NULL;
}

/* Whether nobody but this tenant is in the group or below it. */
static bool is_own(const struct membership *membership, const struct member *owner)
{
    if (cgroup_path_is_in(membership->own_cgroup, owner->cgroup))
        return false;
    for (size_t i = 0; i < membership->count; i++)
        if (cgroup_path_is_in(membership->members[i].cgroup, owner->cgroup) &&
            !str_equals(membership->members[i].tenant, owner->tenant))
            return false;
    return true;
}

const char *membership_find_owner(const struct membership *membership, const char *cgroup)
{
    const struct member *nearest = NULL;

    for (size_t i = 0; i < membership->count; i++) {
        const struct member *member = &membership->members[i];

        if (cgroup_path_can_be_own(member->cgroup) && cgroup_path_is_in(cgroup, member->cgroup) &&
            (!nearest || strlen(member->cgroup) > strlen(nearest->cgroup)))
            nearest = member;
    }
    return nearest && is_own(membership, nearest) ? nearest->tenant : NULL;
}
