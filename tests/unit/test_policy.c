#include "hypervisor/policy.h"

#include "tests/harness.h"

#include <errno.h>
#include <string.h>

#define GIB (UINT64_C(1) << 30)

static const struct policy_rule anything = {.priority = REGION_HIGH, .may_be_unlimited = true};

static struct policy policy;

/* The policy has one more rule, with nothing forbidden yet. */
static struct policy_rule *add(enum policy_who who, uint32_t id)
{
    struct policy_rule *rule = &policy.rules[policy.count++];

    *rule = anything;
    rule->who = who;
    rule->id = id;
    return rule;
}

static struct policy_rule *only(enum policy_who who, uint32_t id)
{
    policy.count = 0;
    return add(who, id);
}

static struct policy_wish modest(void)
{
    return (struct policy_wish){
        .gpus = {{.card_bytes = 80 * GIB, .memory_bytes = 8 * GIB, .compute_milli_percent = 30000},
                 {.card_bytes = 40 * GIB, .memory_bytes = 8 * GIB, .compute_milli_percent = 20000}},
        .gpu_count = 2,
        .weight = 1,
        .priority = REGION_NORMAL,
        .tenants = 1,
    };
}

static const gid_t groups[] = {50, 60};
static const struct policy_subject alice = {
    .uid = 1000, .gid = 100, .groups = groups, .group_count = 2};

static int judge(const struct policy_wish *wish, const char *words)
{
    struct err err = {0};
    int rc = policy_judge(&policy, &alice, wish, &err);

    if (rc < 0 && !strstr(err.text, words))
        CHECK_STR_EQ(err.text, words);
    return rc;
}

TEST(without_a_rule_all_is_allowed_but_to_exceed)
{
    struct policy_wish wish = modest();

    policy.count = 0;
    wish.gpus[0].memory_bytes = REGION_NO_LIMIT;
    wish.gpus[0].compute_milli_percent = 100000;
    wish.priority = REGION_HIGH;
    wish.weight = 1000;
    wish.tenants = 64;
    CHECK_EQ(judge(&wish, ""), 0);
    CHECK(!policy_may_exceed(&policy, &alice));
    only(POLICY_USER, 1001)->is_denied = true;
    CHECK_EQ(judge(&wish, ""), 0);
    CHECK(policy_find(&policy, &alice) == NULL);
}

TEST(the_first_rule_that_matches_decides_alone)
{
    struct policy_wish wish = modest();

    (void)only(POLICY_USER, 1000);
    add(POLICY_EVERYONE, 0)->is_denied = true;
    CHECK_EQ(judge(&wish, ""), 0);
    only(POLICY_EVERYONE, 0)->is_denied = true;
    (void)add(POLICY_USER, 1000);
    CHECK_EQ(judge(&wish, "may not run tenants here"), -EPERM);
    CHECK(policy_find(&policy, &alice) == &policy.rules[0]);
}

TEST(a_group_is_the_first_or_any_other)
{
    struct policy_wish wish = modest();
    static const gid_t all[] = {100, 50, 60};

    for (int i = 0; i < 3; i++) {
        only(POLICY_GROUP, all[i])->is_denied = true;
        CHECK_EQ(judge(&wish, "may not"), -EPERM);
    }
    only(POLICY_GROUP, 1000)->is_denied = true; /* a user's number is no group's */
    CHECK_EQ(judge(&wish, ""), 0);
    only(POLICY_USER, 100)->is_denied = true;
    CHECK_EQ(judge(&wish, ""), 0);
}

TEST(memory_is_bounded_in_bytes_on_each_gpu)
{
    struct policy_wish wish = modest();

    only(POLICY_EVERYONE, 0)->memory.bytes = 8 * GIB;
    CHECK_EQ(judge(&wish, ""), 0);
    wish.gpus[1].memory_bytes = 8 * GIB + 1;
    CHECK_EQ(judge(&wish, "8.000 GiB of a GPU's memory"), -EPERM);
    wish.gpu_count = 1; /* the second is not its own any more */
    CHECK_EQ(judge(&wish, ""), 0);
    wish.gpus[0].memory_bytes = REGION_NO_LIMIT;
    CHECK_EQ(judge(&wish, "without a memory limit"), -EPERM);
}

TEST(memory_is_bounded_as_a_part_of_each_card)
{
    struct policy_wish wish = modest();

    only(POLICY_EVERYONE, 0)->memory.milli_percent = 20000; /* 16 and 8 GiB */
    CHECK_EQ(judge(&wish, ""), 0);
    wish.gpus[0].memory_bytes = 16 * GIB;
    CHECK_EQ(judge(&wish, ""), 0);
    wish.gpus[0].memory_bytes = 16 * GIB + 1;
    CHECK_EQ(judge(&wish, "16.000 GiB"), -EPERM);
    wish = modest();
    wish.gpus[1].memory_bytes = 8 * GIB + 1;
    CHECK_EQ(judge(&wish, "8.000 GiB"), -EPERM);
}

