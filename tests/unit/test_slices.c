#include "tests/harness.h"
#include "tests/unit/control_loop.h"

#include <math.h>

#define JITTER_NS (50 * US)

static struct loop loop;

#define START(...)                                                                                 \
    start((const struct loop_tenant[]){__VA_ARGS__},                                               \
          sizeof((const struct loop_tenant[]){__VA_ARGS__}) / sizeof(struct loop_tenant))

static void start(const struct loop_tenant *tenants, size_t count)
{
    loop = (struct loop){.tenant_count = count, .jitter_ns = JITTER_NS};
    for (size_t i = 0; i < count; i++)
        loop.tenants[i] = tenants[i];
    loop_start(&loop);
    loop_run(&loop, SECOND);
    loop_measure(&loop, harness_is_full() ? 60 : 5);
}

static double share(size_t i)
{
    return loop.tenants[i].mean;
}

/* Of the two shares together. */
static void check_proportion(size_t a, size_t b, double wanted, double tolerance)
{
    CHECK_NEAR(100 * share(a) / (share(a) + share(b)), 100 * wanted, tolerance);
}

/* --- weights --- */

TEST(busy_tenants_share_by_weight)
{
    START({.weight = 1}, {.weight = 1});
    check_proportion(0, 1, 0.5, 0.5);
    CHECK(loop_sum(&loop) > 96);
    START({.weight = 1}, {.weight = 2}, {.weight = 4});
    check_proportion(0, 1, 1 / 3.0, 0.5);
    check_proportion(1, 2, 2 / 6.0, 0.5);
    CHECK(loop_sum(&loop) > 96);
    START({.weight = 100}, {.weight = 700});
    check_proportion(0, 1, 1 / 8.0, 0.5);
}

TEST(eight_busy_tenants_share_by_weight)
{
    START({.weight = 1}, {.weight = 2}, {.weight = 3}, {.weight = 4}, {.weight = 5}, {.weight = 6},
          {.weight = 7}, {.weight = 8});
    for (size_t i = 0; i < 8; i++)
        CHECK_NEAR(share(i) / loop_sum(&loop) * 100, (double)(i + 1) / 36 * 100, 0.5);
}

TEST(a_weight_of_1_beside_1000_is_little_and_not_nothing)
{
    START({.weight = 1}, {.weight = 1000});
    CHECK(share(0) > 0.1 && share(0) < 1);
    CHECK(share(1) > 96);
}

TEST(more_groups_gain_nothing)
{
    START({.weight = 1, .group_count = 8}, {.weight = 1});
    check_proportion(0, 1, 0.5, 1);
    START({.weight = 3, .group_count = 4}, {.weight = 1, .group_count = 2});
    check_proportion(0, 1, 0.75, 1);
}

TEST(what_an_idle_tenant_leaves_goes_to_the_others)
{
    START({.weight = 1}, {.weight = 1, .begin_ns = 3600 * SECOND});
    CHECK(share(0) > 99.5);
    START({.weight = 1}, {.weight = 1000, .kernel_ns = 5 * MS, .sleep_ns = 15 * MS});
    CHECK(share(1) > 18);
    CHECK(share(0) > 70);
}

/* --- priorities --- */

TEST(a_high_tenant_is_served_soon_beside_a_busy_one)
{
    START({.priority = LOOP_HIGH, .kernel_ns = 200 * US, .period_ns = 5 * MS}, {.weight = 1});
    CHECK(loop_delay_us(&loop.tenants[0], 99) < 700);
    CHECK_NEAR(share(1), 89.1, 1);
    START({.priority = LOOP_HIGH, .kernel_ns = 200 * US, .period_ns = 5 * MS},
          {.cap_milli_percent = 30000});
    CHECK(loop_delay_us(&loop.tenants[0], 99) < 800);
    CHECK_NEAR(share(1), 30, 0.7);
    START({.priority = LOOP_HIGH, .kernel_ns = 200 * US, .period_ns = 5 * MS},
          {.priority = LOOP_LOW});
    CHECK(loop_delay_us(&loop.tenants[0], 99) < 600);
}

