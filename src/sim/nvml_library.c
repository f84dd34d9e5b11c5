/*
 * nvml_library - libnvidia-ml.so.1: what the simulated machine says of its GPUs. Memory comes from
 * the resource manager by the same calls as the real library's; the rest the server is asked for.
 */
#include "abi/rm.h"
#include "sim/nvml_calls.h"
#include "sim/session.h"
#include "sim/wire_call.h"
#include "utils/str.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define GPUS_MAX      32
#define PROCESSES_MAX 512
#define SAMPLES_MAX   1024
#define BYTES_PER_KIB 1024
#define FB_PAIRS      3
#define LEGACY_SKIP   4 /* of the eight digits of a domain, older names have four */
#define NO_INSTANCE   0xFFFFFFFFu

struct nvmlDevice_st {
    struct wire_gpu info;
    bool is_attached;
    int node_fd;
    uint32_t device, subdevice; /* handles */
};

static struct {
    pthread_mutex_t lock;
    unsigned int users;
    struct session session;
    unsigned int count;
    struct nvmlDevice_st devices[GPUS_MAX];
} state = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void lock(void)
{
    (void)pthread_mutex_lock(&state.lock); /* ours, and never held twice by a thread */
}

static void unlock(void)
{
    (void)pthread_mutex_unlock(&state.lock);
}

static nvmlReturn_t to_result(int rc)
{
    switch (-rc) {
    case 0:
        return NVML_SUCCESS;
    case EIO:
        return NVML_ERROR_GPU_IS_LOST;
    case EACCES:
    case EPERM:
        return NVML_ERROR_NO_PERMISSION;
    default:
        return NVML_ERROR_UNKNOWN;
    }
}

/* --- start ------------------------------------------------------------------------------------ */

static nvmlReturn_t start(void)
{
    static struct wire_gpu infos[GPUS_MAX];
    int count;

    if (session_open(&state.session) < 0)
        return NVML_ERROR_DRIVER_NOT_LOADED;
    count = wire_call_query(WIRE_QUERY_NVML_GPUS, 0, infos, sizeof(infos));
    if (count < 0) {
        session_close(&state.session);
        return NVML_ERROR_DRIVER_NOT_LOADED;
    }
    state.count = (unsigned int)count;
    for (unsigned int i = 0; i < state.count; i++)
        state.devices[i] = (struct nvmlDevice_st){.info = infos[i], .node_fd = -1};
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlInit_v2(void)
{
    nvmlReturn_t result = NVML_SUCCESS;

    lock();
    if (state.users == 0)
        result = start();
    state.users += result == NVML_SUCCESS;
    unlock();
    return result;
}

nvmlReturn_t nvmlShutdown(void)
{
    nvmlReturn_t result = NVML_SUCCESS;

    lock();
    if (state.users == 0)
        result = NVML_ERROR_UNINITIALIZED;
    else if (--state.users == 0) {
        for (unsigned int i = 0; i < state.count; i++)
            attr_close(&state.devices[i].node_fd);
        session_close(&state.session);
    }
    unlock();
    return result;
}

/* A device is what the handle points to only while the library is in use. */
static nvmlReturn_t check(nvmlDevice_t device, const void *target)
{
    if (state.users == 0)
        return NVML_ERROR_UNINITIALIZED;
    if (!target || device < state.devices || device >= state.devices + state.count)
        return NVML_ERROR_INVALID_ARGUMENT;
    return NVML_SUCCESS;
}

static nvmlReturn_t give_text(char *target, unsigned int size, const char *text)
{
    if (strlen(text) >= size)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    memcpy(target, text, strlen(text) + 1);
    return NVML_SUCCESS;
}

const char *nvmlErrorString(nvmlReturn_t result)
{
    switch (result) {
#define ROW_CASE(name, value, words)                                                               \
    case name:                                                                                     \
        return words;
        NVML_RESULTS(ROW_CASE)
#undef ROW_CASE
    }
    return "Unknown Error";
}

/* --- which GPU it is -------------------------------------------------------------------------- */

nvmlReturn_t nvmlSystemGetDriverVersion(char *text, unsigned int size)
{
    if (state.users == 0)
        return NVML_ERROR_UNINITIALIZED;
    if (!text)
        return NVML_ERROR_INVALID_ARGUMENT;
    /* Without a GPU there is still a driver, but nobody who would know its version. */
    return state.count > 0 ? give_text(text, size, state.devices[0].info.driver_version)
                           : NVML_ERROR_UNKNOWN;
}

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *count)
{
    if (state.users == 0)
        return NVML_ERROR_UNINITIALIZED;
    if (!count)
        return NVML_ERROR_INVALID_ARGUMENT;
    *count = state.count;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device)
{
    if (state.users == 0)
        return NVML_ERROR_UNINITIALIZED;
    if (!device || index >= state.count)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (state.devices[index].info.is_lost)
        return NVML_ERROR_GPU_IS_LOST;
    *device = &state.devices[index];
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *device)
{
    if (state.users == 0)
        return NVML_ERROR_UNINITIALIZED;
    if (!uuid || !device)
        return NVML_ERROR_INVALID_ARGUMENT;
    for (unsigned int i = 0; i < state.count; i++) {
        if (str_equals(state.devices[i].info.uuid, uuid))
            return nvmlDeviceGetHandleByIndex_v2(i, device);
    }
    return NVML_ERROR_NOT_FOUND;
}

nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *text, unsigned int size)
{
    nvmlReturn_t result = check(device, text);

    return result == NVML_SUCCESS ? give_text(text, size, device->info.uuid) : result;
}

nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *text, unsigned int size)
{
    nvmlReturn_t result = check(device, text);

    return result == NVML_SUCCESS ? give_text(text, size, device->info.name) : result;
}

nvmlReturn_t nvmlDeviceGetIndex(nvmlDevice_t device, unsigned int *index)
{
    nvmlReturn_t result = check(device, index);

    if (result == NVML_SUCCESS)
        *index = (unsigned int)(device - state.devices);
    return result;
}

nvmlReturn_t nvmlDeviceGetMinorNumber(nvmlDevice_t device, unsigned int *minor)
{
    nvmlReturn_t result = check(device, minor);

    if (result == NVML_SUCCESS)
        *minor = device->info.minor;
    return result;
}

nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t *pci)
{
    nvmlReturn_t result = check(device, pci);

    if (result != NVML_SUCCESS)
        return result;
    *pci = (nvmlPciInfo_t){
        .domain = device->info.pci_domain,
        .bus = device->info.pci_bus,
        .device = device->info.pci_device,
        .pciDeviceId = device->info.pci_device_id,
        .pciSubSystemId = device->info.pci_subsystem_id,
    };
    (void)str_format(pci->busId, sizeof(pci->busId), "%s", device->info.bus_id);
    if (strlen(device->info.bus_id) > LEGACY_SKIP)
        (void)str_format(pci->busIdLegacy, sizeof(pci->busIdLegacy), "%s",
                         device->info.bus_id + LEGACY_SKIP);
    return NVML_SUCCESS;
}

/* --- memory ----------------------------------------------------------------------------------- */

static nvmlReturn_t status_result(uint32_t rm_status)
{
    switch (rm_status) {
    case RM_OK:
        return NVML_SUCCESS;
    case RM_INSUFFICIENT_PERMISSIONS:
        return NVML_ERROR_NO_PERMISSION;
    case RM_GPU_LOST:
        return NVML_ERROR_GPU_IS_LOST;
    default:
        return NVML_ERROR_UNKNOWN;
    }
}

/* The GPU's node is opened and its objects made when something is first asked of the RM. */
static nvmlReturn_t attach(nvmlDevice_t device)
{
    uint8_t device_params[RM_DEVICE_PARAMS_SIZE] = {0};
    uint8_t subdevice_params[RM_SUBDEVICE_PARAMS_SIZE] = {0};
    struct session_object object = {state.session.client, RM_CLASS_DEVICE, device_params,
                                    sizeof(device_params)};
    uint32_t status;

    if (device->is_attached)
        return NVML_SUCCESS;
    if (device->node_fd < 0)
        device->node_fd = session_open_gpu(device->info.minor);
    if (device->node_fd < 0)
        return to_result(device->node_fd);
    memcpy(device_params, &device->info.index, sizeof(device->info.index));
    status = session_alloc(&state.session, &object, &device->device);
    if (status != RM_OK)
        return status_result(status);
    object = (struct session_object){device->device, RM_CLASS_SUBDEVICE, subdevice_params,
                                     sizeof(subdevice_params)};
    status = session_alloc(&state.session, &object, &device->subdevice);
    if (status != RM_OK)
        session_free(&state.session, device->device);
    device->is_attached = status == RM_OK;
    return status_result(status);
}

nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t *memory)
{
    struct {
        uint32_t count;
        struct rm_fb_info pairs[FB_PAIRS];
    } params = {FB_PAIRS, {{RM_FB_TOTAL, 0}, {RM_FB_HEAP, 0}, {RM_FB_FREE, 0}}};
    nvmlReturn_t result = check(device, memory);
    uint64_t kib[FB_PAIRS];

    if (result != NVML_SUCCESS)
        return result;
    if (memory->version != NVML_MEMORY_V2)
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    lock();
    result = attach(device);
    if (result == NVML_SUCCESS)
        result = status_result(session_control(&state.session, device->subdevice,
                                               RM_CONTROL_FB_GET_INFO_V2, &params, sizeof(params)));
    unlock();
    if (result != NVML_SUCCESS)
        return result;
    for (int i = 0; i < FB_PAIRS; i++)
        kib[i] = params.pairs[i].kib;
    memory->total = kib[0] * BYTES_PER_KIB;
    memory->free = kib[2] * BYTES_PER_KIB;
    memory->reserved = kib[0] > kib[1] ? (kib[0] - kib[1]) * BYTES_PER_KIB : 0;
    memory->used = memory->total > memory->free + memory->reserved
                       ? memory->total - memory->free - memory->reserved
                       : 0;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory)
{
    nvmlMemory_v2_t detailed = {.version = NVML_MEMORY_V2};
    nvmlReturn_t result = check(device, memory);

    if (result == NVML_SUCCESS)
        result = nvmlDeviceGetMemoryInfo_v2(device, &detailed);
    if (result == NVML_SUCCESS)
        *memory = (nvmlMemory_t){
            .total = detailed.total,
            .free = detailed.free,
            .used = detailed.used + detailed.reserved,
        };
    return result;
}

/* No process draws pictures or is a client of MPS here. */
static nvmlReturn_t list_nobody(nvmlDevice_t device, unsigned int *count)
{
    nvmlReturn_t result = check(device, count);

    if (result == NVML_SUCCESS)
        *count = 0;
    return result;
}

nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses_v3(nvmlDevice_t device, unsigned int *count,
                                                      nvmlProcessInfo_t *processes)
{
    return list_nobody(device, count);
}

nvmlReturn_t nvmlDeviceGetMPSComputeRunningProcesses_v3(nvmlDevice_t device, unsigned int *count,
                                                        nvmlProcessInfo_t *processes)
{
    return list_nobody(device, count);
}

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t device, unsigned int *count,
                                                     nvmlProcessInfo_t *processes)
{
    struct wire_process rows[PROCESSES_MAX];
    nvmlReturn_t result = check(device, count);
    unsigned int found = 0, room;
    int row_count;

    if (result != NVML_SUCCESS)
        return result;
    row_count = wire_call_query(WIRE_QUERY_PROCESSES, device->info.index, rows, sizeof(rows));
    if (row_count < 0)
        return to_result(row_count);
    room = processes ? *count : 0;
    for (int i = 0; i < row_count; i++) {
        if (!rows[i].is_compute)
            continue;
        if (found < room)
            processes[found] = (nvmlProcessInfo_t){.pid = rows[i].pid,
                                                   .usedGpuMemory = rows[i].memory_bytes,
                                                   .gpuInstanceId = NO_INSTANCE,
                                                   .computeInstanceId = NO_INSTANCE};
        found++;
    }
    *count = found;
    return found > room ? NVML_ERROR_INSUFFICIENT_SIZE : NVML_SUCCESS;
}

/* --- utilisation ------------------------------------------------------------------------------ */

