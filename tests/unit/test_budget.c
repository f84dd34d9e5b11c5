#include "tests/harness.h"
#include "tests/unit/control_loop.h"

/* The bars are those of docs/design/control-law.md, in points. */
#define MEAN_BAR        0.15
#define MEAN_IDLE_BAR   0.3
#define MEAN_GROUPS_BAR 0.4 /* the save that is taken off, at 160 intervals a second */
#define SPREAD_BAR      0.5
#define SPREAD_IDLE_BAR 0.7
#define WORK_BAR        97.0 /* of the GPU, when everybody is busy */
#define JITTER_NS       (50 * US)
#define WINDOW_NS       (20 * MS)

static struct loop loop;

static uint64_t seconds(void)
{
    return harness_is_full() ? 60 : 5;
}

/* The tenants are in the braces, those without a cap are free. */
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
}

/* On to where both windows and spans begin. */
static void align(void)
{
    loop_run(&loop, 100 * MS - loop.gpu.now_ns % (100 * MS));
}

static void check_tenant(size_t i, double mean_bar, double spread_bar)
{
    const struct loop_tenant *tenant = &loop.tenants[i];

    CHECK_NEAR(tenant->mean, tenant->cap_milli_percent / 1000.0, mean_bar);
    CHECK_NEAR(tenant->deviation, 0, spread_bar);
}

static void check_capped(void)
{
    loop_measure(&loop, seconds());
    for (size_t i = 0; i < loop.tenant_count; i++)
        if (loop.tenants[i].is_capped)
            check_tenant(i, MEAN_BAR, SPREAD_BAR);
}

/* --- what a cap gives --- */

TEST(alone_a_tenant_gets_its_cap)
{
    for (uint32_t cap = 5; cap <= 95; cap += 5) {
        START({.cap_milli_percent = cap * 1000});
        check_capped();
    }
}

TEST(beside_a_busy_one_a_tenant_gets_its_cap_and_the_rest_is_not_lost)
{
    for (uint32_t cap = 5; cap <= 95; cap += 5) {
        START({.cap_milli_percent = cap * 1000}, {.weight = 1});
        check_capped();
        CHECK(loop_sum(&loop) > WORK_BAR);
    }
}

TEST(kernels_of_20_ms_are_stopped_in_their_midst)
{
    START({.cap_milli_percent = 30000, .kernel_ns = 20 * MS}, {.kernel_ns = 20 * MS});
    check_capped();
}

TEST(short_kernels_are_counted_as_well)
{
    START({.cap_milli_percent = 30000, .kernel_ns = 1 * MS}, {.kernel_ns = 1 * MS});
    check_capped();
}

TEST(two_capped_tenants_get_their_caps)
{
    START({.cap_milli_percent = 30000}, {.cap_milli_percent = 50000});
    check_capped();
    START({.cap_milli_percent = 30000}, {.cap_milli_percent = 50000}, {.weight = 1});
    check_capped();
    CHECK(loop_sum(&loop) > WORK_BAR);
}

TEST(three_capped_tenants_get_their_caps_beside_a_free_one)
{
    START({.cap_milli_percent = 10000, .weight = 1}, {.cap_milli_percent = 20000, .weight = 2},
          {.cap_milli_percent = 30000, .weight = 3}, {.weight = 4});
    check_capped();
    CHECK(loop_sum(&loop) > WORK_BAR);
}

TEST(ten_capped_tenants_get_their_caps)
{
    START({.cap_milli_percent = 4000}, {.cap_milli_percent = 5000}, {.cap_milli_percent = 6000},
          {.cap_milli_percent = 7000}, {.cap_milli_percent = 8000}, {.cap_milli_percent = 9000},
          {.cap_milli_percent = 10000}, {.cap_milli_percent = 11000}, {.cap_milli_percent = 12000},
          {.cap_milli_percent = 13000}, {.weight = 1});
    check_capped();
}

