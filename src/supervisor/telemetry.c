#include "supervisor/telemetry.h"

#include "abi/cuda.h"
#include "abi/nvml.h"
#include "macro/driver.h"
#include "utils/str.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TELEMETRY_GPUS_MAX 64
#define PROCESSES_MAX      1024
#define SAMPLES_MAX        128
#define LISTS              3 /* of processes: computing, of MPS, drawing */

#define HOOK(library, symbol, version, class, policy, words, ...)                                  \
    DRIVER_TYPE(library, symbol, __VA_ARGS__);
#include "macro/driver.def"

/* What we need of NVML; all of it is there in every driver since 510 (NVML API reference). */
#define NVML_FUNCTIONS(row)                                                                        \
    row(nvmlInit_v2) row(nvmlShutdown) row(nvmlSystemGetDriverVersion) row(nvmlDeviceGetCount_v2)  \
        row(nvmlDeviceGetHandleByIndex_v2) row(nvmlDeviceGetUUID) row(nvmlDeviceGetName)           \
            row(nvmlDeviceGetComputeRunningProcesses_v3) row(nvmlDeviceGetSamples)                 \
                row(nvmlErrorString)

/* What tells more where it is there. */
#define NVML_OPTIONAL(row)                                                                         \
    row(nvmlDeviceGetMemoryInfo) row(nvmlDeviceGetMemoryInfo_v2)                                   \
        row(nvmlDeviceGetUtilizationRates) row(nvmlDeviceGetTemperature)                           \
            row(nvmlDeviceGetPowerUsage) row(nvmlDeviceGetClockInfo)                               \
                row(nvmlDeviceGetPcieThroughput) row(nvmlDeviceGetGraphicsRunningProcesses_v3)     \
                    row(nvmlDeviceGetMPSComputeRunningProcesses_v3)