/* The rows that are newer than an instant; negative errno. */
static int query_samples(nvmlDevice_t device, uint32_t query, uint64_t since_us,
                         struct wire_sample rows[SAMPLES_MAX])
{
    int count = wire_call_query(query, device->info.index, rows, SAMPLES_MAX * sizeof(*rows));
    int kept = 0;

    for (int i = 0; i < count; i++) {
        if (rows[i].time_us > since_us)
            rows[kept++] = rows[i];
    }
    return count < 0 ? count : kept;
}

nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *utilization)
{
    struct wire_sample rows[SAMPLES_MAX];
    nvmlReturn_t result = check(device, utilization);
    int count;

    if (result != NVML_SUCCESS)
        return result;
    count = query_samples(device, WIRE_QUERY_SAMPLES, 0, rows);
    if (count < 0)
        return to_result(count);
    *utilization = (nvmlUtilization_t){.gpu = count > 0 ? rows[count - 1].percent : 0};
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetSamples(nvmlDevice_t device, nvmlSamplingType_t kind,
                                  unsigned long long since_us, nvmlValueType_t *value_type,
                                  unsigned int *count, nvmlSample_t *samples)
{
    struct wire_sample rows[SAMPLES_MAX];
    nvmlReturn_t result = check(device, count);
    unsigned int found;
    int row_count;

    if (result != NVML_SUCCESS)
        return result;
    if (!value_type)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (kind != NVML_GPU_UTILIZATION_SAMPLES)
        return NVML_ERROR_NOT_SUPPORTED;
    row_count = query_samples(device, WIRE_QUERY_SAMPLES, since_us, rows);
    if (row_count <= 0)
        return row_count < 0 ? to_result(row_count) : NVML_ERROR_NOT_FOUND;
    *value_type = NVML_VALUE_TYPE_UNSIGNED_INT;
    found = (unsigned int)row_count;
    if (!samples) {
        *count = found;
        return NVML_SUCCESS;
    }
    if (*count > found)
        *count = found;
    for (unsigned int i = 0; i < *count; i++)
        samples[i] =
            (nvmlSample_t){.timeStamp = rows[i].time_us, .sampleValue = {.uiVal = rows[i].percent}};
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetProcessUtilization(nvmlDevice_t device,
                                             nvmlProcessUtilizationSample_t *samples,
                                             unsigned int *count, unsigned long long since_us)
{
    struct wire_sample rows[SAMPLES_MAX];
    nvmlReturn_t result = check(device, count);
    unsigned int found, room;
    int row_count;

    if (result != NVML_SUCCESS)
        return result;
    row_count = query_samples(device, WIRE_QUERY_UTILISATIONS, since_us, rows);
    if (row_count <= 0)
        return row_count < 0 ? to_result(row_count) : NVML_ERROR_NOT_FOUND;
    found = (unsigned int)row_count;
    room = samples ? *count : 0;
    *count = found;
    if (room < found)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    for (unsigned int i = 0; i < found; i++)
        samples[i] = (nvmlProcessUtilizationSample_t){
            .pid = rows[i].pid, .timeStamp = rows[i].time_us, .smUtil = rows[i].percent};
    return NVML_SUCCESS;
}

/* --- what a simulated card has not ------------------------------------------------------------ */

/* There is no value that would be true: it is as on a card without the sensor. */
static nvmlReturn_t lack(nvmlDevice_t device, const void *target)
{
    nvmlReturn_t result = check(device, target);

    return result == NVML_SUCCESS ? NVML_ERROR_NOT_SUPPORTED : result;
}

nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t device, nvmlTemperatureSensors_t sensor,
                                      unsigned int *celsius)
{
    return lack(device, celsius);
}

nvmlReturn_t nvmlDeviceGetPowerUsage(nvmlDevice_t device, unsigned int *milliwatts)
{
    return lack(device, milliwatts);
}

nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t device, nvmlClockType_t clock, unsigned int *mhz)
{
    return lack(device, mhz);
}

nvmlReturn_t nvmlDeviceGetPcieThroughput(nvmlDevice_t device, nvmlPcieUtilCounter_t counter,
                                         unsigned int *kib_per_s)
{
    return lack(device, kib_per_s);
}
