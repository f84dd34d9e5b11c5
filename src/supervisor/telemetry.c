#include "supervisor/telemetry.h"

#include "abi/cuda.h"
#include "abi/nvml.h"
#include "macro/driver.h"
#include "utils/str.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>

#define TELEMETRY_GPUS_MAX 64
#define PROCESSES_MAX      1024
#define SAMPLES_MAX        128

#define HOOK(library, symbol, version, class, policy, words, ...)                                  \
    DRIVER_TYPE(library, symbol, __VA_ARGS__);
#include "macro/driver.def"

/* What we need of NVML; all of it is there in every driver since 510 (NVML API reference). */
#define NVML_FUNCTIONS(row)                                                                        \
    row(nvmlInit_v2) row(nvmlShutdown) row(nvmlSystemGetDriverVersion) row(nvmlDeviceGetCount_v2)  \
        row(nvmlDeviceGetHandleByIndex_v2) row(nvmlDeviceGetUUID) row(nvmlDeviceGetName)           \
            row(nvmlDeviceGetComputeRunningProcesses_v3) row(nvmlDeviceGetSamples)                 \
                row(nvmlErrorString)

struct telemetry {
    void *library;
    uint32_t count;
    char driver_version[80];
    nvmlDevice_t devices[TELEMETRY_GPUS_MAX];
    char names[TELEMETRY_GPUS_MAX][96];
    nvmlProcessInfo_t processes[PROCESSES_MAX];
#define MEMBER(function) next_##function *function;
    NVML_FUNCTIONS(MEMBER)
#undef MEMBER
};

static int find_functions(struct telemetry *telemetry, struct err *err)
{
    telemetry->library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!telemetry->library)
        return err_say(err, ENOTSUP, "%s", dlerror());