/* A cap is a guarantee, whatever others' priority is. */
TEST(caps_are_reached_beside_a_high_tenant_that_is_always_busy)
{
    START({.priority = LOOP_HIGH}, {.cap_milli_percent = 20000});
    CHECK_NEAR(share(1), 20, 0.7);
    CHECK(loop_sum(&loop) > 80);
    START({.priority = LOOP_HIGH}, {.cap_milli_percent = 40000}, {.cap_milli_percent = 20000});
    CHECK_NEAR(share(1), 40, 0.7);
    CHECK_NEAR(share(2), 20, 0.7);
    CHECK(loop_sum(&loop) > 80);
    START({.priority = LOOP_HIGH}, {.cap_milli_percent = 40000, .group_count = 2},
          {.cap_milli_percent = 20000}, {.weight = 1}, {.weight = 3});
    CHECK_NEAR(share(1), 40, 0.7);
    CHECK_NEAR(share(2), 20, 0.7);
    CHECK(loop_sum(&loop) > 80);
    START({.priority = LOOP_HIGH, .cap_milli_percent = 50000}, {.cap_milli_percent = 30000},
          {.weight = 1});
    CHECK_NEAR(share(0), 50, 0.7);
    CHECK_NEAR(share(1), 30, 0.7);
}

TEST(a_slice_that_was_stretched_is_short_again_when_the_high_tenant_idles)
{
    START({.priority = LOOP_HIGH}, {.cap_milli_percent = 40000});
    CHECK_NEAR(share(1), 40, 0.7);
    loop_set_work(&loop, 0, 200 * US, 4800 * US);
    loop_run(&loop, SECOND);
    loop_measure(&loop, 5);
    CHECK_NEAR(share(1), 40, 0.7);
    CHECK(loop_delay_us(&loop.tenants[0], 99) < 800);
}

TEST(two_busy_tenants_beside_a_high_one_are_left_enough_to_work_with)
{
    START({.priority = LOOP_HIGH, .kernel_ns = 200 * US, .period_ns = 5 * MS}, {.weight = 1},
          {.weight = 1});
    CHECK(loop_delay_us(&loop.tenants[0], 99) < 3000);
    CHECK(loop_sum(&loop) > 78);
    check_proportion(1, 2, 0.5, 1);
}

TEST(a_high_tenant_that_is_idle_costs_nothing)
{
    START({.priority = LOOP_HIGH, .kernel_ns = US, .sleep_ns = 3600 * SECOND}, {.weight = 1},
          {.weight = 1});
    CHECK(loop_sum(&loop) > 97);
}

TEST(a_low_tenant_has_what_others_leave_and_is_not_starved)
{
    START({.weight = 1}, {.priority = LOOP_LOW});
    CHECK(share(0) > 94);
    CHECK(share(1) > 0.5 && share(1) < 2);
    START({.kernel_ns = 5 * MS, .sleep_ns = 5 * MS}, {.priority = LOOP_LOW});
    CHECK(share(0) > 47);
    CHECK(share(1) > 45);
}

TEST(low_tenants_alone_share_by_weight)
{
    START({.priority = LOOP_LOW, .weight = 3}, {.priority = LOOP_LOW, .weight = 1});
    check_proportion(0, 1, 0.75, 0.5);
    CHECK(loop_sum(&loop) > 96);
}

/* --- caps --- */

TEST(caps_beyond_the_whole_shrink_by_weight)
{
    START({.cap_milli_percent = 80000, .weight = 1}, {.cap_milli_percent = 80000, .weight = 3});
    check_proportion(0, 1, 0.25, 1);
    CHECK(loop_sum(&loop) > 96);
    START({.cap_milli_percent = 60000}, {.cap_milli_percent = 60000}, {.weight = 1});
    check_proportion(0, 1, 0.5, 1);
    CHECK(share(0) + share(1) > 94);
    CHECK(share(2) > 0.1); /* nothing is left, and it is not starved */
}

TEST(a_cap_below_its_part_of_the_whole_is_kept)
{
    START({.cap_milli_percent = 80000, .weight = 1}, {.cap_milli_percent = 80000, .weight = 3},
          {.cap_milli_percent = 5000, .weight = 1});
    check_proportion(0, 1, 0.25, 1);
    CHECK_NEAR(share(2), 5, 1);
}

