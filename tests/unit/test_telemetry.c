#include "tests/harness.h"
#include "tests/unit/fake_nvml.h"

#include "abi/nvml.h"
#include "supervisor/telemetry.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#define PROCESSES 1024 /* as many as the module has room for */

static struct telemetry *telemetry;

static void start(void)
{
    struct err err;

    fake_nvml_prepare();
    CHECK_OK(telemetry_open(&telemetry, &err), &err);
}

static void stop(void)
{
    telemetry_close(telemetry);
    CHECK_EQ(fake_nvml.open_count, 0);
    CHECK_EQ(fake_nvml.start_count, 0);
}

static void check_refused(const char *words)
{
    struct err err;

    CHECK_EQ(telemetry_open(&telemetry, &err), -ENOTSUP);
    CHECK(strstr(err.text, words));
    CHECK_EQ(fake_nvml.open_count, 0);
    CHECK_EQ(fake_nvml.start_count, 0);
}

TEST(without_a_library_a_function_or_a_driver_it_says_so)
{
    fake_nvml_prepare();
    fake_nvml.is_absent = true;
    check_refused("there is none");
    fake_nvml.is_absent = false;
    fake_nvml.missing = "nvmlDeviceGetSamples";
    check_refused("nvmlDeviceGetSamples");
    fake_nvml.missing = NULL;
    fake_nvml.start = NVML_ERROR_DRIVER_NOT_LOADED;
    check_refused("said so");
}

TEST(without_telemetry_nothing_is_known)
{
    uint64_t value;
    uint32_t percent;

    CHECK_EQ(telemetry_count(NULL), 0);
    CHECK_STR_EQ(telemetry_driver_version(NULL), "");
    CHECK_EQ(telemetry_find(NULL, "GPU-a"), -ENODEV);
    CHECK_STR_EQ(telemetry_name(NULL, 0), "GPU");
    CHECK_EQ(telemetry_process_memory(NULL, 0, 1, &value), -ENOTSUP);
    CHECK_EQ(telemetry_utilisation(NULL, 0, &percent, &value), -ENOTSUP);
    telemetry_close(NULL);
}

TEST(what_nvml_says_is_passed_on)
{
    uint64_t value;
    uint32_t percent;

    start();
    CHECK_EQ(telemetry_count(telemetry), 3);
    CHECK_STR_EQ(telemetry_driver_version(telemetry), "580.159.04");
    CHECK_EQ(telemetry_find(telemetry, "GPU-b"), 2);
    CHECK_EQ(telemetry_find(telemetry, "GPU-"), -ENODEV);
    CHECK_STR_EQ(telemetry_name(telemetry, 0), "NVIDIA H100");
    CHECK_EQ(telemetry_process_memory(telemetry, 0, 101, &value), 0);
    CHECK_EQ(value, 1001);
    CHECK_EQ(telemetry_process_memory(telemetry, 0, 102, &value), -ENOENT);
    CHECK_EQ(telemetry_utilisation(telemetry, 0, &percent, &value), 0);
    CHECK_EQ(percent, 42); /* the newest sample's */
    CHECK_EQ(value, 20);
    stop();
}

TEST(a_gpu_that_does_not_answer_is_known_of_nothing)
{
    uint64_t value = 7;
    uint32_t percent = 7;

    start();
    CHECK_STR_EQ(telemetry_name(telemetry, 1), "GPU");
    CHECK_EQ(telemetry_process_memory(telemetry, 1, 100, &value), -ENOTSUP);
    CHECK_EQ(telemetry_utilisation(telemetry, 1, &percent, &value), -ENOTSUP);
    CHECK_EQ(telemetry_utilisation(telemetry, 3, &percent, &value), -ENOTSUP);
    CHECK_EQ(telemetry_utilisation(telemetry, UINT32_MAX, &percent, &value), -ENOTSUP);
    fake_nvml.answer = NVML_ERROR_GPU_IS_LOST;
    CHECK(telemetry_process_memory(telemetry, 0, 100, &value) < 0);
    CHECK(telemetry_utilisation(telemetry, 0, &percent, &value) < 0);
    CHECK_EQ(telemetry_find(telemetry, "GPU-a"), -ENODEV);
    CHECK(value == 7 && percent == 7);
    stop();
}

TEST(memory_that_nvml_does_not_tell_is_not_known)
{
    uint64_t value = 7;

    start();
    fake_nvml.bytes = NVML_VALUE_NOT_AVAILABLE;
    CHECK_EQ(telemetry_process_memory(telemetry, 0, 100, &value), -ENOTSUP);
    CHECK_EQ(value, 7);
    stop();
}

