#include "tests/harness.h"

#include "hypervisor/admit.h"
#include "hypervisor/keeper.h"
#include "hypervisor/policy.h"
#include "hypervisor/request.h"
#include "hypervisor/user_groups.h"
#include "hypervisor/waiting.h"
#include "utils/str.h"

#include <errno.h>
#include <string.h>

#define GIB     (UINT64_C(1) << 30)
#define NOBODY  4294967000u /* a user that is in no list of users */
#define OTHER   4294967001u
#define KEEPERS 4

static struct {
    struct gpus_card cards[2];
    struct policy policy;
    struct keeper keepers[KEEPERS];
    uint32_t keeper_count;
    struct list keeper_list, waiting_list;
    struct user_groups groups;
    struct admit admit;
    struct request request;
    struct waiting waiting;
    struct request waiting_request;
    struct tenant made;
    struct err err;
} at;

static void start(void)
{
    user_groups_forget(&at.groups);
    memset(&at, 0, sizeof(at));
    list_init(&at.keeper_list);
    list_init(&at.waiting_list);
    for (uint32_t i = 0; i < 2; i++) {
        at.cards[i].nvml_index = i;
        at.cards[i].memory_bytes = 80 * GIB;
        (void)str_format(at.cards[i].uuid, sizeof(at.cards[i].uuid), "GPU-%u", i);
    }
    at.admit = (struct admit){.cards = at.cards,
                              .card_count = 2,
                              .keepers = &at.keeper_list,
                              .waiting = &at.waiting_list,
                              .policy = &at.policy,
                              .groups = &at.groups};
    at.request = (struct request){.name = "new", .caller = {.uid = NOBODY, .gid = NOBODY}};
}

/* A tenant on GPU 0. */
static struct keeper *add_keeper(uint32_t uid, uint64_t memory_bytes, uint32_t cap)
{
    struct keeper *keeper = &at.keepers[at.keeper_count++];

    tenant_init(&keeper->tenant, "there");
    keeper->tenant.uid = uid;
    keeper->tenant.gpu_count = 2;
    memcpy(keeper->tenant.cards, at.cards, sizeof(at.cards));
    for (uint32_t i = 0; i < 2; i++)
        keeper->tenant.quotas[i] = (struct tenant_quota){.memory_bytes = memory_bytes,
                                                         .cap_milli_percent = cap,
                                                         .weight = 2,
                                                         .priority = REGION_NORMAL,
                                                         .is_allowed = i == 0};
    list_append(&at.keeper_list, &keeper->node);
    return keeper;
}

static void wait_for(uint32_t gpu_mask)
{
    at.waiting_request = (struct request){.name = "waits", .gpu_mask = gpu_mask};
    at.waiting.request = &at.waiting_request;
    list_append(&at.waiting_list, &at.waiting.node);
}

static void ask_memory(uint64_t bytes)
{
    at.request.limits.fields = MESSAGE_SET_MEMORY;
    at.request.limits.gpu_mask = UINT32_MAX;
    at.request.limits.memory_bytes = bytes;
}

static void ask_cap(uint32_t cap)
{
    at.request.limits.fields = MESSAGE_SET_COMPUTE;
    at.request.limits.gpu_mask = UINT32_MAX;
    at.request.limits.cap_milli_percent = cap;
}

static int create(void)
{
    return admit_create(&at.admit, &at.request, &at.waiting_list, &at.made, &at.err);
}

static int change(const struct keeper *keeper)
{
    return admit_change(&at.admit, &at.request, keeper, &at.err);
}

static void rule(struct policy_rule rule)
{
    rule.priority = rule.priority ? rule.priority : REGION_HIGH;
    at.policy.rules[at.policy.count++] = rule;
}

/* --- new ones --- */

TEST(a_new_tenant_is_filled_in_for_its_caller)
{
    start();
    ask_memory(10 * GIB);
    at.request.on_loss = REGION_CLOSED;
    at.request.is_kept = true;
    at.request.gpu_mask = 2;
    CHECK_OK(create(), &at.err);
    CHECK_STR_EQ(at.made.name, "new");
    CHECK_EQ(at.made.uid, NOBODY);
    CHECK_EQ(at.made.on_loss, REGION_CLOSED);
    CHECK_EQ(at.made.is_kept, 1);
    CHECK_EQ(at.made.gpu_count, 2);
    CHECK_EQ(at.made.quotas[0].is_allowed, 0);
    CHECK_EQ(at.made.quotas[1].is_allowed, 1);
    CHECK_EQ(at.made.quotas[1].memory_bytes, 10 * GIB);
    CHECK_EQ(at.made.quotas[1].cap_milli_percent, 100000);
    CHECK_EQ(at.made.quotas[1].weight, 1);
}