TEST(a_low_tenant_takes_nothing_from_a_cap)
{
    START({.cap_milli_percent = 90000}, {.priority = LOOP_LOW, .weight = 1000});
    CHECK_NEAR(share(0), 90, 0.15);
}

TEST(free_tenants_beside_a_cap_share_by_weight_and_leave_it_its_due)
{
    START({.cap_milli_percent = 30000}, {.weight = 5}, {.weight = 20});
    CHECK_NEAR(share(0), 30, 0.3);
    check_proportion(1, 2, 0.2, 1);
    START({.cap_milli_percent = 50000}, {.weight = 10}, {.weight = 10});
    CHECK_NEAR(share(0), 50, 0.3);
    START({.cap_milli_percent = 40000}, {.cap_milli_percent = 40000}, {.weight = 100},
          {.weight = 300});
    CHECK_NEAR(share(0), 40, 0.3);
    CHECK_NEAR(share(1), 40, 0.3);
    check_proportion(2, 3, 0.25, 1);
}

TEST(a_high_cap_is_reached_beside_several_free_tenants)
{
    START({.cap_milli_percent = 95000}, {.weight = 1}, {.weight = 3});
    CHECK_NEAR(share(0), 95, 0.5);
    START({.cap_milli_percent = 90000}, {.weight = 1}, {.weight = 1}, {.weight = 1});
    CHECK_NEAR(share(0), 90, 0.5);
    START({.cap_milli_percent = 90000}, {.weight = 1, .group_count = 4});
    CHECK_NEAR(share(0), 90, 0.5);
}

TEST(the_weight_of_a_low_tenant_counts_among_low_ones_alone)
{
    START({.weight = 1}, {.priority = LOOP_LOW, .weight = 1000});
    CHECK(share(0) > 94);
    START({.weight = 1}, {.weight = 3}, {.priority = LOOP_LOW, .weight = 1000});
    check_proportion(0, 1, 0.25, 0.5);
    CHECK(share(2) < 2);
}

TEST(weights_hold_beside_a_high_tenant)
{
    START({.priority = LOOP_HIGH, .kernel_ns = 200 * US, .period_ns = 5 * MS}, {.weight = 1},
          {.weight = 3});
    check_proportion(1, 2, 0.25, 1.5);
    CHECK(loop_delay_us(&loop.tenants[0], 99) < 3000);
}

/* --- the plan by itself --- */

#define MANY 1000

static struct slices_tenant facts[MANY];
static struct slices_plan plans[MANY];

static void fill(size_t count, uint32_t cap_milli_percent)
{
    for (size_t i = 0; i < count; i++)
        facts[i] = (struct slices_tenant){.key = i * 7919 % MANY,
                                          .cap_milli_percent = cap_milli_percent,
                                          .weight = 1,
                                          .priority = SLICES_NORMAL,
                                          .busy_group_count = 1,
                                          .is_active = true};
}

static double calls_a_second(size_t count)
{
    double calls = 0;

    for (size_t i = 0; i < count; i++)
        if (plans[i].window_ns)
            calls += 2.0 * (double)SECOND / (double)plans[i].window_ns;
    return calls;
}

TEST(windows_grow_with_the_number_of_capped_tenants)
{
    for (size_t count = 1; count <= SLICES_TENANTS_MAX; count++) {
        fill(count, 1000);
        slices_plan(plans, facts, count);
        CHECK(calls_a_second(count) < SLICES_CALLS_PER_SECOND + 1e-6);
        CHECK(calls_a_second(count) > 0);
        for (size_t i = 0; i < count; i++)
            CHECK(100 * MS % plans[i].window_ns == 0 || plans[i].window_ns % (100 * MS) == 0);
    }
}

TEST(a_thousand_tenants_are_planned_for)
{
    fill(MANY, 30000);
    slices_plan(plans, facts, MANY);
    CHECK(calls_a_second(MANY) < SLICES_CALLS_PER_SECOND + 1e-6);
    for (size_t i = 0; i < MANY; i++) {
        CHECK(plans[i].slice_us > 0);
        CHECK(plans[i].cap_milli_percent > 0);
        CHECK(plans[i].entitled_milli_percent > 0);
    }
}