TEST(more_groups_give_a_capped_tenant_no_more)
{
    START({.cap_milli_percent = 30000, .group_count = 4}, {.weight = 1});
    loop_measure(&loop, seconds());
    check_tenant(0, MEAN_GROUPS_BAR, SPREAD_BAR);
    START({.cap_milli_percent = 30000}, {.group_count = 8});
    check_capped();
}

TEST(one_that_idles_by_itself_gets_its_cap_beside_a_busy_one)
{
    START({.cap_milli_percent = 50000, .kernel_ns = 6 * MS, .sleep_ns = 4 * MS}, {.weight = 1});
    loop_measure(&loop, seconds());
    check_tenant(0, MEAN_IDLE_BAR, SPREAD_IDLE_BAR);
}

TEST(one_that_comes_and_goes_disturbs_no_cap)
{
    START({.cap_milli_percent = 40000}, {.kernel_ns = 300 * MS, .sleep_ns = 700 * MS});
    loop_measure(&loop, seconds());
    CHECK_NEAR(loop.tenants[0].mean, 40, MEAN_BAR);
    CHECK_NEAR(loop.tenants[0].deviation, 0, SPREAD_IDLE_BAR);
}

/* --- changes --- */

/* Of each of the law's own windows; the first may have to pay for what was before the change. */
static void check_windows(double share)
{
    loop_run(&loop, WINDOW_NS - loop.gpu.now_ns % WINDOW_NS);
    loop_measure_spans(&loop, WINDOW_NS, 1);
    CHECK_NEAR(loop.tenants[0].mean, share, 8);
    loop_measure_spans(&loop, WINDOW_NS, 6);
    CHECK_NEAR(loop.tenants[0].least, share, 2.5);
    CHECK_NEAR(loop.tenants[0].most, share, 2.5);
}

TEST(a_changed_cap_is_in_force_before_the_next_window)
{
    for (uint64_t offset_ns = 0; offset_ns < WINDOW_NS; offset_ns += WINDOW_NS / 8) {
        START({.cap_milli_percent = 20000}, {.weight = 1});
        loop_run(&loop, offset_ns);
        loop_set_cap(&loop, 0, 80000);
        check_windows(80);
        loop_run(&loop, offset_ns);
        loop_set_cap(&loop, 0, 20000);
        check_windows(20);
    }
}

TEST(a_cap_raised_while_off_puts_the_tenant_on_at_once)
{
    START({.cap_milli_percent = 20000});
    loop_run(&loop, WINDOW_NS / 2 - loop.gpu.now_ns % WINDOW_NS);
    loop_set_cap(&loop, 0, 90000);
    loop_measure_spans(&loop, WINDOW_NS / 2, 1);
    CHECK_NEAR(loop.tenants[0].mean, 70, 5); /* of it was 20 % paid, and used, before */
}

TEST(what_a_change_is_worth_is_paid_once)
{
    START({.cap_milli_percent = 20000}, {.weight = 1});
    for (int i = 0; i < 50; i++) {
        loop_set_cap(&loop, 0, i % 2 ? 20000 : 60000);
        loop_run(&loop, 40 * MS + (uint64_t)i * 100 * US);
    }
    align();
    check_capped();
}

TEST(a_cap_that_is_changed_all_the_time_gives_the_mean_of_the_caps)
{
    double sum = 0;

    START({.cap_milli_percent = 20000}, {.weight = 1});
    for (int i = 0; i < 100; i++) {
        loop_set_cap(&loop, 0, i % 2 ? 20000 : 60000);
        loop_measure_spans(&loop, 7 * MS, 1);
        sum += loop.tenants[0].mean;
    }
    CHECK_NEAR(sum / 100, 40, 2);
}

/* --- calls --- */

