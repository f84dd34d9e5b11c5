#include "cli/burn_figures.h"

#include "tests/harness.h"

TEST(a_spread_of_nothing_is_not_known)
{
    CHECK_EQ(burn_figures_spread(NULL, 0).count, 0);
}

TEST(one_value_has_no_deviation)
{
    const double value = 45.7;
    struct burn_spread spread = burn_figures_spread(&value, 1);

    CHECK_EQ(spread.count, 1);
    CHECK_NEAR(spread.mean, 45.7, 1e-9);
    CHECK_NEAR(spread.deviation, 0, 1e-9);
    CHECK_NEAR(spread.least, 45.7, 1e-9);
    CHECK_NEAR(spread.most, 45.7, 1e-9);
}

/* Squares of 3, 1, 1, 1, 0, 0, 2, 4 are 32; over 7, the root is 2.1381. */
TEST(a_spread_is_that_of_a_sample)
{
    const double values[] = {2, 4, 4, 4, 5, 5, 7, 9};
    struct burn_spread spread = burn_figures_spread(values, 8);

    CHECK_NEAR(spread.mean, 5, 1e-9);
    CHECK_NEAR(spread.deviation, 2.13809, 1e-5);
    CHECK_NEAR(spread.least, 2, 1e-9);
    CHECK_NEAR(spread.most, 9, 1e-9);
}

TEST(percentiles_are_values_that_occurred)
{
    double values[200];
    struct burn_latencies latencies;

    for (size_t i = 0; i < 200; i++)
        values[i] = (double)(200 - i); /* 200 down to 1 */
    latencies = burn_figures_latencies(values, 200);
    CHECK_NEAR(latencies.p50_us, 100, 1e-9);
    CHECK_NEAR(latencies.p90_us, 180, 1e-9);
    CHECK_NEAR(latencies.p99_us, 198, 1e-9);
    CHECK_NEAR(latencies.max_us, 200, 1e-9);
}

TEST(percentiles_of_one_value_are_that_value)
{
    double value = 230;
    struct burn_latencies latencies = burn_figures_latencies(&value, 1);

    CHECK_NEAR(latencies.p50_us, 230, 1e-9);
    CHECK_NEAR(latencies.p99_us, 230, 1e-9);
    CHECK_NEAR(latencies.max_us, 230, 1e-9);
}

#define US(us) ((us)*UINT64_C(1000))

/* The GPU's clock is 1 s ahead; the second request was seen 300 us late: not its latency. */
TEST(being_late_to_see_is_no_latency)
{
    const struct burn_request requests[] = {
        {US(10000), US(1010200), US(10200)},
        {US(15000), US(1015210), US(15510)},
    };
    double latencies_us[2];

    burn_figures_requests(latencies_us, requests, 2);
    CHECK_NEAR(latencies_us[0], 200, 1e-6);
    CHECK_NEAR(latencies_us[1], 210, 1e-6);
}

/* As above with a clock that is behind ours: the differences are below zero. */
TEST(the_gpus_clock_may_be_behind)
{
    const struct burn_request requests[] = {
        {US(5010000), US(10200), US(5010200)},
        {US(5015000), US(15210), US(5015510)},
    };
    double latencies_us[2];

    burn_figures_requests(latencies_us, requests, 2);
    CHECK_NEAR(latencies_us[0], 200, 1e-6);
    CHECK_NEAR(latencies_us[1], 210, 1e-6);
}

/* Ten seconds with a drift of 50 us a second: only what is near says where the clocks stand. */
TEST(a_drift_of_the_clocks_is_no_latency)
{
    struct burn_request requests[1000];
    double latencies_us[1000];

    for (size_t i = 0; i < 1000; i++) {
        uint64_t begin_us = 1000 + i * 10000;

        requests[i].begin_ns = US(begin_us);
        requests[i].seen_ns = US(begin_us + 200);
        requests[i].end_gpu_ns = US(begin_us + 200) + i * 500;
    }
    burn_figures_requests(latencies_us, requests, 1000);
    for (size_t i = 0; i < 1000; i++)
        CHECK_NEAR(latencies_us[i], 200, 26); /* half a second's drift is 25 us */
}

/* --- pauses --- */

#define MS(n) ((n)*UINT64_C(1000000))

TEST(a_pause_is_as_long_as_nothing_was_done)
{
    struct burn_pause pause;

    burn_pause_begin(&pause, MS(1000));
    burn_pause_note(&pause, MS(1002), MS(2));
    for (uint64_t ms = 1004; ms <= 1020; ms += 2)
        burn_pause_note(&pause, MS(ms), 0);
    burn_pause_note(&pause, MS(1022), MS(1)); /* it went on at 1021 */
    burn_pause_note(&pause, MS(1024), MS(2));
    CHECK_EQ(pause.longest_ns, MS(19));
}

TEST(a_pause_at_the_end_counts)
{
    struct burn_pause pause;

    burn_pause_begin(&pause, MS(1000));
    burn_pause_note(&pause, MS(1002), MS(2));
    burn_pause_note(&pause, MS(1004), 0);
    burn_pause_note(&pause, MS(1006), 0);
    CHECK_EQ(pause.longest_ns, MS(4));
}

TEST(who_looks_late_has_not_seen_a_pause)
{
    struct burn_pause pause;

    burn_pause_begin(&pause, MS(1000));
    burn_pause_note(&pause, MS(1002), MS(2));
    burn_pause_note(&pause, MS(5000), MS(3998)); /* four seconds of work that nobody looked at */
    CHECK_EQ(pause.longest_ns, 0);
    burn_pause_note(&pause, MS(6000), MS(700)); /* 300 ms of it without */
    CHECK_EQ(pause.longest_ns, MS(300));
}

/* Each millisecond a half: that is a share, no pause. */
TEST(parts_of_looks_do_not_add_up)
{
    struct burn_pause pause;

    burn_pause_begin(&pause, MS(1000));
    for (uint64_t ms = 1002; ms < 2000; ms += 2)
        burn_pause_note(&pause, MS(ms), MS(1));
    CHECK_EQ(pause.longest_ns, MS(2));
}
