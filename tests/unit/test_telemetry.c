#include "tests/harness.h"

#include "abi/nvml.h"
#include "supervisor/telemetry.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#define LIBRARY   ((void *)0x1000)
#define PROCESSES 1024 /* as many as the module has room for */
#define SAMPLES   128

/* What the linker calls instead. */
void *__wrap_dlopen(const char *name, int flags);
void *__wrap_dlsym(void *library, const char *name);
int __wrap_dlclose(void *library);
char *__wrap_dlerror(void);

/* An NVML that says what the test tells it to. */
static struct {
    bool is_absent;
    const char *missing; /* a function that it lacks */
    nvmlReturn_t start, answer;
    unsigned int device_count, process_count, sample_count;
    nvmlValueType_t type;
    unsigned int percent;
    unsigned long long newest_us, bytes;
    bool is_endless; /* strings are filled to their end */
    int open_count, start_count;
} nvml;

static nvmlReturn_t nvmlInit_v2(void)
{
    nvml.start_count += nvml.start == NVML_SUCCESS;
    return nvml.start;
}

static nvmlReturn_t nvmlShutdown(void)
{
    nvml.start_count--;
    return NVML_SUCCESS;
}

static nvmlReturn_t fill(char *text, unsigned int size, const char *words)
{
    memset(text, 'x', size);
    if (!nvml.is_endless)
        memcpy(text, words, strlen(words) + 1);
    return nvml.answer;
}

static nvmlReturn_t nvmlSystemGetDriverVersion(char *text, unsigned int size)
{
    return fill(text, size, "580.159.04");
}

static nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *count)
{
    *count = nvml.device_count;
    return NVML_SUCCESS;
}

static nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device)
{
    *device = (nvmlDevice_t)(uintptr_t)(0x2000 + index);
    return index == 1 ? NVML_ERROR_GPU_IS_LOST : NVML_SUCCESS;
}

static nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *text, unsigned int size)
{
    return fill(text, size, (uintptr_t)device == 0x2000 ? "GPU-a" : "GPU-b");
}

static nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *text, unsigned int size)
{
    return fill(text, size, "NVIDIA H100");
}

static nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t device,
                                                            unsigned int *count,
                                                            nvmlProcessInfo_t *processes)
{
    for (unsigned int i = 0; i < *count && i < nvml.process_count; i++)
        processes[i] = (nvmlProcessInfo_t){.pid = 100 + i, .usedGpuMemory = nvml.bytes + i};
    *count = nvml.process_count;
    return nvml.answer;
}

static nvmlReturn_t nvmlDeviceGetSamples(nvmlDevice_t device, nvmlSamplingType_t kind,
                                         unsigned long long since_us, nvmlValueType_t *type,
                                         unsigned int *count, nvmlSample_t *samples)
{
    for (unsigned int i = 0; i < *count && i < nvml.sample_count; i++) {
        samples[i].timeStamp = i == 1 ? nvml.newest_us : 10;
        samples[i].sampleValue.uiVal = i == 1 ? nvml.percent : 0;
    }
    *count = nvml.sample_count;
    *type = nvml.type;
    return nvml.answer;
}

static const char *nvmlErrorString(nvmlReturn_t result)
{
    return "said so";
}

void *__wrap_dlopen(const char *name, int flags)
{
    CHECK_STR_EQ(name, "libnvidia-ml.so.1");
    nvml.open_count += !nvml.is_absent;
    return nvml.is_absent ? NULL : LIBRARY;
}

int __wrap_dlclose(void *library)
{
    CHECK(library == LIBRARY);
    nvml.open_count--;
    return 0;
}

char *__wrap_dlerror(void)
{
    static char words[] = "there is none";

    return words;
}

