#pragma once
/*
 * user_groups - the groups that a user is in. The system's answer may take long (LDAP) and is asked
 * for on the loop: it is kept for a minute, so that no user costs more than one answer a minute.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define USER_GROUPS_KEPT 64 /* users */

struct user_groups_list {
    const gid_t *groups; /* with the one of the user's entry; borrowed until the next question */
    size_t count;
};

/* All zero: nothing is kept. */
struct user_groups {
    struct user_groups_kept {
        uint64_t until_ns; /* CLOCK_MONOTONIC */
        uid_t uid;
        gid_t *groups; /* NULL: cannot be found */
        size_t count;
    } kept[USER_GROUPS_KEPT];
};

/* False: there is no such user, or the system does not answer; asked anew ten seconds later. */
bool user_groups_find(struct user_groups *groups, uid_t uid, uint64_t now_ns,
                      struct user_groups_list *ret_list);

/* Somebody may have changed them. */
void user_groups_forget(struct user_groups *groups);