TEST(what_is_guaranteed_to_all_has_to_fit)
{
    start();
    (void)add_keeper(OTHER, 50 * GIB, 60000);
    at.request.gpu_mask = 1;
    ask_memory(30 * GIB);
    CHECK_OK(create(), &at.err);
    ask_memory(31 * GIB);
    CHECK_EQ(create(), -ENOSPC);
    CHECK(strstr(at.err.text, "GPU 0"));
    ask_cap(40001);
    CHECK_EQ(create(), -ENOSPC);
    ask_cap(40000);
    CHECK_OK(create(), &at.err);
    at.request.gpu_mask = 0;
    ask_memory(31 * GIB);
    CHECK_OK(create(), &at.err);
    CHECK_EQ(at.made.quotas[1].is_allowed, 1);
}

TEST(a_lost_gpu_takes_nobody)
{
    start();
    at.admit.lost_mask = 1;
    ask_memory(GIB);
    CHECK_OK(create(), &at.err);
    CHECK_EQ(at.made.quotas[0].is_allowed, 0);
    at.request.gpu_mask = 1;
    CHECK_EQ(create(), -ENOSPC);
}

TEST(limits_that_cannot_be_are_refused)
{
    start();
    ask_memory(0);
    CHECK_EQ(create(), -EINVAL);
    ask_cap(0);
    CHECK_EQ(create(), -EINVAL);
    at.request.limits =
        (struct message_set){.fields = MESSAGE_SET_WEIGHT, .weight = 1001, .gpu_mask = UINT32_MAX};
    CHECK_EQ(create(), -EINVAL);
    at.request.limits = (struct message_set){
        .fields = MESSAGE_SET_MEMORY, .memory_milli_percent = 100001, .gpu_mask = UINT32_MAX};
    CHECK_EQ(create(), -EINVAL);
}

/* --- those who wait --- */

TEST(nobody_overtakes_who_waits_for_the_same_gpu)
{
    start();
    wait_for(1);
    ask_memory(GIB);
    CHECK_OK(create(), &at.err);
    CHECK_EQ(at.made.quotas[0].is_allowed, 0); /* GPU 0 is left to the one that waits */
    at.request.gpu_mask = 1;
    CHECK_EQ(create(), -ENOSPC);
    CHECK_EQ(admit_create(&at.admit, &at.request, &at.waiting.node, &at.made, &at.err), 0);
}

TEST(who_waits_for_any_gpu_does_not_close_all_of_them)
{
    start();
    (void)add_keeper(OTHER, 70 * GIB, 100000);
    wait_for(0);
    at.waiting_request.limits =
        (struct message_set){.fields = MESSAGE_SET_MEMORY, .memory_bytes = 75 * GIB};
    ask_memory(GIB);
    at.request.gpu_mask = 2; /* where it would have its place */
    CHECK_EQ(create(), -ENOSPC);
    at.request.gpu_mask = 1;
    CHECK_OK(create(), &at.err);
    at.cards[1].memory_bytes = 40 * GIB; /* which can never serve it */
    at.request.gpu_mask = 2;
    CHECK_OK(create(), &at.err);
    at.request.gpu_mask = 1;
    CHECK_EQ(create(), -ENOSPC);
}

TEST(an_operator_overtakes_users_and_no_other_operator)
{
    start();
    wait_for(1);
    at.request.gpu_mask = 1;
    at.request.caller.is_operator = true;
    CHECK_OK(create(), &at.err);
    at.waiting_request.caller.is_operator = true;
    CHECK_EQ(create(), -ENOSPC);
}

/* --- the policy --- */

