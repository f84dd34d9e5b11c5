#include "hypervisor/membership.h"

#include "hypervisor/foreign.h"
#include "utils/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct member {
    int32_t pid;
    bool is_listed;   /* by the newest update */
    bool is_observed; /* somebody else's supervisor says so */
    bool is_claimed;  /* ... of a process that is not its user's: a member of nothing */
    uint64_t start_ticks;
    uid_t uid;
    char tenant[64];
    char cgroup[CGROUP_PATH_MAX];
};

struct membership {
    const struct foreign_system *system;
    char own_cgroup[CGROUP_PATH_MAX]; /* ours; empty: not known */
    struct member *members;
    size_t count, room;
    uint32_t *slots; /* by pid: a member's place and one, or 0; twice as many as there is room */
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
    free(membership->slots);
    free(membership);
}

/* --- by pid --- */

/* The slot of a pid, or the empty one where it goes; there is always one. */
static uint32_t *find_slot(const struct membership *membership, pid_t pid)
{
    size_t mask = 2 * membership->room - 1; /* a power of two less one */
    size_t at = (uint32_t)pid * UINT32_C(2654435761) & mask;

    while (membership->slots[at] && membership->members[membership->slots[at] - 1].pid != pid)
        at = (at + 1) & mask;
    return &membership->slots[at];
}

static struct member *find(const struct membership *membership, pid_t pid)
{
    uint32_t place = membership->room ? *find_slot(membership, pid) : 0;

    return place ? &membership->members[place - 1] : NULL;
}

static void index_all(struct membership *membership)
{
    if (membership->slots)
        memset(membership->slots, 0, 2 * membership->room * sizeof(*membership->slots));
    for (size_t i = 0; i < membership->count; i++)
        *find_slot(membership, membership->members[i].pid) = (uint32_t)i + 1;
}

static bool grow(struct membership *membership)
{
    size_t room = membership->room ? 2 * membership->room : 16;
    uint32_t *slots = calloc(2 * room, sizeof(*slots));
    struct member *members = slots ? realloc(membership->members, room * sizeof(*members)) : NULL;

    if (!members) {
        free(slots);
        return false;
    }
    free(membership->slots);
    membership->slots = slots;
    membership->members = members;
    membership->room = room;
    index_all(membership);
    return true;
}

static struct member *add(struct membership *membership, pid_t pid)
{
    if (membership->count == membership->room && !grow(membership))
        return NULL;
    membership->members[membership->count] = (struct member){.pid = pid};
    *find_slot(membership, pid) = (uint32_t)membership->count + 1;
    return &membership->members[membership->count++];
}

/* --- who is listed --- */

static void describe(const struct membership *membership, struct member *member)
{
    struct foreign_process process;

    member->uid = (uid_t)-1;
    if (membership->system->describe(membership->system->context, member->pid, &process) < 0)
        return;
    member->start_ticks = process.start_ticks;
    member->uid = process.uid;
    memcpy(member->cgroup, process.cgroup, sizeof(process.cgroup));
}

/* One that is in a list of ours; who it is is read once. */
static bool list_pid(struct membership *membership, const struct foreign_tenant *tenant, pid_t pid)
{
    struct member *member = find(membership, pid);

    if (!member) {
        member = add(membership, pid);
        if (!member)
            return false;
        describe(membership, member);
    }
    member->is_listed = true;
    member->is_observed = false;
    member->is_claimed = false;
    (void)str_format(member->tenant, sizeof(member->tenant), "%s",
                     tenant->name); /* as long as names */
    return true;
}

/*
 * One that somebody else's supervisor lists, which may say what it likes: who is one of ours stays
 * so, and who has the pid now is looked at in each update.
 */
static bool list_claimed(struct membership *membership, const struct foreign_tenant *tenant,
                         pid_t pid)
{
    struct member *member = find(membership, pid);

    if (member && !member->is_observed)
        return true;
    if (!member)
        member = add(membership, pid);
    if (!member)
        return false;
    if (!member->is_listed) {
        describe(membership, member);
        member->is_claimed = true;
    }
    member->is_listed = true;
    member->is_observed = true;
    if (member->uid != tenant->uid || member->uid == (uid_t)-1)
        return true;
    member->is_claimed = false;
    (void)str_format(member->tenant, sizeof(member->tenant), "%s",
                     tenant->name); /* as long as names */
    return true;
}

static bool list_tenant(struct membership *membership, const struct foreign_tenant *tenant)
{
    bool is_complete = true;

    for (size_t i = 0; i < tenant->pid_count; i++) {
        pid_t pid = tenant->pids[i];

        is_complete = (tenant->is_observed ? list_claimed(membership, tenant, pid)
                                           : list_pid(membership, tenant, pid)) &&
                      is_complete;
    }
    return is_complete;
}

static bool lives(const struct membership *membership, const struct member *member)
{
    struct foreign_process process;

    return !member->is_claimed &&
           membership->system->describe(membership->system->context, member->pid, &process) == 0 &&
           process.start_ticks == member->start_ticks;
}

bool membership_update(struct membership *membership, const struct foreign_input *input)
{
    bool is_complete = true;
    size_t kept = 0;

    for (size_t i = 0; i < membership->count; i++)
        membership->members[i].is_listed = false;
    /* Ours first: what others say is beside it. */
    for (size_t i = 0; i < input->tenant_count; i++)
        if (!input->tenants[i].is_observed)
            is_complete = list_tenant(membership, &input->tenants[i]) && is_complete;
    for (size_t i = 0; i < input->tenant_count; i++)
        if (input->tenants[i].is_observed)
            is_complete = list_tenant(membership, &input->tenants[i]) && is_complete;
    for (size_t i = 0; i < membership->count; i++) {
        const struct member *member = &membership->members[i];

        if (member->is_listed || lives(membership, member))
            membership->members[kept++] = *member;
    }
    membership->count = kept;
    index_all(membership);
    return is_complete;
}

bool membership_has(const struct membership *membership, pid_t pid)
{
    const struct member *member = find(membership, pid);

    return member && !member->is_claimed;
}

/* Whether nobody but this tenant is in the group or below it. */
static bool is_own(const struct membership *membership, const struct member *owner)
{
    if (cgroup_path_is_in(membership->own_cgroup, owner->cgroup))
        return false;
    for (size_t i = 0; i < membership->count; i++)
        if (!membership->members[i].is_claimed &&
            cgroup_path_is_in(membership->members[i].cgroup, owner->cgroup) &&
            !str_equals(membership->members[i].tenant, owner->tenant))
            return false;
    return true;
}

const char *membership_find_owner(const struct membership *membership, const char *cgroup)
{
    const struct member *nearest = NULL;

    for (size_t i = 0; i < membership->count; i++) {
        const struct member *member = &membership->members[i];

        if (!member->is_claimed && cgroup_path_can_be_own(member->cgroup) &&
            cgroup_path_is_in(cgroup, member->cgroup) &&
            (!nearest || strlen(member->cgroup) > strlen(nearest->cgroup)))
            nearest = member;
    }
    return nearest && is_own(membership, nearest) ? nearest->tenant : NULL;
}