TEST(nobody_at_all_is_planned_for)
{
    slices_plan(NULL, NULL, 0);
}

/* Begin and end of a tenant's run in its window, as far as its cap lets it run. */
static bool overlap(const struct slices_plan *a, const struct slices_plan *b)
{
    uint64_t a_ns = a->window_ns / 1000 * a->cap_milli_percent / 100;
    uint64_t b_ns = b->window_ns / 1000 * b->cap_milli_percent / 100;
    uint64_t a_to_b = (b->phase_ns + b->window_ns - a->phase_ns) % a->window_ns;
    uint64_t b_to_a = (a->phase_ns + a->window_ns - b->phase_ns) % b->window_ns;

    return a_to_b + 1000 < a_ns || b_to_a + 1000 < b_ns;
}

TEST(the_runs_of_capped_tenants_do_not_overlap)
{
    for (size_t count = 2; count <= 10; count++) {
        fill(count, 0);
        for (size_t i = 0; i < count; i++)
            facts[i].cap_milli_percent = (uint32_t)(1000 + i * 2000);
        slices_plan(plans, facts, count);
        for (size_t i = 0; i < count; i++)
            for (size_t j = 0; j < i; j++)
                CHECK(!overlap(&plans[i], &plans[j]));
    }
}

TEST(every_planner_comes_to_the_same_plan)
{
    struct slices_plan others[6];

    fill(6, 20000);
    for (size_t i = 0; i < 6; i++)
        facts[i].weight = (uint32_t)(i + 1);
    slices_plan(plans, facts, 6);
    for (size_t i = 0; i < 3; i++) {
        struct slices_tenant other = facts[i];

        facts[i] = facts[5 - i];
        facts[5 - i] = other;
    }
    slices_plan(others, facts, 6);
    for (size_t i = 0; i < 6; i++) {
        CHECK_EQ(others[i].phase_ns, plans[5 - i].phase_ns);
        CHECK_EQ(others[i].cap_milli_percent, plans[5 - i].cap_milli_percent);
        CHECK_EQ(others[i].slice_us, plans[5 - i].slice_us);
    }
}

TEST(a_capped_slice_holds_the_budget_of_a_window)
{
    for (size_t count = 1; count <= 20; count++) {
        for (uint32_t cap = 100; cap <= 90000 / count; cap += 900) {
            fill(count, cap);
            slices_plan(plans, facts, count);
            CHECK(plans[0].slice_us * 100 >= plans[0].window_ns / 1000 * cap / 1000);
        }
    }
}

TEST(caps_in_force_are_never_beyond_the_whole)
{
    uint64_t random = 88172645463325252u;

    for (int round = 0; round < 2000; round++) {
        size_t count = 1 + random % SLICES_TENANTS_MAX;
        uint64_t sum = 0;

        fill(count, 0);
        for (size_t i = 0; i < count; i++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            facts[i].cap_milli_percent = (uint32_t)(1 + random % SLICES_NO_CAP);
            facts[i].weight = (uint32_t)(1 + (random >> 20) % 1000);
            facts[i].is_active = random >> 40 & 1;
            facts[i].busy_group_count = (uint32_t)(random >> 44 & 15);
            facts[i].priority = (enum slices_priority)((random >> 50) % 3);
        }
        slices_plan(plans, facts, count);
        for (size_t i = 0; i < count; i++) {
            CHECK(plans[i].cap_milli_percent > 0);
            CHECK(plans[i].cap_milli_percent <= facts[i].cap_milli_percent);
            CHECK(plans[i].slice_us >= 50 && plans[i].slice_us <= 100000);
            CHECK(plans[i].phase_ns < plans[i].window_ns || !plans[i].window_ns);
            if (facts[i].cap_milli_percent < SLICES_NO_CAP)
                sum += plans[i].cap_milli_percent;
        }
        CHECK(sum <= SLICES_NO_CAP);
    }
}