TEST(the_policy_bounds_what_a_user_has_in_all)
{
    start();
    rule((struct policy_rule){.who = POLICY_USER,
                              .id = NOBODY,
                              .memory = {.bytes = 20 * GIB},
                              .compute_milli_percent = 150000,
                              .may_be_unlimited = true});
    (void)add_keeper(NOBODY, 15 * GIB, 100000);
    (void)add_keeper(OTHER, 15 * GIB, 100000);
    at.request.gpu_mask = 1;
    ask_memory(5 * GIB);
    at.request.limits.fields |= MESSAGE_SET_COMPUTE;
    at.request.limits.cap_milli_percent = 50000;
    CHECK_OK(create(), &at.err);
    ask_memory(6 * GIB);
    at.request.limits.fields |= MESSAGE_SET_COMPUTE;
    CHECK_EQ(create(), -EPERM);
    CHECK(strstr(at.err.text, "GiB"));
    ask_memory(5 * GIB); /* without a cap: 200 % */
    CHECK_EQ(create(), -EPERM);
    at.request.caller.is_operator = true;
    CHECK_OK(create(), &at.err);
}

TEST(what_is_forbidden_does_not_wait_for_room)
{
    start();
    rule((struct policy_rule){.who = POLICY_EVERYONE, .memory = {.bytes = 20 * GIB}});
    (void)add_keeper(OTHER, 70 * GIB, 100000);
    at.request.gpu_mask = 1;
    ask_memory(30 * GIB);
    CHECK_EQ(create(), -EPERM);
    ask_memory(20 * GIB);
    CHECK_EQ(create(), -ENOSPC);
}

TEST(what_is_forbidden_on_each_gpu_does_not_wait_for_any)
{
    start();
    rule((struct policy_rule){.who = POLICY_EVERYONE, .memory = {.milli_percent = 25000}});
    at.cards[1].memory_bytes = 100 * GIB;
    (void)add_keeper(OTHER, 70 * GIB, 100000);
    (void)add_keeper(OTHER, 80 * GIB, 100000);
    at.keepers[1].tenant.quotas[0].is_allowed = 0;
    at.keepers[1].tenant.quotas[1].is_allowed = 1;
    ask_memory(26 * GIB);
    CHECK_EQ(create(), -EPERM);
    ask_memory(25 * GIB); /* allowed on the larger one */
    CHECK_EQ(create(), -ENOSPC);
}

TEST(tenants_are_counted_for_each_user)
{
    start();
    rule((struct policy_rule){.who = POLICY_EVERYONE, .tenants = 2, .may_be_unlimited = true});
    (void)add_keeper(OTHER, GIB, 1000);
    (void)add_keeper(NOBODY, GIB, 1000);
    CHECK_OK(create(), &at.err);
    (void)add_keeper(NOBODY, GIB, 1000);
    CHECK_EQ(create(), -EPERM);
}

TEST(those_of_a_user_that_wait_are_counted)
{
    start();
    rule((struct policy_rule){.who = POLICY_EVERYONE, .tenants = 2, .may_be_unlimited = true});
    (void)add_keeper(NOBODY, GIB, 1000);
    at.request.gpu_mask = 2;
    wait_for(1);
    at.waiting_request.caller.uid = OTHER;
    CHECK_OK(create(), &at.err);
    at.waiting_request.caller.uid = NOBODY;
    CHECK_EQ(create(), -EPERM);
    /* The one that waits is asked about again: it is itself, and no other. */
    CHECK_EQ(admit_create(&at.admit, &at.request, &at.waiting.node, &at.made, &at.err), 0);
}

TEST(a_rule_for_a_group_is_stepped_around_by_nobody)
{
    start();
    rule(
        (struct policy_rule){.who = POLICY_GROUP, .id = 0, .may_be_unlimited = true, .tenants = 1});
    rule((struct policy_rule){.who = POLICY_EVERYONE, .is_denied = true});
    CHECK_EQ(create(), -EPERM); /* a user without an entry */
    CHECK(strstr(at.err.text, "cannot be found out"));
    at.request.caller =
        (struct request_caller){.uid = 0, .gid = NOBODY}; /* runs in another group */
    CHECK_OK(create(), &at.err);
    (void)add_keeper(0, GIB, 1000);
    CHECK_EQ(create(), -EPERM);
    CHECK(strstr(at.err.text, "1 tenant"));
    user_groups_forget(&at.groups);
}

TEST(who_may_exceed_is_the_policy_s_to_say)
{
    start();
    (void)add_keeper(OTHER, 80 * GIB, 100000);
    at.request.gpu_mask = 1;
    ask_memory(10 * GIB);
    at.request.caller.is_operator = true;
    CHECK_EQ(create(), -ENOSPC);
    rule((struct policy_rule){.who = POLICY_USER, .id = NOBODY, .may_exceed = true});
    CHECK_OK(create(), &at.err);
}

