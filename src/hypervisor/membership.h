#pragma once
/*
 * membership - who belongs to which tenant, and to which a process belongs that none has
 * registered. Remembers who was a tenant's (with the start time, so that a pid that is used again
 * is another process) for as long as it lives.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>
#include <sys/types.h>

struct foreign_input;
struct foreign_system;
struct membership;

/* The system is borrowed. */
int membership_new(struct membership **ret_membership, const struct foreign_system *system,
                   struct err *err) MUST_CHECK;
void membership_free(struct membership *membership);

/* Takes the tenants of an update over. Without memory the newest are not remembered: false. */
bool membership_update(struct membership *membership, const struct foreign_input *input) MUST_CHECK;

bool membership_has(const struct membership *membership, pid_t pid);

/*
 * The name of the tenant whose own a control group is, and that of a group above it; NULL where it
 * is nobody's alone, or where we are in it ourselves.
 */
const char *membership_find_owner(const struct membership *membership, const char *cgroup);
