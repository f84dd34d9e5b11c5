#include "hypervisor/user_groups.h"

#include "utils/attr.h"
#include "utils/clock.h"

#include <grp.h>
#include <pwd.h>
#include <stdlib.h>

#define ENTRY_SIZE   (1 << 16) /* of a user */
#define COUNT_FIRST  64
#define COUNT_MOST   65536 /* a process can be in no more */
#define KEPT_NS      (60 * NS_PER_SEC)
#define NOT_FOUND_NS (10 * NS_PER_SEC)

/* NULL: cannot be found; the caller frees it. */
static gid_t *ask_system(uid_t uid, size_t *ret_count)
{
    CLEANUP_FREE char *buffer = malloc(ENTRY_SIZE);
    struct passwd user, *found = NULL;
    gid_t *groups = NULL;
    int count = COUNT_FIRST, rc = -1;

    if (!buffer || getpwuid_r(uid, &user, buffer, ENTRY_SIZE, &found) || !found)
        return NULL;
    while (rc < 0 && count <= COUNT_MOST) {
        int room = count;

        free(groups);
        groups = malloc((size_t)room * sizeof(*groups));
        if (!groups)
            return NULL;
        rc = getgrouplist(user.pw_name, user.pw_gid, groups, &count);
        if (rc < 0 && count <= room)
            count = room * 2; /* it did not say how many */
    }
    if (rc < 0) {
        free(groups);
        return NULL;
    }
    *ret_count = (size_t)count;
    return groups;
}

/* The user's own place, else the one that is given up. */
static struct user_groups_kept *find_place(struct user_groups *groups, uid_t uid)
{
    struct user_groups_kept *oldest = &groups->kept[0];

    for (size_t i = 0; i < USER_GROUPS_KEPT; i++) {
        if (groups->kept[i].until_ns && groups->kept[i].uid == uid)
            return &groups->kept[i];
        if (groups->kept[i].until_ns < oldest->until_ns)
            oldest = &groups->kept[i];
    }
    return oldest;
}

bool user_groups_find(struct user_groups *groups, uid_t uid, uint64_t now_ns,
                      struct user_groups_list *ret_list)
{
    struct user_groups_kept *place = find_place(groups, uid);

    if (!place->until_ns || place->uid != uid || now_ns >= place->until_ns) {
        free(place->groups);
        *place = (struct user_groups_kept){.uid = uid};
        place->groups = ask_system(uid, &place->count);
        place->until_ns = now_ns + (place->groups ? KEPT_NS : NOT_FOUND_NS);
    }
    *ret_list = (struct user_groups_list){place->groups, place->count};
    return place->groups != NULL;
}

void user_groups_forget(struct user_groups *groups)
{
    for (size_t i = 0; i < USER_GROUPS_KEPT; i++)
        free(groups->kept[i].groups);
    *groups = (struct user_groups){0};
}