/* --- changes --- */

TEST(a_change_has_to_fit_beside_the_others)
{
    struct keeper *keeper;

    start();
    (void)add_keeper(OTHER, 50 * GIB, 60000);
    keeper = add_keeper(NOBODY, 10 * GIB, 10000);
    ask_memory(30 * GIB);
    CHECK_OK(change(keeper), &at.err);
    ask_memory(30 * GIB + 1);
    CHECK_EQ(change(keeper), -ENOSPC);
    ask_memory(81 * GIB);
    CHECK_EQ(change(keeper), -EINVAL);
    ask_cap(40000);
    CHECK_OK(change(keeper), &at.err);
    ask_cap(40001);
    CHECK_EQ(change(keeper), -ENOSPC);
}

TEST(who_asks_for_no_more_is_never_refused)
{
    struct keeper *keeper;

    start();
    (void)add_keeper(OTHER, 80 * GIB, 90000);
    keeper = add_keeper(NOBODY, 40 * GIB, 40000); /* more than is there: somebody exceeded */
    rule((struct policy_rule){.who = POLICY_EVERYONE, .memory = {.bytes = GIB}, .tenants = 1});
    at.admit.lost_mask = 1;
    ask_memory(30 * GIB);
    CHECK_OK(change(keeper), &at.err);
    ask_memory(40 * GIB);
    CHECK_OK(change(keeper), &at.err);
    ask_cap(30000);
    CHECK_OK(change(keeper), &at.err);
    at.request.limits =
        (struct message_set){.fields = MESSAGE_SET_WEIGHT, .weight = 1, .gpu_mask = UINT32_MAX};
    CHECK_OK(change(keeper), &at.err);
    at.request.limits.weight = 3;
    CHECK_EQ(change(keeper), -EPERM);
    ask_memory(41 * GIB);
    CHECK(change(keeper) < 0);
}

TEST(a_limit_where_there_was_none_is_a_new_guarantee)
{
    struct keeper *keeper;

    start();
    (void)add_keeper(OTHER, 50 * GIB, 60000);
    keeper = add_keeper(NOBODY, REGION_NO_LIMIT, 100000);
    ask_memory(30 * GIB);
    CHECK_OK(change(keeper), &at.err);
    ask_memory(31 * GIB);
    CHECK_EQ(change(keeper), -ENOSPC);
    ask_cap(41000);
    CHECK_EQ(change(keeper), -ENOSPC);
}

TEST(lifting_a_limit_asks_the_policy_alone)
{
    struct keeper *keeper;

    start();
    (void)add_keeper(OTHER, 80 * GIB, 90000);
    keeper = add_keeper(NOBODY, 10 * GIB, 10000);
    ask_memory(REGION_NO_LIMIT);
    CHECK_OK(change(keeper), &at.err);
    rule((struct policy_rule){.who = POLICY_EVERYONE});
    CHECK_EQ(change(keeper), -EPERM);
}

TEST(a_gpu_that_the_tenant_may_not_use_is_not_asked_for_room)
{
    struct keeper *keeper;

    start();
    at.admit.lost_mask = 2;
    keeper = add_keeper(NOBODY, 10 * GIB, 10000); /* on GPU 0 */
    ask_memory(20 * GIB);
    CHECK_OK(change(keeper), &at.err);
}

/* --- what is promised and not in force --- */

TEST(what_was_promised_a_moment_ago_is_not_promised_twice)
{
    struct message_set set = {
        .fields = MESSAGE_SET_MEMORY, .gpu_mask = UINT32_MAX, .memory_bytes = 45 * GIB};
    struct keeper *first, *second;

    start();
    first = add_keeper(NOBODY, 10 * GIB, 10000);
    second = add_keeper(NOBODY, 10 * GIB, 10000);
    at.request.limits = set;
    CHECK_OK(change(first), &at.err);
    promise_add(&first->promise, &first->tenant, &set, 0);
    CHECK_EQ(change(second), -ENOSPC);
    ask_cap(80000);
    CHECK_OK(change(second), &at.err);
}