TEST(counts_beyond_what_there_is_room_for_read_nothing_beyond)
{
    uint64_t value;
    uint32_t percent;

    fake_nvml_prepare();
    fake_nvml.device_count = UINT32_MAX;
    CHECK_EQ(telemetry_open(&telemetry, NULL), 0);
    CHECK_EQ(telemetry_count(telemetry), 64);
    fake_nvml.process_count = UINT32_MAX;
    CHECK_EQ(telemetry_process_memory(telemetry, 0, 100 + PROCESSES - 1, &value), 0);
    CHECK_EQ(telemetry_process_memory(telemetry, 0, 100 + PROCESSES, &value), -ENOENT);
    fake_nvml.sample_count = UINT32_MAX;
    CHECK_EQ(telemetry_utilisation(telemetry, 0, &percent, &value), 0);
    CHECK_EQ(percent, 42);
    stop();
}

TEST(samples_of_another_kind_or_none_are_not_known)
{
    uint64_t value;
    uint32_t percent;

    start();
    fake_nvml.sample_count = 0;
    CHECK_EQ(telemetry_utilisation(telemetry, 0, &percent, &value), -ENOTSUP);
    fake_nvml.sample_count = 3;
    fake_nvml.type = NVML_VALUE_TYPE_DOUBLE;
    CHECK_EQ(telemetry_utilisation(telemetry, 0, &percent, &value), -ENOTSUP);
    stop();
}

TEST(strings_without_an_end_are_given_one)
{
    fake_nvml_prepare();
    fake_nvml.is_endless = true;
    CHECK_EQ(telemetry_open(&telemetry, NULL), 0);
    CHECK_EQ(strlen(telemetry_driver_version(telemetry)), 79);
    CHECK_EQ(strlen(telemetry_name(telemetry, 0)), 95);
    CHECK_EQ(telemetry_find(telemetry, "GPU-a"), -ENODEV);
    stop();
}

TEST(a_card_tells_all_that_it_measures)
{
    struct telemetry_card card;

    start();
    CHECK_EQ(telemetry_read_card(telemetry, 0, &card), 0);
    CHECK_EQ(card.memory_bytes, 80000);
    CHECK_EQ(card.memory_used_bytes, 3000);
    CHECK_EQ(card.busy_percent, 77);
    CHECK_EQ(card.memory_busy_percent, 33);
    CHECK_EQ(card.temperature_celsius, 40);
    CHECK_EQ(card.power_milliwatts, 250000);
    CHECK_EQ(card.graphics_clock_mhz, 1000);
    CHECK_EQ(card.sm_clock_mhz, 1001);
    CHECK_EQ(card.memory_clock_mhz, 1002);
    CHECK_EQ(card.video_clock_mhz, 1003);
    CHECK_EQ(card.pcie_transmit_kib_per_s, 500);
    CHECK_EQ(card.pcie_receive_kib_per_s, 501);
    stop();
}

TEST(one_value_that_is_not_told_leaves_the_others)
{
    static const char *const functions[] = {
        "nvmlDeviceGetUtilizationRates", "nvmlDeviceGetTemperature",    "nvmlDeviceGetPowerUsage",
        "nvmlDeviceGetClockInfo",        "nvmlDeviceGetPcieThroughput", "nvmlDeviceGetMemoryInfo*",
    };
    static const int fields[] = {2, 1, 1, 4, 2, 2};
    struct telemetry_card card;

    start();
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        const uint64_t *values = (const uint64_t *)&card;
        int unknown = 0;

        fake_nvml.failing = functions[i];
        fake_nvml.failure = i % 2 ? NVML_ERROR_NOT_SUPPORTED : NVML_ERROR_UNKNOWN;
        CHECK_EQ(telemetry_read_card(telemetry, 0, &card), 0);
        for (size_t field = 0; field < sizeof(card) / sizeof(*values); field++)
            unknown += values[field] == TELEMETRY_UNKNOWN;
        CHECK_EQ(unknown, fields[i]);
    }
    stop();
}

TEST(memory_is_told_by_the_older_function_where_there_is_no_newer)
{
    struct telemetry_card card;

    start();
    fake_nvml.failing = "nvmlDeviceGetMemoryInfo_v2";
    fake_nvml.failure = NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    CHECK_EQ(telemetry_read_card(telemetry, 0, &card), 0);
    CHECK_EQ(card.memory_bytes, 80000);
    CHECK_EQ(card.memory_used_bytes, 3500); /* with what the driver keeps */
    stop();
}

TEST(an_older_library_tells_what_it_can)
{
    struct telemetry_process processes[4];
    struct telemetry_card card;
    size_t count;

    fake_nvml_prepare();
    fake_nvml.is_old = true;
    CHECK_OK(telemetry_open(&telemetry, NULL), NULL);
    CHECK_EQ(telemetry_read_card(telemetry, 0, &card), 0);
    CHECK(card.memory_bytes == TELEMETRY_UNKNOWN && card.pcie_receive_kib_per_s == UINT64_MAX);
    CHECK_EQ(telemetry_processes(telemetry, 0, processes, 4, &count), 0);
    CHECK_EQ(count, 2);
    stop();
}