#define FIND(function)                                                                             \
    telemetry->function = (__typeof__(telemetry->function))dlsym(telemetry->library, #function);   \
    if (!telemetry->function)                                                                      \
        return err_say(err, ENOTSUP, "NVML lacks '%s'", #function);
    NVML_FUNCTIONS(FIND)
#undef FIND
    return 0;
}

/* Whatever NVML left in it. */
static void end_string(char *text, size_t size)
{
    text[size - 1] = '\0';
}

/* A GPU that does not answer stays NULL. */
static void find_device(struct telemetry *telemetry, uint32_t index)
{
    nvmlDevice_t device;

    (void)str_format(telemetry->names[index], sizeof(telemetry->names[index]), "GPU"); /* fits */
    if (telemetry->nvmlDeviceGetHandleByIndex_v2(index, &device) != NVML_SUCCESS)
        return;
    telemetry->devices[index] = device;
    if (telemetry->nvmlDeviceGetName(device, telemetry->names[index],
                                     sizeof(telemetry->names[index])) != NVML_SUCCESS)
        (void)str_format(telemetry->names[index], sizeof(telemetry->names[index]),
                         "GPU"); /* fits */
    end_string(telemetry->names[index], sizeof(telemetry->names[index]));
}

static int find_devices(struct telemetry *telemetry, struct err *err)
{
    unsigned int count = 0;
    nvmlReturn_t result = telemetry->nvmlDeviceGetCount_v2(&count);

    if (result != NVML_SUCCESS)
        return err_say(err, ENOTSUP, "count GPUs: %s", telemetry->nvmlErrorString(result));
    if (telemetry->nvmlSystemGetDriverVersion(telemetry->driver_version,
                                              sizeof(telemetry->driver_version)) != NVML_SUCCESS)
        telemetry->driver_version[0] = '\0';
    end_string(telemetry->driver_version, sizeof(telemetry->driver_version));
    telemetry->count = count < TELEMETRY_GPUS_MAX ? count : TELEMETRY_GPUS_MAX;
    for (uint32_t i = 0; i < telemetry->count; i++)
        find_device(telemetry, i);
    return 0;
}

int telemetry_open(struct telemetry **ret_telemetry, struct err *err)
{
    struct telemetry *telemetry = calloc(1, sizeof(*telemetry));
    nvmlReturn_t result;
    int rc;

    if (!telemetry)
        return err_set(err, ENOMEM, "allocate NVML's state");
    rc = find_functions(telemetry, err);
    if (rc < 0)
        goto fail;
    result = telemetry->nvmlInit_v2();
    if (result != NVML_SUCCESS) {
        rc = err_say(err, ENOTSUP, "start NVML: %s", telemetry->nvmlErrorString(result));
        goto fail;
    }
    rc = find_devices(telemetry, err);
    if (rc < 0) {
        (void)telemetry->nvmlShutdown(); /* nothing to be done about it */
        goto fail;
    }
    *ret_telemetry = telemetry;
    return 0;

fail:
    if (telemetry->library)
        (void)dlclose(telemetry->library);
    free(telemetry);
    return rc;
}

void telemetry_close(struct telemetry *telemetry)
{
    if (!telemetry)
        return;
    (void)telemetry->nvmlShutdown(); /* nothing to be done about it */
    (void)dlclose(telemetry->library);
    free(telemetry);
}

uint32_t telemetry_count(const struct telemetry *telemetry)
{
    return telemetry ? telemetry->count : 0;
}

const char *telemetry_driver_version(const struct telemetry *telemetry)
{
    return telemetry ? telemetry->driver_version : "";
}

int telemetry_find(struct telemetry *telemetry, const char *uuid)
{
    for (uint32_t i = 0; i < telemetry_count(telemetry); i++) {
        char text[96];

        if (!telemetry->devices[i])
            continue;
        if (telemetry->nvmlDeviceGetUUID(telemetry->devices[i], text, sizeof(text)) != NVML_SUCCESS)
            continue;
        end_string(text, sizeof(text));
        if (str_equals(text, uuid))
            return (int)i;
    }
    return -ENODEV;
}

const char *telemetry_name(const struct telemetry *telemetry, uint32_t index)
{
    return index < telemetry_count(telemetry) ? telemetry->names[index] : "GPU";
}

int telemetry_process_memory(struct telemetry *telemetry, uint32_t index, pid_t pid,
                             uint64_t *ret_bytes)
{
    unsigned int count = PROCESSES_MAX;
    nvmlReturn_t result;

    if (index >= telemetry_count(telemetry) || !telemetry->devices[index])
        return -ENOTSUP;
    result = telemetry->nvmlDeviceGetComputeRunningProcesses_v3(telemetry->devices[index], &count,
                                                                telemetry->processes);
    if (result != NVML_SUCCESS)
        return -EIO;
    for (unsigned int i = 0; i < count && i < PROCESSES_MAX; i++) {
        if ((pid_t)telemetry->processes[i].pid != pid)
            continue;
        if (telemetry->processes[i].usedGpuMemory == NVML_VALUE_NOT_AVAILABLE)
            return -ENOTSUP;
        *ret_bytes = telemetry->processes[i].usedGpuMemory;
        return 0;
    }
    return -ENOENT;
}

int telemetry_utilisation(struct telemetry *telemetry, uint32_t index, uint32_t *ret_percent,
                          uint64_t *ret_stamp)
{
    nvmlSample_t samples[SAMPLES_MAX];
    unsigned int count = SAMPLES_MAX, newest = 0;
    nvmlValueType_t type;
    nvmlReturn_t result;

    if (index >= telemetry_count(telemetry) || !telemetry->devices[index])
        return -ENOTSUP;
    result = telemetry->nvmlDeviceGetSamples(
        telemetry->devices[index], NVML_GPU_UTILIZATION_SAMPLES, 0, &type, &count, samples);
    if (result != NVML_SUCCESS || !count || type != NVML_VALUE_TYPE_UNSIGNED_INT)
        return -ENOTSUP;
    for (unsigned int i = 1; i < count && i < SAMPLES_MAX; i++)
        if (samples[i].timeStamp > samples[newest].timeStamp)
            newest = i;
    *ret_percent = samples[newest].sampleValue.uiVal;
    *ret_stamp = samples[newest].timeStamp;
    return 0;
}