TEST(a_promise_counts_for_the_policy_too)
{
    struct message_set set = {
        .fields = MESSAGE_SET_MEMORY, .gpu_mask = UINT32_MAX, .memory_bytes = 20 * GIB};
    struct keeper *first, *second;

    start();
    rule((struct policy_rule){.who = POLICY_EVERYONE, .memory = {.bytes = 30 * GIB}});
    first = add_keeper(NOBODY, 10 * GIB, 10000);
    second = add_keeper(NOBODY, 10 * GIB, 10000);
    at.request.limits = set;
    CHECK_OK(change(first), &at.err);
    promise_add(&first->promise, &first->tenant, &set, 0);
    CHECK_EQ(change(second), -EPERM);
}

TEST(a_smaller_promise_frees_nothing_before_it_is_kept)
{
    struct message_set set = {
        .fields = MESSAGE_SET_MEMORY, .gpu_mask = UINT32_MAX, .memory_bytes = GIB};
    struct keeper *first;

    start();
    first = add_keeper(OTHER, 50 * GIB, 10000);
    promise_add(&first->promise, &first->tenant, &set, 0);
    at.request.gpu_mask = 1;
    ask_memory(31 * GIB);
    CHECK_EQ(create(), -ENOSPC);
}

TEST(the_larger_of_two_promises_is_reserved_and_the_last_is_what_the_user_has)
{
    struct message_set more = {
        .fields = MESSAGE_SET_MEMORY, .gpu_mask = UINT32_MAX, .memory_bytes = 40 * GIB};
    struct message_set none = {
        .fields = MESSAGE_SET_MEMORY, .gpu_mask = UINT32_MAX, .memory_bytes = REGION_NO_LIMIT};
    struct message_set weight = {.fields = MESSAGE_SET_WEIGHT, .gpu_mask = UINT32_MAX, .weight = 7};
    struct keeper *first;

    start();
    first = add_keeper(NOBODY, 8 * GIB, 10000);
    promise_add(&first->promise, &first->tenant, &more, 1);
    promise_add(&first->promise, &first->tenant, &weight, 2);
    promise_add(&first->promise, &first->tenant, &none, 3);
    CHECK_EQ(first->promise.most[0].memory_bytes, 40 * GIB);
    CHECK_EQ(first->promise.last[0].memory_bytes, REGION_NO_LIMIT);
    CHECK_EQ(first->promise.last[0].weight, 7);
    at.request.gpu_mask = 1;
    ask_memory(41 * GIB);
    CHECK_EQ(create(), -ENOSPC);
    promise_keep(&first->promise, 0, &first->tenant.quotas[0], 4); /* from before them, perhaps */
    CHECK_EQ(create(), -ENOSPC);
    promise_keep(&first->promise, 0, &first->tenant.quotas[0], UINT64_MAX);
    CHECK_OK(create(), &at.err);
}

/* --- numbers that cannot be --- */

TEST(limits_that_add_up_beyond_any_number_leave_no_room)
{
    start();
    (void)add_keeper(OTHER, UINT64_C(1) << 63, 100000);
    (void)add_keeper(OTHER, UINT64_C(1) << 63, 100000);
    at.request.gpu_mask = 1;
    ask_memory(GIB);
    CHECK_EQ(create(), -ENOSPC);
}

TEST(cards_beyond_the_mask_are_no_card_of_it)
{
    start();
    at.cards[0].nvml_index = 32;
    at.cards[1].nvml_index = 33;
    at.admit.lost_mask = 3;
    at.request.gpu_mask = 1;
    CHECK_EQ(create(), -EINVAL);
    at.request.gpu_mask = 0;
    CHECK(create() < 0);
}

TEST(a_card_is_known_by_its_uuid_whatever_number_it_had)
{
    struct keeper *keeper;

    start();
    keeper = add_keeper(NOBODY, 50 * GIB, 60000); /* on GPU-0, which was number 1 then */
    keeper->tenant.cards[0].nvml_index = 1;
    keeper->tenant.cards[1].nvml_index = 0;
    at.request.gpu_mask = 1;
    ask_memory(31 * GIB);
    CHECK_EQ(create(), -ENOSPC);
    CHECK(strstr(at.err.text, "GPU 0"));
    at.request.gpu_mask = 2;
    CHECK_OK(create(), &at.err);
    rule((struct policy_rule){
        .who = POLICY_EVERYONE, .memory = {.bytes = 60 * GIB}, .may_be_unlimited = true});
    CHECK_OK(create(), &at.err);
    at.request.gpu_mask = 1;
    ask_memory(20 * GIB);
    CHECK_EQ(create(), -EPERM); /* 70 GiB of GPU-0 */
}
