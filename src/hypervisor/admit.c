#include "hypervisor/admit.h"

#include "hypervisor/admission.h"
#include "hypervisor/keeper.h"
#include "hypervisor/policy.h"
#include "hypervisor/request.h"
#include "hypervisor/user_groups.h"
#include "hypervisor/waiting.h"
#include "utils/clock.h"
#include "utils/str.h"

#include <errno.h>

#define NO_CAP 100000u

static const struct waiting *waiting_at(const struct list *node)
{
    return CONTAINER_OF((struct list *)(uintptr_t)node, struct waiting, node);
}

/* --- what is reserved --- */

static void reserve(struct admission_gpu *gpus, const struct admit *admit,
                    const struct keeper *keeper)
{
    const struct tenant *tenant = &keeper->tenant;

    for (uint32_t i = 0; i < tenant->gpu_count; i++) {
        const struct tenant_quota both =
            promise_larger(&tenant->quotas[i], &keeper->promise.most[i]);
        const struct tenant_quota *quota = &both;

        for (uint32_t j = 0; j < admit->card_count && quota->is_allowed; j++) {
            if (!str_equals(admit->cards[j].uuid, tenant->cards[i].uuid))
                continue; /* its index was another one perhaps, when the tenant was made */
            gpus[j].tenant_count++;
            if (quota->memory_bytes != REGION_NO_LIMIT)
                gpus[j].reserved_bytes = admission_sum(gpus[j].reserved_bytes, quota->memory_bytes);
            if (quota->cap_milli_percent < NO_CAP)
                gpus[j].reserved_milli_percent += quota->cap_milli_percent;
        }
    }
}

static void survey_gpus(struct admission_gpu *gpus, const struct admit *admit,
                        const struct keeper *except)
{
    for (uint32_t i = 0; i < admit->card_count; i++)
        gpus[i] = (struct admission_gpu){
            .nvml_index = admit->cards[i].nvml_index,
            .memory_bytes = admit->cards[i].memory_bytes,
            .is_usable = !(admit->lost_mask & admission_bit(admit->cards[i].nvml_index)),
        };
    LIST_EACH(node, admit->keepers)
    {
        const struct keeper *keeper = CONTAINER_OF(node, struct keeper, node);

        if (keeper != except)
            reserve(gpus, admit, keeper);
    }
}

static struct admission_wish wish_of(const struct request *request)
{
    const struct message_set *limits = &request->limits;
    bool has_memory = limits->fields & MESSAGE_SET_MEMORY;

    return (struct admission_wish){
        .memory_bytes = has_memory ? limits->memory_bytes : REGION_NO_LIMIT,
        .memory_milli_percent = has_memory ? limits->memory_milli_percent : 0,
        .cap_milli_percent =
            limits->fields & MESSAGE_SET_COMPUTE ? limits->cap_milli_percent : NO_CAP,
        .gpu_mask = request->gpu_mask,
    };
}

/*
 * Nobody overtakes somebody who waits for the same GPU; but no user's wait keeps an operator from
 * it.
 */
static void leave_to_waiters(struct admission_gpu *gpus, const struct admit *admit,
                             const struct request *request, const struct list *waiter)
{
    for (const struct list *node = admit->waiting->next; node != admit->waiting && node != waiter;
         node = node->next) {
        const struct request *other = waiting_at(node)->request;
        struct admission_wish wish = wish_of(other);

        if (other->caller.is_operator || !request->caller.is_operator)
            admission_wait(gpus, admit->card_count, &wish);
    }
}

/* --- what the policy says --- */

struct subject {
    struct policy_subject who;
    uint32_t waiting; /* how many of it wait already */
};

/* `waiter` as admit_create()'s; NULL: those that wait do not matter. */
static struct subject find_subject(const struct admit *admit, const struct request_caller *caller,
                                   const struct list *waiter)
{
    /* The group that it runs in, which it may have chosen, is one, and takes none of them away. */
    struct subject subject = {.who = {.uid = caller->uid, .gid = caller->gid}};
    struct user_groups_list list;

    for (const struct list *node = waiter ? admit->waiting->next : waiter; node != waiter;
         node = node->next)
        subject.waiting += waiting_at(node)->request->caller.uid == caller->uid;
    if (!policy_has_groups(admit->policy)) /* asking for them may take long */
        return subject;
    subject.who.is_partial = !user_groups_find(admit->groups, caller->uid, clock_now_ns(), &list);
    subject.who.groups = list.groups;
    subject.who.group_count = list.count;
    return subject;
}