void *__wrap_dlsym(void *library, const char *name)
{
#define ROW(function)                                                                              \
    {                                                                                              \
#function, (void *)(uintptr_t)(function)                                                   \
    }
    static const struct {
        const char *name;
        void *function;
    } rows[] = {
        ROW(nvmlInit_v2),
        ROW(nvmlShutdown),
        ROW(nvmlSystemGetDriverVersion),
        ROW(nvmlDeviceGetCount_v2),
        ROW(nvmlDeviceGetHandleByIndex_v2),
        ROW(nvmlDeviceGetUUID),
        ROW(nvmlDeviceGetName),
        ROW(nvmlDeviceGetComputeRunningProcesses_v3),
        ROW(nvmlDeviceGetSamples),
        ROW(nvmlErrorString),
    };

    CHECK(library == LIBRARY);
    if (nvml.missing && strcmp(name, nvml.missing) == 0)
        return NULL;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (strcmp(name, rows[i].name) == 0)
            return rows[i].function;
    return NULL;
}

static struct telemetry *telemetry;

static void prepare(void)
{
    memset(&nvml, 0, sizeof(nvml));
    nvml.device_count = 3;
    nvml.type = NVML_VALUE_TYPE_UNSIGNED_INT;
    nvml.sample_count = 3;
    nvml.newest_us = 20;
    nvml.percent = 42;
    nvml.process_count = 2;
    nvml.bytes = 1000;
}

static void start(void)
{
    struct err err;

    prepare();
    CHECK_OK(telemetry_open(&telemetry, &err), &err);
}

static void stop(void)
{
    telemetry_close(telemetry);
    CHECK_EQ(nvml.open_count, 0);
    CHECK_EQ(nvml.start_count, 0);
}

static void check_refused(const char *words)
{
    struct err err;

    CHECK_EQ(telemetry_open(&telemetry, &err), -ENOTSUP);
    CHECK(strstr(err.text, words));
    CHECK_EQ(nvml.open_count, 0);
    CHECK_EQ(nvml.start_count, 0);
}

TEST(without_a_library_a_function_or_a_driver_it_says_so)
{
    prepare();
    nvml.is_absent = true;
    check_refused("there is none");
    nvml.is_absent = false;
    nvml.missing = "nvmlDeviceGetSamples";
    check_refused("nvmlDeviceGetSamples");
    nvml.missing = NULL;
    nvml.start = NVML_ERROR_DRIVER_NOT_LOADED;
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
    nvml.answer = NVML_ERROR_GPU_IS_LOST;
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
    nvml.bytes = NVML_VALUE_NOT_AVAILABLE;
    CHECK_EQ(telemetry_process_memory(telemetry, 0, 100, &value), -ENOTSUP);
    CHECK_EQ(value, 7);
    stop();
}

TEST(counts_beyond_what_there_is_room_for_read_nothing_beyond)
{
    uint64_t value;
    uint32_t percent;

    prepare();
    nvml.device_count = UINT32_MAX;
    CHECK_EQ(telemetry_open(&telemetry, NULL), 0);
    CHECK_EQ(telemetry_count(telemetry), 64);
    nvml.process_count = UINT32_MAX;
    CHECK_EQ(telemetry_process_memory(telemetry, 0, 100 + PROCESSES - 1, &value), 0);
    CHECK_EQ(telemetry_process_memory(telemetry, 0, 100 + PROCESSES, &value), -ENOENT);
    nvml.sample_count = UINT32_MAX;
    CHECK_EQ(telemetry_utilisation(telemetry, 0, &percent, &value), 0);
    CHECK_EQ(percent, 42);
    stop();
}

TEST(samples_of_another_kind_or_none_are_not_known)
{
    uint64_t value;
    uint32_t percent;

    start();
    nvml.sample_count = 0;
    CHECK_EQ(telemetry_utilisation(telemetry, 0, &percent, &value), -ENOTSUP);
    nvml.sample_count = 3;
    nvml.type = NVML_VALUE_TYPE_DOUBLE;
    CHECK_EQ(telemetry_utilisation(telemetry, 0, &percent, &value), -ENOTSUP);
    stop();
}

TEST(strings_without_an_end_are_given_one)
{
    prepare();
    nvml.is_endless = true;
    CHECK_EQ(telemetry_open(&telemetry, NULL), 0);
    CHECK_EQ(strlen(telemetry_driver_version(telemetry)), 79);
    CHECK_EQ(strlen(telemetry_name(telemetry, 0)), 95);
    CHECK_EQ(telemetry_find(telemetry, "GPU-a"), -ENODEV);
    stop();
}