TEST(a_memory_limit_may_be_asked_for_without_a_bound_on_it)
{
    struct policy_wish wish = modest();

    only(POLICY_EVERYONE, 0)->may_be_unlimited = false;
    CHECK_EQ(judge(&wish, ""), 0);
    wish.gpus[1].memory_bytes = REGION_NO_LIMIT;
    CHECK_EQ(judge(&wish, "without a memory limit"), -EPERM);
}

TEST(time_is_bounded_and_no_cap_is_all_of_it)
{
    struct policy_wish wish = modest();

    only(POLICY_EVERYONE, 0)->compute_milli_percent = 30000;
    CHECK_EQ(judge(&wish, ""), 0);
    wish.gpus[1].compute_milli_percent = 30001;
    CHECK_EQ(judge(&wish, "30.000 % of a GPU's time together, and would have 30.001 %"), -EPERM);
    wish.gpus[1].compute_milli_percent = 100000;
    CHECK_EQ(judge(&wish, "without a cap"), -EPERM);
    only(POLICY_EVERYONE, 0)->compute_milli_percent = 100000;
    CHECK_EQ(judge(&wish, ""), 0);
}

TEST(weight_priority_and_number_are_bounded)
{
    struct policy_wish wish = modest();
    struct policy_rule *rule = only(POLICY_EVERYONE, 0);

    rule->weight = 10;
    wish.weight = 10;
    CHECK_EQ(judge(&wish, ""), 0);
    wish.weight = 11;
    CHECK_EQ(judge(&wish, "weight is at most 10, not 11"), -EPERM);
    wish = modest();
    rule->priority = REGION_NORMAL;
    CHECK_EQ(judge(&wish, ""), 0);
    wish.priority = REGION_HIGH;
    CHECK_EQ(judge(&wish, "priority is at most normal"), -EPERM);
    wish = modest();
    rule->priority = REGION_LOW;
    CHECK_EQ(judge(&wish, "priority is at most low"), -EPERM);
    wish = modest();
    rule->priority = REGION_HIGH;
    rule->tenants = 1;
    CHECK_EQ(judge(&wish, ""), 0);
    wish.tenants = 2;
    CHECK_EQ(judge(&wish, "you may have 1 tenant at a time"), -EPERM);
}

TEST(without_a_bound_there_is_one_on_the_number)
{
    struct policy_wish wish = modest();

    policy.count = 0;
    wish.tenants = 65;
    CHECK_EQ(judge(&wish, "you may have 64 tenants at a time"), -EPERM);
    (void)only(POLICY_EVERYONE, 0);
    CHECK_EQ(judge(&wish, "you may have 64 tenants at a time"), -EPERM);
    only(POLICY_EVERYONE, 0)->tenants = 65; /* which a rule raises */
    CHECK_EQ(judge(&wish, ""), 0);
}

TEST(a_rule_for_a_group_decides_for_nobody_whose_groups_are_not_known)
{
    struct policy_subject bob = {.uid = 1001, .gid = 100, .is_partial = true};
    struct policy_wish wish = modest();
    struct err err;

    (void)only(POLICY_USER, 1001);
    add(POLICY_GROUP, 50)->is_denied = true;
    add(POLICY_EVERYONE, 0)->may_exceed = true;
    CHECK_EQ(policy_judge(&policy, &bob, &wish, &err), 0);
    bob.uid = 1002;
    CHECK_EQ(policy_judge(&policy, &bob, &wish, &err), -EPERM);
    CHECK(strstr(err.text, "cannot be found out"));
    CHECK(!policy_may_exceed(&policy, &bob));
    bob.gid = 50; /* this much is known */
    CHECK_EQ(policy_judge(&policy, &bob, &wish, &err), -EPERM);
    CHECK(strstr(err.text, "may not run tenants"));
    bob.gid = 100;
    (void)only(POLICY_USER, 1001);
    CHECK_EQ(policy_judge(&policy, &bob, &wish, &err), 0); /* no rule is for a group */
}

TEST(who_may_exceed_is_said_by_the_rule_that_decides)
{
    only(POLICY_GROUP, 60)->may_exceed = true;
    (void)add(POLICY_USER, 1000);
    CHECK(policy_may_exceed(&policy, &alice));
    (void)only(POLICY_USER, 1000);
    add(POLICY_GROUP, 60)->may_exceed = true;
    CHECK(!policy_may_exceed(&policy, &alice));
}