static uint64_t larger_of(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* What the user would have on this card, this tenant with it. */
static void sum_up(struct policy_wish_gpu *sum, const struct tenant *tenant,
                   const struct tenant_quota *promised, const struct gpus_card *card)
{
    for (uint32_t i = 0; i < tenant->gpu_count; i++) {
        const struct tenant_quota *quota = &tenant->quotas[i], *soon = &promised[i];

        if (!quota->is_allowed || !str_equals(tenant->cards[i].uuid, card->uuid))
            continue;
        /* The sum is at its end where somebody has no limit. */
        sum->memory_bytes =
            admission_sum(sum->memory_bytes, larger_of(quota->memory_bytes, soon->memory_bytes));
        sum->compute_milli_percent += larger_of(quota->cap_milli_percent, soon->cap_milli_percent);
    }
}

static void add_gpu(struct policy_wish *wish, const struct admit *admit,
                    const struct tenant *tenant, const struct keeper *except, uint32_t slot)
{
    const struct gpus_card *card = &tenant->cards[slot];
    struct policy_wish_gpu *sum = &wish->gpus[wish->gpu_count++];

    *sum = (struct policy_wish_gpu){.card_bytes = card->memory_bytes};
    sum_up(sum, tenant, tenant->quotas, card);
    LIST_EACH(node, admit->keepers)
    {
        const struct keeper *keeper = CONTAINER_OF(node, struct keeper, node);

        if (keeper != except && keeper->tenant.uid == tenant->uid)
            sum_up(sum, &keeper->tenant, keeper->promise.last, card);
    }
}

static uint32_t count_tenants(const struct admit *admit, uint32_t uid, const struct keeper *except)
{
    uint32_t count = 1; /* this one */

    LIST_EACH(node, admit->keepers)
    {
        const struct keeper *keeper = CONTAINER_OF(node, struct keeper, node);

        count += keeper != except && keeper->tenant.uid == uid;
    }
    return count;
}

static int judge_policy(const struct admit *admit, const struct subject *subject,
                        const struct tenant *tenant, const struct keeper *except, struct err *err)
{
    struct policy_wish wish = {.tenants =
                                   count_tenants(admit, tenant->uid, except) + subject->waiting};

    for (uint32_t i = 0; i < tenant->gpu_count; i++) {
        const struct tenant_quota *quota = &tenant->quotas[i];

        if (!quota->is_allowed)
            continue;
        if (quota->weight > wish.weight)
            wish.weight = quota->weight;
        if (quota->priority > wish.priority)
            wish.priority = quota->priority;
        add_gpu(&wish, admit, tenant, except, i);
    }
    return policy_judge(admit->policy, &subject->who, &wish, err);
}

/* --- both together --- */

static int fill_tenant(struct tenant *tenant, const struct admit *admit,
                       const struct request *request, uint32_t mask, struct err *err)
{
    struct message_set limits = request->limits;

    tenant_init(tenant, request->name);
    tenant->uid = request->caller.uid == (uid_t)-1 ? 0 : request->caller.uid;
    tenant->on_loss = request->on_loss;
    tenant->is_kept = request->is_kept;
    tenant->gpu_count = admit->card_count;
    for (uint32_t i = 0; i < admit->card_count; i++) {
        tenant->cards[i] = admit->cards[i];
        tenant->quotas[i] = (struct tenant_quota){
            .memory_bytes = REGION_NO_LIMIT,
            .cap_milli_percent = NO_CAP,
            .weight = 1,
            .priority = REGION_NORMAL,
            .is_allowed = (mask & admission_bit(admit->cards[i].nvml_index)) != 0};
    }
    limits.gpu_mask = UINT32_MAX;
    return tenant_change(tenant, &limits, err);
}

/* One that would take any of these, and has none yet: whether all of them are forbidden. */
static int judge_any(const struct admit *admit, const struct subject *subject,
                     const struct request *request, uint32_t possible, struct err *err)
{
    struct tenant tenant;
    int rc = 0;

    for (uint32_t bit = 1; bit; bit <<= 1) {
        if (!(possible & bit))
            continue;
        rc = fill_tenant(&tenant, admit, request, bit, err);
        if (!rc)
            rc = judge_policy(admit, subject, &tenant, NULL, err);
        if (!rc)
            break;
    }
    return rc;
}

int admit_create(const struct admit *admit, const struct request *request,
                 const struct list *waiter, struct tenant *ret_tenant, struct err *err)
{
    struct admission_gpu gpus[REGION_GPUS_MAX];
    struct admission_wish wish = wish_of(request);
    const struct subject subject = find_subject(admit, &request->caller, waiter);
    struct err forbidden;
    uint32_t mask = 0;
    int rc, judged;

    wish.may_exceed = policy_may_exceed(admit->policy, &subject.who);
    survey_gpus(gpus, admit, NULL);
    leave_to_waiters(gpus, admit, request, waiter);
    rc = admission_decide(gpus, admit->card_count, &wish, &mask, err);
    mask = mask ? mask : wish.gpu_mask;
    if (fill_tenant(ret_tenant, admit, request, mask, err) < 0)
        return -EINVAL;
    if (request->caller.is_operator || (rc && rc != -ENOSPC))
        return rc;
    /* What is never allowed need not wait for room. */
    judged = mask ? judge_policy(admit, &subject, ret_tenant, NULL, &forbidden)
                  : judge_any(admit, &subject, request,
                              admission_possible(gpus, admit->card_count, &wish), &forbidden);
    if (judged < 0)
        *err = forbidden;
    return judged < 0 ? judged : rc;
}

/* What a policy bounds: without a limit, or without a cap, it is the most. */
static bool may_use_more(const struct tenant *tenant, const struct tenant *old)
{
    for (uint32_t i = 0; i < tenant->gpu_count; i++) {
        const struct tenant_quota *now = &tenant->quotas[i], *before = &old->quotas[i];

        if (now->is_allowed && (now->memory_bytes > before->memory_bytes ||
                                now->cap_milli_percent > before->cap_milli_percent ||
                                now->weight > before->weight || now->priority > before->priority))
            return true;
    }
    return false;
}

/*
 * Whether there is room for what is guaranteed anew. What it has is its own: who asks for no more
 * is not asked for room, neither on a full GPU nor on one that is lost.
 */
static int find_room(const struct admit *admit, const struct keeper *keeper,
                     const struct tenant *tenant, bool may_exceed, struct err *err)
{
    struct admission_gpu gpus[REGION_GPUS_MAX];
    int rc = 0;

    survey_gpus(gpus, admit, keeper);
    for (uint32_t i = 0; !rc && i < tenant->gpu_count; i++) {
        const struct tenant_quota *quota = &tenant->quotas[i], *old = &keeper->tenant.quotas[i];
        bool has_memory = promise_is_more_memory(quota, old);
        bool has_time = promise_is_more_time(quota, old);
        struct admission_wish wish = {
            .memory_bytes = has_memory ? quota->memory_bytes : REGION_NO_LIMIT,
            .cap_milli_percent = has_time ? quota->cap_milli_percent : NO_CAP,
            .gpu_mask = admission_bit(tenant->cards[i].nvml_index),
            .may_exceed = may_exceed,
        };
        uint32_t mask;

        if (quota->is_allowed && (has_memory || has_time))
            rc = admission_decide(gpus, admit->card_count, &wish, &mask, err);
    }
    return rc;
}

int admit_change(const struct admit *admit, const struct request *request,
                 const struct keeper *keeper, struct err *err)
{
    struct tenant tenant = keeper->tenant;
    const struct subject subject = find_subject(admit, &request->caller, NULL);
    int rc = tenant_change(&tenant, &request->limits, err);

    if (rc < 0)
        return rc;
    rc = find_room(admit, keeper, &tenant, policy_may_exceed(admit->policy, &subject.who), err);
    if (!rc && !request->caller.is_operator && may_use_more(&tenant, &keeper->tenant))
        rc = judge_policy(admit, &subject, &tenant, keeper, err);
    return rc;
}
