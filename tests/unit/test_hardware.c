#include "tests/harness.h"
#include "tests/unit/fake_nvml.h"

#include "hypervisor/hardware.h"
#include "utils/atomics.h"
#include "utils/clock.h"
#include "utils/log.h"

#include <sched.h>
#include <stdlib.h>

static struct hardware_reading reading;

TEST(a_thread_reads_the_cards_again_and_again)
{
    const struct hardware_options options = {.interval_ns = NS_PER_MS};
    struct hardware *hardware;
    uint64_t before_ns = clock_now_ns(), taken_ns = 0;

    fake_nvml_prepare();
    CHECK_OK(hardware_new(&hardware, &options, NULL), NULL);
    do {
        hardware_read(hardware, &reading);
        CHECK(reading.taken_ns >= taken_ns);
        taken_ns = reading.taken_ns;
        (void)sched_yield();
    } while (reading.sequence < 5);
    CHECK(taken_ns >= before_ns);
    CHECK(reading.has_nvml);
    CHECK_EQ(reading.gpu_count, 2);
    CHECK_EQ(reading.gpus[0].card.power_milliwatts, 250000);
    CHECK(!hardware_is_stale(&reading, clock_now_ns()));
    hardware_free(hardware);
    CHECK_EQ(fake_nvml.open_count, 0);
    hardware_free(NULL);
}

TEST(it_ends_in_the_middle_of_an_interval)
{
    const struct hardware_options options = {.interval_ns = 3600 * NS_PER_SEC};
    struct hardware *hardware;

    fake_nvml_prepare();
    CHECK_OK(hardware_new(&hardware, &options, NULL), NULL);
    do {
        hardware_read(hardware, &reading);
        (void)sched_yield();
    } while (reading.sequence < 1);
    hardware_free(hardware);
    CHECK_EQ(fake_nvml.open_count, 0);
}

TEST(a_thread_that_hangs_in_nvml_is_left_and_frees_everything_when_it_returns)
{
    struct hardware *hardware;

    log_set_level(LOG_LEVEL_ERROR);
    fake_nvml_prepare();
    store_relaxed(&fake_nvml.is_stuck, true);
    CHECK_OK(hardware_new(&hardware, NULL, NULL), NULL);
    while (load_relaxed(&fake_nvml.rates_count) == 0)
        (void)sched_yield();
    hardware_read(hardware, &reading);
    CHECK_EQ(reading.sequence, 0);
    hardware_free(hardware);
    CHECK_EQ(load_relaxed(&fake_nvml.closed_count), 0);
    store_relaxed(&fake_nvml.is_stuck, false);
    while (load_relaxed(&fake_nvml.closed_count) == 0)
        (void)sched_yield();
}

TEST(a_reading_that_is_too_old_says_so)
{
    reading = (struct hardware_reading){
        .sequence = 1, .taken_ns = 100 * NS_PER_SEC, .interval_ns = NS_PER_SEC};
    CHECK(!hardware_is_stale(&reading, 99 * NS_PER_SEC));
    CHECK(!hardware_is_stale(&reading, 115 * NS_PER_SEC));
    CHECK(hardware_is_stale(&reading, 116 * NS_PER_SEC));
    reading.sequence = 0; /* NVML is being opened */
    CHECK(!hardware_is_stale(&reading, 160 * NS_PER_SEC));
    CHECK(hardware_is_stale(&reading, 161 * NS_PER_SEC));
}

TEST(memory_is_summed_over_a_tenants_processes)
{
    static struct hardware_gpu gpu = {
        .has_processes = true,
        .process_count = 3,
        .processes = {{.pid = 1, .memory_bytes = 10},
                      {.pid = 2, .memory_bytes = 200},
                      {.pid = 3, .memory_bytes = TELEMETRY_UNKNOWN}},
    };
    const int32_t pids[] = {1, 2, 9}, more[] = {1, 2, 3, 9};

    CHECK_EQ(hardware_sum_memory(&gpu, pids, 3), 210);
    CHECK_EQ(hardware_sum_memory(&gpu, pids, 0), 0);
    CHECK(hardware_sum_memory(&gpu, more, 4) == TELEMETRY_UNKNOWN);
    gpu.has_processes = false;
    CHECK(hardware_sum_memory(&gpu, pids, 3) == TELEMETRY_UNKNOWN);
}