TEST(a_lost_gpu_is_told_from_one_that_is_not_there)
{
    struct telemetry_card card = {.memory_bytes = 7};
    struct telemetry_process processes[4];
    size_t count = 7;

    CHECK_EQ(telemetry_read_card(NULL, 0, &card), -ENOTSUP);
    CHECK_EQ(telemetry_processes(NULL, 0, processes, 4, &count), -ENOTSUP);
    start();
    CHECK_EQ(telemetry_read_card(telemetry, 3, &card), -ENOTSUP);
    CHECK_EQ(telemetry_read_card(telemetry, 1, &card), -ENODEV); /* was lost at the start */
    CHECK_EQ(telemetry_processes(telemetry, 1, processes, 4, &count), -ENODEV);
    for (int i = 0; i < 3; i++) {
        static const struct {
            nvmlReturn_t failure;
            int rc;
        } rows[] = {{NVML_ERROR_GPU_IS_LOST, -ENODEV},
                    {NVML_ERROR_DRIVER_NOT_LOADED, -ESTALE},
                    {NVML_ERROR_UNINITIALIZED, -ESTALE}};

        fake_nvml.answer = rows[i].failure;
        CHECK_EQ(telemetry_read_card(telemetry, 0, &card), rows[i].rc);
        CHECK_EQ(telemetry_processes(telemetry, 0, processes, 4, &count), rows[i].rc);
    }
    fake_nvml.answer = NVML_SUCCESS;
    fake_nvml.failing = "nvmlDeviceGetMemoryInfo*";
    fake_nvml.failure = NVML_ERROR_NOT_FOUND;
    CHECK_EQ(telemetry_read_card(telemetry, 0, &card), -ENODEV);
    fake_nvml.failing = "nvmlDeviceGetPcieThroughput"; /* the last that is asked */
    fake_nvml.failure = NVML_ERROR_GPU_IS_LOST;
    CHECK_EQ(telemetry_read_card(telemetry, 0, &card), -ENODEV);
    CHECK(card.memory_bytes == 7 && count == 7);
    stop();
}

TEST(processes_of_all_lists_are_told_once)
{
    struct telemetry_process processes[8];
    size_t count;

    start();
    fake_nvml.graphics[0] = (nvmlProcessInfo_t){.pid = 100, .usedGpuMemory = 1500};
    fake_nvml.graphics[1] = (nvmlProcessInfo_t){.pid = 7, .usedGpuMemory = 50};
    fake_nvml.graphics[2] = (nvmlProcessInfo_t){.pid = 7, .usedGpuMemory = 60};
    fake_nvml.graphics[3] =
        (nvmlProcessInfo_t){.pid = 8, .usedGpuMemory = NVML_VALUE_NOT_AVAILABLE};
    fake_nvml.graphics_count = 4;
    CHECK_EQ(telemetry_processes(telemetry, 0, processes, 8, &count), 0);
    CHECK_EQ(count, 4);
    CHECK(processes[0].pid == 100 && processes[0].is_compute);
    CHECK_EQ(processes[0].memory_bytes, 1500);
    CHECK(processes[1].pid == 101 && processes[1].is_compute);
    CHECK_EQ(processes[1].memory_bytes, 1001);
    CHECK(processes[2].pid == 7 && !processes[2].is_compute);
    CHECK_EQ(processes[2].memory_bytes, 110); /* of two instances of a card */
    CHECK(processes[3].memory_bytes == TELEMETRY_UNKNOWN);
    CHECK_EQ(telemetry_processes(telemetry, 0, processes, 3, &count), -ENOSPC);
    fake_nvml.process_count = UINT32_MAX;
    CHECK_EQ(telemetry_processes(telemetry, 0, processes, 8, &count), -ENOSPC);
    CHECK_EQ(count, 4);
    stop();
}

TEST(a_card_without_drawing_tells_who_computes)
{
    struct telemetry_process processes[8];
    size_t count;

    start();
    fake_nvml.failing = "nvmlDeviceGetGraphicsRunningProcesses_v3";
    fake_nvml.failure = NVML_ERROR_NOT_SUPPORTED;
    CHECK_EQ(telemetry_processes(telemetry, 0, processes, 8, &count), 0);
    CHECK_EQ(count, 2);
    fake_nvml.failing = "nvmlDeviceGetComputeRunningProcesses_v3";
    CHECK_EQ(telemetry_processes(telemetry, 0, processes, 8, &count), -ENOTSUP);
    stop();
}

TEST(a_uuid_is_told_where_it_fits)
{
    char uuid[8] = "x";

    start();
    CHECK(telemetry_uuid(telemetry, 2, uuid, sizeof(uuid)));
    CHECK_STR_EQ(uuid, "GPU-b");
    CHECK(!telemetry_uuid(telemetry, 0, uuid, 4));
    CHECK(!telemetry_uuid(telemetry, 1, uuid, sizeof(uuid)));
    CHECK(!telemetry_uuid(NULL, 0, uuid, sizeof(uuid)));
    CHECK_STR_EQ(uuid, "GPU-b");
    stop();
}
