#pragma once
/*
 * policy - what each user may ask for: an ordered list of rules, of which the first that matches a
 * user decides, alone. Where none matches, or there are none, all is allowed but to exceed the
 * guarantees, and to have more than 64 tenants.
 *
 * Bounds are for all tenants of one user together, on each GPU for itself. An operator is not asked
 * (request.h).
 */
#include "ipc/region.h"
#include "utils/attr.h"
#include "utils/err.h"
#include "utils/parse.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define POLICY_RULES_MAX       256
#define POLICY_TENANTS_DEFAULT 64 /* each costs a process of root's, and is watched */

enum policy_who { POLICY_EVERYONE, POLICY_USER, POLICY_GROUP };

struct policy_rule {
    enum policy_who who;
    uint32_t id;   /* uid or gid */
    char name[64]; /* as it was written; of EVERYONE empty */
    unsigned int line;
    bool is_denied;
    struct parse_size memory;       /* largest sum of memory limits on a GPU; all 0: no bound */
    uint32_t compute_milli_percent; /* largest sum of caps on a GPU; 0: no bound */
    uint32_t weight;                /* largest; 0: no bound */
    uint32_t tenants;               /* largest number of tenants at a time; 0: the default */
    int priority;                   /* enum region_priority: the highest */
    bool may_exceed;                /* the sum of guarantees may be larger than the card */
    bool may_be_unlimited;          /* a tenant without a memory limit is allowed */
};

struct policy {
    size_t count;
    struct policy_rule rules[POLICY_RULES_MAX];
};

/* Whose wish it is. */
struct policy_subject {
    uid_t uid;
    gid_t gid;
    const gid_t *groups; /* the others; borrowed */
    size_t group_count;
    bool is_partial; /* they could not be found: no rule that comes after one for a group decides */
};

/* What there would be if the wish was granted: all tenants of the user, this one with them. */
struct policy_wish_gpu {
    uint64_t card_bytes;            /* the card's memory */
    uint64_t memory_bytes;          /* sum of memory limits, REGION_NO_LIMIT: one has none */
    uint64_t compute_milli_percent; /* sum of caps; one without a cap counts as 100000 */
};

struct policy_wish {
    struct policy_wish_gpu gpus[REGION_GPUS_MAX]; /* those that this tenant may use */
    size_t gpu_count;
    uint32_t weight;   /* of this tenant */
    uint32_t priority; /* enum region_priority, of this tenant */
    uint32_t tenants;  /* number of tenants of the user, with this one and those that wait */
};

/* The rule that decides for somebody, NULL where none does or that is not known. */
const struct policy_rule *policy_find(const struct policy *policy,
                                      const struct policy_subject *subject);

/* Whether a rule is for a group: otherwise nobody's groups matter. */
bool policy_has_groups(const struct policy *policy);

/* 0, or -EPERM with words for the person who asked. */
int policy_judge(const struct policy *policy, const struct policy_subject *subject,
                 const struct policy_wish *wish, struct err *err) MUST_CHECK;

/* Whether the user's guarantees may be larger than what is left of a card. */
bool policy_may_exceed(const struct policy *policy, const struct policy_subject *subject);