struct telemetry {
    void *library;
    uint32_t count;
    char driver_version[80];
    nvmlDevice_t devices[TELEMETRY_GPUS_MAX];
    bool was_lost[TELEMETRY_GPUS_MAX]; /* ... when NVML was opened */
    char names[TELEMETRY_GPUS_MAX][96];
    nvmlProcessInfo_t processes[PROCESSES_MAX];
#define MEMBER(function) next_##function *function;
    NVML_FUNCTIONS(MEMBER)
    NVML_OPTIONAL(MEMBER)
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
#define FIND(function)                                                                             \
    telemetry->function = (__typeof__(telemetry->function))dlsym(telemetry->library, #function);
    NVML_OPTIONAL(FIND)
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
    nvmlReturn_t result;

    (void)str_format(telemetry->names[index], sizeof(telemetry->names[index]), "GPU"); /* fits */
    result = telemetry->nvmlDeviceGetHandleByIndex_v2(index, &device);
    telemetry->was_lost[index] = result == NVML_ERROR_GPU_IS_LOST;
    if (result != NVML_SUCCESS)
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

bool telemetry_uuid(struct telemetry *telemetry, uint32_t index, char *ret_uuid, size_t size)
{
    char text[96];

    if (index >= telemetry_count(telemetry) || !telemetry->devices[index] ||
        telemetry->nvmlDeviceGetUUID(telemetry->devices[index], text, sizeof(text)) != NVML_SUCCESS)
        return false;
    end_string(text, sizeof(text));
    return strlen(text) < size && str_format(ret_uuid, size, "%s", text);
}

/* --- the card --------------------------------------------------------------------------------- */

/* What an answer says of the whole GPU; 0: nothing, a value may still be missing. */
static int judge(nvmlReturn_t result)
{
    switch (result) {
    case NVML_ERROR_GPU_IS_LOST:
        return -ENODEV;
    case NVML_ERROR_UNINITIALIZED:
    case NVML_ERROR_DRIVER_NOT_LOADED:
    case NVML_ERROR_LIB_RM_VERSION_MISMATCH:
        return -ESTALE;
    default:
        return 0;
    }
}

static int find_card(const struct telemetry *telemetry, uint32_t index, nvmlDevice_t *ret_device)
{
    if (index >= telemetry_count(telemetry))
        return -ENOTSUP;
    if (!telemetry->devices[index])
        return telemetry->was_lost[index] ? -ENODEV : -ENOTSUP;
    *ret_device = telemetry->devices[index];
    return 0;
}

/*
 * In the second version `used` is what processes have; in the first what the driver keeps for
 * itself is in it. Of a handle that was good, NOT_FOUND says that the card is there no more.
 */
static int read_memory(const struct telemetry *telemetry, nvmlDevice_t device,
                       struct telemetry_card *card)
{
    nvmlMemory_v2_t detailed = {.version = NVML_MEMORY_V2};
    nvmlReturn_t result = NVML_ERROR_NOT_SUPPORTED;
    nvmlMemory_t memory;

    if (telemetry->nvmlDeviceGetMemoryInfo_v2)
        result = telemetry->nvmlDeviceGetMemoryInfo_v2(device, &detailed);
    if (result == NVML_SUCCESS) {
        card->memory_bytes = detailed.total;
        card->memory_used_bytes = detailed.used;
        return 0;
    }
    if (telemetry->nvmlDeviceGetMemoryInfo && judge(result) == 0)
        result = telemetry->nvmlDeviceGetMemoryInfo(device, &memory);
    if (result == NVML_SUCCESS) {
        card->memory_bytes = memory.total;
        card->memory_used_bytes = memory.used;
    }
    return result == NVML_ERROR_NOT_FOUND ? -ENODEV : judge(result);
}

static int read_utilisation(const struct telemetry *telemetry, nvmlDevice_t device,
                            struct telemetry_card *card)
{
    nvmlUtilization_t rates;
    nvmlReturn_t result;

    if (!telemetry->nvmlDeviceGetUtilizationRates)
        return 0;
    result = telemetry->nvmlDeviceGetUtilizationRates(device, &rates);
    if (result == NVML_SUCCESS) {
        card->busy_percent = rates.gpu;
        card->memory_busy_percent = rates.memory;
    }
    return judge(result);
}

/* Keeps a value that was told. */
static int keep(nvmlReturn_t result, unsigned int value, uint64_t *target)
{
    if (result == NVML_SUCCESS)
        *target = value;
    return judge(result);
}

static int read_gauges(const struct telemetry *telemetry, nvmlDevice_t device,
                       struct telemetry_card *card)
{
    unsigned int value = 0;
    nvmlReturn_t result;
    int rc = 0;

    if (telemetry->nvmlDeviceGetTemperature) {
        result = telemetry->nvmlDeviceGetTemperature(device, NVML_TEMPERATURE_GPU, &value);
        rc = keep(result, value, &card->temperature_celsius);
    }
    if (rc == 0 && telemetry->nvmlDeviceGetPowerUsage) {
        result = telemetry->nvmlDeviceGetPowerUsage(device, &value);
        rc = keep(result, value, &card->power_milliwatts);
    }
    return rc;
}

static int read_clocks(const struct telemetry *telemetry, nvmlDevice_t device,
                       struct telemetry_card *card)
{
    const struct {
        nvmlClockType_t clock;
        uint64_t *target;
    } clocks[] = {
        {NVML_CLOCK_GRAPHICS, &card->graphics_clock_mhz},
        {NVML_CLOCK_SM, &card->sm_clock_mhz},
        {NVML_CLOCK_MEM, &card->memory_clock_mhz},
        {NVML_CLOCK_VIDEO, &card->video_clock_mhz},
    };
    unsigned int value = 0;
    int rc = 0;

    for (size_t i = 0; rc == 0 && telemetry->nvmlDeviceGetClockInfo && i < ARRAY_LENGTH(clocks);
         i++) {
        nvmlReturn_t result = telemetry->nvmlDeviceGetClockInfo(device, clocks[i].clock, &value);

        rc = keep(result, value, clocks[i].target);
    }
    return rc;
}

static int read_pcie(const struct telemetry *telemetry, nvmlDevice_t device,
                     struct telemetry_card *card)
{
    unsigned int value = 0;
    nvmlReturn_t result;
    int rc;

    if (!telemetry->nvmlDeviceGetPcieThroughput)
        return 0;
    result = telemetry->nvmlDeviceGetPcieThroughput(device, NVML_PCIE_UTIL_RX_BYTES, &value);
    rc = keep(result, value, &card->pcie_receive_kib_per_s);
    /* The other way would wait 20 ms to say the same. */
    if (rc < 0 || result != NVML_SUCCESS)
        return rc;
    result = telemetry->nvmlDeviceGetPcieThroughput(device, NVML_PCIE_UTIL_TX_BYTES, &value);
    return keep(result, value, &card->pcie_transmit_kib_per_s);
}

int telemetry_read_card(struct telemetry *telemetry, uint32_t index,
                        struct telemetry_card *ret_card)
{
    struct telemetry_card card;
    nvmlDevice_t device;
    int rc = find_card(telemetry, index, &device);

    if (rc < 0)
        return rc;
    memset(&card, 0xff, sizeof(card)); /* TELEMETRY_UNKNOWN */
    rc = read_memory(telemetry, device, &card);
    if (rc == 0)
        rc = read_utilisation(telemetry, device, &card);
    if (rc == 0)
        rc = read_gauges(telemetry, device, &card);
    if (rc == 0)
        rc = read_clocks(telemetry, device, &card);
    if (rc == 0)
        rc = read_pcie(telemetry, device, &card);
    if (rc == 0)
        *ret_card = card;
    return rc;
}

/* --- its processes ---------------------------------------------------------------------------- */

typedef nvmlReturn_t list_processes(nvmlDevice_t device, unsigned int *count,
                                    nvmlProcessInfo_t *processes);

struct merge {
    struct telemetry_process *processes;
    size_t max, count;
};

static uint64_t known_sum(uint64_t a, uint64_t b)
{
    return a == TELEMETRY_UNKNOWN || b == TELEMETRY_UNKNOWN ? TELEMETRY_UNKNOWN : a + b;
}

/* What one list has of a pid: with MIG a row for each of its instances. */
static uint64_t sum_rows(const nvmlProcessInfo_t *rows, size_t count, size_t first)
{
    uint64_t sum_bytes = 0;

    for (size_t i = first; i < count; i++)
        if (rows[i].pid == rows[first].pid)
            sum_bytes = known_sum(sum_bytes, rows[i].usedGpuMemory); /* ~0: not told, there too */
    return sum_bytes;
}

static bool is_first(const nvmlProcessInfo_t *rows, size_t place)
{
    for (size_t i = 0; i < place; i++)
        if (rows[i].pid == rows[place].pid)
            return false;
    return true;
}

/* Lists say the whole of a process each, so that the greater one holds; and unknown is unknown. */
static bool merge_process(struct merge *merge, pid_t pid, bool is_compute, uint64_t bytes)
{
    for (size_t i = 0; i < merge->count; i++) {
        struct telemetry_process *process = &merge->processes[i];

        if (process->pid != pid)
            continue;
        process->is_compute = process->is_compute || is_compute;
        if (process->memory_bytes == TELEMETRY_UNKNOWN ||
            (bytes != TELEMETRY_UNKNOWN && bytes > process->memory_bytes))
            process->memory_bytes = bytes;
        return true;
    }
    if (merge->count == merge->max)
        return false;
    merge->processes[merge->count++] =
        (struct telemetry_process){.pid = pid, .is_compute = is_compute, .memory_bytes = bytes};
    return true;
}

static int merge_list(struct telemetry *telemetry, nvmlDevice_t device, list_processes *list,
                      struct merge *merge)
{
    const nvmlProcessInfo_t *rows = telemetry->processes;
    unsigned int count = PROCESSES_MAX;
    nvmlReturn_t result = list(device, &count, telemetry->processes);

    if (result == NVML_ERROR_INSUFFICIENT_SIZE || count > PROCESSES_MAX)
        return -ENOSPC;
    if (result != NVML_SUCCESS)
        return judge(result) < 0 ? judge(result) : -ENOTSUP;
    for (size_t i = 0; i < count; i++)
        if (is_first(rows, i) &&
            !merge_process(merge, (pid_t)rows[i].pid,
                           list != telemetry->nvmlDeviceGetGraphicsRunningProcesses_v3,
                           sum_rows(rows, count, i)))
            return -ENOSPC;
    return 0;
}

int telemetry_processes(struct telemetry *telemetry, uint32_t index,
                        struct telemetry_process *ret_processes, size_t max, size_t *ret_count)
{
    struct merge merge = {.processes = ret_processes, .max = max};
    nvmlDevice_t device;
    int rc = find_card(telemetry, index, &device);

    for (size_t i = 0; rc == 0 && i < LISTS; i++) {
        list_processes *const lists[LISTS] = {
            telemetry->nvmlDeviceGetComputeRunningProcesses_v3,
            telemetry->nvmlDeviceGetMPSComputeRunningProcesses_v3,
            telemetry->nvmlDeviceGetGraphicsRunningProcesses_v3,
        };

        rc = lists[i] ? merge_list(telemetry, device, lists[i], &merge) : 0;
        /* Only the first is told of every card: who computes is known without the others. */
        if (rc == -ENOTSUP && i > 0)
            rc = 0;
    }
    if (rc == 0)
        *ret_count = merge.count;
    return rc;
}
