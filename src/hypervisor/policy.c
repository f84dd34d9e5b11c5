#include "hypervisor/policy.h"

#include <errno.h>

#define GIB (1024.0 * 1024.0 * 1024.0)

static const struct policy_rule everything = {
    .priority = REGION_HIGH,
    .may_be_unlimited = true,
};

static bool has_group(const struct policy_subject *subject, uint32_t id)
{
    if (subject->gid == id)
        return true;
    for (size_t i = 0; i < subject->group_count; i++)
        if (subject->groups[i] == id)
            return true;
    return false;
}

static bool matches(const struct policy_rule *rule, const struct policy_subject *subject)
{
    if (rule->who == POLICY_USER)
        return subject->uid == rule->id;
    return rule->who == POLICY_EVERYONE || has_group(subject, rule->id);
}

const struct policy_rule *policy_find(const struct policy *policy,
                                      const struct policy_subject *subject)
{
    for (size_t i = 0; i < policy->count; i++) {
        if (matches(&policy->rules[i], subject))
            return &policy->rules[i];
        if (subject->is_partial && policy->rules[i].who == POLICY_GROUP)
            return NULL; /* it might have matched */
    }
    return NULL;
}

bool policy_has_groups(const struct policy *policy)
{
    for (size_t i = 0; i < policy->count; i++)
        if (policy->rules[i].who == POLICY_GROUP)
            return true;
    return false;
}

static int judge_memory(const struct policy_rule *rule, const struct policy_wish_gpu *gpu,
                        struct err *err)
{
    uint64_t bound_bytes = rule->memory.bytes;

    if (rule->memory.milli_percent) /* a card's bytes are far below 2^64 / 10^5 */
        bound_bytes = gpu->card_bytes * rule->memory.milli_percent / 100000;
    if (gpu->memory_bytes == REGION_NO_LIMIT && (bound_bytes || !rule->may_be_unlimited))
        return err_say(err, EPERM, "you may not run without a memory limit here");
    if (bound_bytes && gpu->memory_bytes > bound_bytes)
        return err_say(err, EPERM,
                       "your tenants may have %.3f GiB of a GPU's memory together, and would have "
                       "%.3f GiB",
                       (double)bound_bytes / GIB, (double)gpu->memory_bytes / GIB);
    return 0;
}

static int judge_compute(const struct policy_rule *rule, const struct policy_wish_gpu *gpu,
                         struct err *err)
{
    if (!rule->compute_milli_percent || gpu->compute_milli_percent <= rule->compute_milli_percent)
        return 0;
    return err_say(err, EPERM,
                   "your tenants may have %.3f %% of a GPU's time together, and would have %.3f %% "
                   "(without a cap: all of it)",
                   rule->compute_milli_percent / 1000.0, (double)gpu->compute_milli_percent / 1000);
}

static int judge_tenant(const struct policy_rule *rule, const struct policy_wish *wish,
                        struct err *err)
{
    uint32_t most = rule->tenants ? rule->tenants : POLICY_TENANTS_DEFAULT;

    if (rule->weight && wish->weight > rule->weight)
        return err_say(err, EPERM, "your tenants' weight is at most %u, not %u", rule->weight,
                       wish->weight);
    if (wish->priority > (uint32_t)rule->priority)
        return err_say(err, EPERM, "your tenants' priority is at most %s",
                       region_priority_word((uint32_t)rule->priority));
    if (wish->tenants > most)
        return err_say(err, EPERM, "you may have %u tenant%s at a time", most,
                       most == 1 ? "" : "s");
    return 0;
}

int policy_judge(const struct policy *policy, const struct policy_subject *subject,
                 const struct policy_wish *wish, struct err *err)
{
    const struct policy_rule *rule = policy_find(policy, subject);
    int rc;

    if (!rule && subject->is_partial && policy_has_groups(policy))
        return err_say(err, EPERM,
                       "rules for groups decide here, and your groups cannot be found out");
    if (!rule)
        rule = &everything;
    if (rule->is_denied)
        return err_say(err, EPERM, "you may not run tenants here");
    rc = judge_tenant(rule, wish, err);
    for (size_t i = 0; !rc && i < wish->gpu_count; i++) {
        rc = judge_memory(rule, &wish->gpus[i], err);
        if (!rc)
            rc = judge_compute(rule, &wish->gpus[i], err);
    }
    return rc;
}

bool policy_may_exceed(const struct policy *policy, const struct policy_subject *subject)
{
    const struct policy_rule *rule = policy_find(policy, subject);

    return rule && rule->may_exceed;
}
