#include "tests/unit/fake_nvml.h"

#include "tests/harness.h"
#include "utils/atomics.h"

#include <dlfcn.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>

#define LIBRARY ((void *)0x1000)
#define NEEDED  10 /* functions without which telemetry does not open */

/* What the linker calls instead. */
void *__wrap_dlopen(const char *name, int flags);
void *__wrap_dlsym(void *library, const char *name);
int __wrap_dlclose(void *library);
char *__wrap_dlerror(void);

struct fake_nvml fake_nvml;

void fake_nvml_prepare(void)
{
    fake_nvml = (struct fake_nvml){
        .lost_mask = 1u << 1,
        .failing_device = -1,
        .device_count = 3,
        .process_count = 2,
        .sample_count = 3,
        .type = NVML_VALUE_TYPE_UNSIGNED_INT,
        .percent = 42,
        .newest_us = 20,
        .bytes = 1000,
    };
}

static nvmlDevice_t to_device(unsigned int index)
{
    return (nvmlDevice_t)(uintptr_t)(0x2000 + index);
}

static nvmlReturn_t answer(const char *function, nvmlDevice_t device)
{
    const char *failing = fake_nvml.failing ? fake_nvml.failing : "";
    size_t length = strcspn(failing, "*");

    if (fake_nvml.failing_device >= 0 &&
        device != to_device((unsigned int)fake_nvml.failing_device))
        return fake_nvml.answer;
    if (failing[length] == '*' ? strncmp(function, failing, length) == 0
                               : strcmp(function, failing) == 0)
        return fake_nvml.failure;
    return fake_nvml.answer;
}

static nvmlReturn_t nvmlInit_v2(void)
{
    fake_nvml.start_count += fake_nvml.start == NVML_SUCCESS;
    return fake_nvml.start;
}

static nvmlReturn_t nvmlShutdown(void)
{
    fake_nvml.start_count--;
    return NVML_SUCCESS;
}

static nvmlReturn_t fill(char *text, unsigned int size, const char *words)
{
    memset(text, 'x', size);
    if (!fake_nvml.is_endless)
        memcpy(text, words, strlen(words) + 1);
    return fake_nvml.answer;
}

static nvmlReturn_t nvmlSystemGetDriverVersion(char *text, unsigned int size)
{
    return fill(text, size, "580.159.04");
}

static nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *count)
{
    *count = fake_nvml.device_count;
    return NVML_SUCCESS;
}

static nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device)
{
    *device = to_device(index);
    return fake_nvml.lost_mask >> index % 32 & 1 ? NVML_ERROR_GPU_IS_LOST : NVML_SUCCESS;
}

static nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *text, unsigned int size)
{
    unsigned int index = (unsigned int)((uintptr_t)device - (uintptr_t)to_device(0));

    if (index < 2 && fake_nvml.uuids[index])
        return fill(text, size, fake_nvml.uuids[index]);
    return fill(text, size, index == 0 ? "GPU-a" : "GPU-b");
}

static nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *text, unsigned int size)
{
    return fill(text, size, "NVIDIA H100");
}

static nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t device,
                                                            unsigned int *count,
                                                            nvmlProcessInfo_t *processes)
{
    for (unsigned int i = 0; i < *count && i < fake_nvml.process_count; i++)
        processes[i] = (nvmlProcessInfo_t){.pid = 100 + i, .usedGpuMemory = fake_nvml.bytes + i};
    *count = fake_nvml.process_count;
    return answer(__func__, device);
}

static nvmlReturn_t nvmlDeviceGetSamples(nvmlDevice_t device, nvmlSamplingType_t kind,
                                         unsigned long long since_us, nvmlValueType_t *type,
                                         unsigned int *count, nvmlSample_t *samples)
{
    for (unsigned int i = 0; i < *count && i < fake_nvml.sample_count; i++) {
        samples[i].timeStamp = i == 1 ? fake_nvml.newest_us : 10;
        samples[i].sampleValue.uiVal = i == 1 ? fake_nvml.percent : 0;
    }
    *count = fake_nvml.sample_count;
    *type = fake_nvml.type;
    return answer(__func__, device);
}

static nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses_v3(nvmlDevice_t device,
                                                             unsigned int *count,
                                                             nvmlProcessInfo_t *processes)
{
    memcpy(processes, fake_nvml.graphics, sizeof(fake_nvml.graphics));
    *count = fake_nvml.graphics_count;
    return answer(__func__, device);
}

static nvmlReturn_t nvmlDeviceGetMPSComputeRunningProcesses_v3(nvmlDevice_t device,
                                                               unsigned int *count,
                                                               nvmlProcessInfo_t *processes)
{
    *count = 0;
    return answer(__func__, device);
}

static nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t *memory)
{
    CHECK_EQ(memory->version, NVML_MEMORY_V2);
    memory->total = 80000;
    memory->used = 3000;
    memory->reserved = 500;
    memory->free = 76500;
    return answer(__func__, device);
}

static nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory)
{
    *memory = (nvmlMemory_t){.total = 80000, .used = 3500, .free = 76500};
    return answer(__func__, device);
}

static nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *rates)
{
    add_relaxed(&fake_nvml.rates_count, 1);
    while (load_relaxed(&fake_nvml.is_stuck))
        (void)sched_yield();
    *rates = (nvmlUtilization_t){.gpu = 77, .memory = 33};
    return answer(__func__, device);
}

static nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t device, nvmlTemperatureSensors_t sensor,
                                             unsigned int *celsius)
{
    *celsius = 40;
    return sensor == NVML_TEMPERATURE_GPU ? answer(__func__, device) : NVML_ERROR_INVALID_ARGUMENT;
}

static nvmlReturn_t nvmlDeviceGetPowerUsage(nvmlDevice_t device, unsigned int *milliwatts)
{
    *milliwatts = 250000;
    return answer(__func__, device);
}

static nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t device, nvmlClockType_t clock,
                                           unsigned int *mhz)
{
    *mhz = 1000 + clock;
    return answer(__func__, device);
}

static nvmlReturn_t nvmlDeviceGetPcieThroughput(nvmlDevice_t device, nvmlPcieUtilCounter_t counter,
                                                unsigned int *kib_per_s)
{
    *kib_per_s = 500 + counter;
    return answer(__func__, device);
}

static const char *nvmlErrorString(nvmlReturn_t result)
{
    return "said so";
}

void *__wrap_dlopen(const char *name, int flags)
{
    CHECK_STR_EQ(name, "libnvidia-ml.so.1");
    fake_nvml.open_count += !fake_nvml.is_absent;
    fake_nvml.opened_count += !fake_nvml.is_absent;
    return fake_nvml.is_absent ? NULL : LIBRARY;
}

int __wrap_dlclose(void *library)
{
    CHECK(library == LIBRARY);
    fake_nvml.open_count--;
    add_relaxed(&fake_nvml.closed_count, 1);
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
        /* The first ones are those that there have to be. */
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
        ROW(nvmlDeviceGetMemoryInfo_v2),
        ROW(nvmlDeviceGetMemoryInfo),
        ROW(nvmlDeviceGetUtilizationRates),
        ROW(nvmlDeviceGetTemperature),
        ROW(nvmlDeviceGetPowerUsage),
        ROW(nvmlDeviceGetClockInfo),
        ROW(nvmlDeviceGetPcieThroughput),
        ROW(nvmlDeviceGetGraphicsRunningProcesses_v3),
        ROW(nvmlDeviceGetMPSComputeRunningProcesses_v3),
    };

    CHECK(library == LIBRARY);
    if (fake_nvml.missing && strcmp(name, fake_nvml.missing) == 0)
        return NULL;
    for (size_t i = 0; i < (fake_nvml.is_old ? NEEDED : sizeof(rows) / sizeof(rows[0])); i++)
        if (strcmp(name, rows[i].name) == 0)
            return rows[i].function;
    return NULL;
}