TEST(a_tenant_below_its_cap_is_never_switched)
{
    START({.cap_milli_percent = 50000, .kernel_ns = 1 * MS, .period_ns = 5 * MS}, {.weight = 1});
    loop_measure(&loop, seconds());
    CHECK_EQ(loop.switch_calls, 0);
    CHECK_NEAR(loop.tenants[0].mean, 20, 0.5);
    /* Nor one whose use comes near to it. */
    START({.cap_milli_percent = 50000, .kernel_ns = 2 * MS, .period_ns = 5 * MS}, {.weight = 1});
    loop_measure(&loop, seconds());
    CHECK_EQ(loop.switch_calls, 0);
}

TEST(no_more_than_200_calls_a_second_are_made_on_a_gpu)
{
    for (size_t capped = 1; capped <= 11; capped++) {
        struct loop_tenant tenants[LOOP_TENANTS_MAX] = {{0}};
        uint64_t calls = 0;

        for (size_t i = 0; i < capped; i++)
            tenants[i].cap_milli_percent = 95000 / (uint32_t)capped;
        start(tenants, capped + 1);
        loop_measure(&loop, 5);
        for (size_t i = 0; i < capped; i++)
            calls += loop.tenants[i].calls;
        CHECK(calls <= 5 * 200 + 2 * capped); /* a call may fall on either side of an end */
        CHECK(loop.most_calls_a_second <= 200 + capped);
        CHECK(calls > 0);
    }
}

/* --- late --- */

TEST(a_wake_up_that_is_90_ms_late_once_is_made_up_for)
{
    for (uint32_t cap = 10; cap <= 90; cap += 20) {
        START({.cap_milli_percent = cap * 1000}, {.weight = 1});
        loop.late_from_ns = loop.gpu.now_ns + 10 * MS;
        loop.late_for_ns = 90 * MS;
        loop_run(&loop, 100 * MS + 1);
        CHECK_EQ(loop.late_for_ns, 0);
        /* Whether it ran meanwhile or not: never more than two windows' budgets at once. */
        loop_measure_spans(&loop, WINDOW_NS, 40);
        CHECK(loop.tenants[0].most <= 2 * cap + 3);
        loop_run(&loop, SECOND);
        align();
        check_capped();
    }
}

TEST(a_tenant_that_slept_has_no_more_than_two_windows_saved)
{
    for (uint32_t cap = 10; cap <= 40; cap += 10) {
        START({.cap_milli_percent = cap * 1000}, {.weight = 1});
        loop_set_work(&loop, 0, 1 * MS, 2 * SECOND);
        loop_run(&loop, 2 * SECOND);
        loop_set_work(&loop, 0, 10 * MS, 0);
        loop_measure_spans(&loop, WINDOW_NS, 100);
        CHECK(loop.tenants[0].most <= 2 * cap + 3);
    }
}

/* --- the law by itself --- */

static const struct budget_parameters thirty = {
    .cap_milli_percent = 30000, .window_ns = WINDOW_NS, .idle_factor_milli = 1000};

/* One that is on the engine for as long as it is on, which nothing delays. */
struct lone {
    struct budget budget;
    uint64_t now_ns, net_ns;
};

static struct lone make_lone(uint64_t now_ns, uint64_t net_ns)
{
    struct lone lone = {.now_ns = now_ns, .net_ns = net_ns};

    budget_init(&lone.budget, &thirty);
    return lone;
}

/* Returns how long it was on, in ms. */
static double drive(struct lone *lone, uint64_t span_ns, bool may_disable)
{
    uint64_t begin_ns = lone->now_ns, begin_net_ns = lone->net_ns;

    while (lone->now_ns - begin_ns < span_ns) {
        struct budget_measure now = {lone->net_ns, lone->budget.is_on};
        uint64_t next_ns;

        (void)budget_step(&lone->budget, lone->now_ns, &now, may_disable);
        CHECK(lone->budget.wake_ns <= lone->now_ns + lone->budget.parameters.window_ns);
        next_ns = lone->budget.wake_ns;
        if (next_ns <= lone->now_ns)
            next_ns = lone->now_ns + US;
        if (lone->budget.is_on)
            lone->net_ns += next_ns - lone->now_ns;
        lone->now_ns = next_ns;
    }
    return (double)(lone->net_ns - begin_net_ns) / 1e6;
}

