#pragma once
/*
 * admit - whether somebody may have what is asked for: the configuration's policy says what each
 * user may have (policy.h), and what is guaranteed to all has to fit (admission.h).
 */
#include "supervisor/tenant.h"
#include "utils/attr.h"
#include "utils/err.h"
#include "utils/list.h"

struct keeper;
struct policy;
struct request;
struct request_caller;
struct user_groups;

/* What there is; all of it borrowed. */
struct admit {
    const struct gpus_card *cards;
    uint32_t card_count;
    uint32_t lost_mask;         /* bits of nvml_index */
    const struct list *keepers; /* of struct keeper: what is reserved */
    const struct list *waiting; /* of struct waiting: those before whom nobody is served */
    const struct policy *policy;
    struct user_groups *groups; /* what is known of them; asked where a rule is for a group */
};

/*
 * A new tenant: fills in all of it but the name. -ENOSPC: not now; -EPERM, -EINVAL: never; all with
 * words for the person. `waiter`: the node in `waiting` of the one that asks, or its head.
 */
int admit_create(const struct admit *admit, const struct request *request,
                 const struct list *waiter, struct tenant *ret_tenant, struct err *err) MUST_CHECK;

/*
 * New limits for a tenant that is there. Who asks for no more of anything is not refused, whatever
 * the policy has become and whatever else was promised meanwhile.
 */
int admit_change(const struct admit *admit, const struct request *request,
                 const struct keeper *keeper, struct err *err) MUST_CHECK;