TEST(while_nothing_may_be_disabled_nothing_is_and_the_overrun_is_paid_back)
{
    struct lone lone = make_lone(SECOND, 0);

    CHECK_NEAR(drive(&lone, 80 * MS, false), 80, 0.1);
    /* 80 ms instead of 24: 50 of what is too much are kept in mind, at most. */
    CHECK_NEAR(drive(&lone, SECOND, true), 250, 10);
}

TEST(what_was_used_where_nobody_could_see_is_not_charged)
{
    struct lone lone = make_lone(SECOND, 0);
    struct budget_measure now = {.net_ns = 77 * SECOND};

    (void)drive(&lone, 100 * MS, true);
    lone.net_ns = now.net_ns;
    budget_resume(&lone.budget, &now);
    CHECK_NEAR(drive(&lone, SECOND, true), 300, 10);
}

TEST(a_measure_that_falls_a_little_is_given_back)
{
    struct lone lone = make_lone(SECOND, SECOND);
    struct budget_measure now = {.net_ns = SECOND, .is_on_engine = true};
    int64_t before_ns;

    (void)budget_step(&lone.budget, SECOND, &now, true);
    before_ns = lone.budget.balance_ns;
    now.net_ns -= 95 * US; /* an interval was closed: its save is taken off */
    (void)budget_step(&lone.budget, SECOND + MS, &now, true);
    CHECK_EQ(lone.budget.balance_ns - before_ns, 95 * US);
}

TEST(a_measure_that_starts_anew_gives_no_more_than_two_windows)
{
    struct lone lone = make_lone(SECOND, 1000 * SECOND);

    (void)drive(&lone, 100 * MS, true);
    lone.net_ns = 0;
    CHECK(drive(&lone, 20 * MS, true) <= 20);
    CHECK(drive(&lone, 20 * MS, true) <= 12.1);
    CHECK_NEAR(drive(&lone, SECOND, true), 300, 15);
}

TEST(the_law_holds_at_instants_far_in_the_future)
{
    /* The measure wraps on the way. */
    struct lone lone = make_lone(UINT64_C(1) << 62, UINT64_MAX - 10 * MS);

    CHECK_NEAR(drive(&lone, SECOND, true), 300, 10);
}

TEST(an_instant_before_the_last_one_stops_nobody_for_long)
{
    struct lone lone = make_lone(2 * SECOND, 0);
    struct budget_measure now = {.is_on_engine = true};

    (void)drive(&lone, 100 * MS, true);
    now.net_ns = lone.net_ns;
    (void)budget_step(&lone.budget, SECOND, &now, true);
    CHECK_NEAR(drive(&lone, SECOND, true), 300, 15);
}

/* --- what is small, what is late --- */

TEST(a_cap_below_one_percent_is_given_as_well)
{
    static const uint32_t caps[] = {10, 100, 300, 500, 700, 999};

    for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
        START({.cap_milli_percent = caps[i]}, {.weight = 1});
        loop_measure(&loop, 40);
        CHECK_NEAR(loop.tenants[0].mean, caps[i] / 1000.0, 0.02 + caps[i] / 10000.0);
    }
}
TEST(wake_ups_that_are_often_late_change_no_share)
{
    for (uint32_t cap = 20; cap <= 80; cap += 20) {
        START({.cap_milli_percent = cap * 1000}, {.weight = 1});
        loop.late_per_thousand = 100;
        loop.late_most_ns = 30 * MS;
        loop_measure(&loop, 4 * seconds());
        CHECK_NEAR(loop.tenants[0].mean, cap, 1);
    }
}
