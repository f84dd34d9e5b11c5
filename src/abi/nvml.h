#pragma once
/*
 * nvml - the NVIDIA management library's API as far as this project calls or simulates it, in our
 * own words. Source of the facts: the NVML API reference of CUDA 13.0; tests/abi compares sizes,
 * values and prototypes with a toolkit's nvml.h.
 */
#include <stdint.h>

/* Name, value and nvmlErrorString's words. */
#define NVML_RESULTS(ROW)                                                                          \
    ROW(NVML_SUCCESS, 0, "Success")                                                                \
    ROW(NVML_ERROR_UNINITIALIZED, 1, "Uninitialized")                                              \
    ROW(NVML_ERROR_INVALID_ARGUMENT, 2, "Invalid Argument")                                        \
    ROW(NVML_ERROR_NOT_SUPPORTED, 3, "Not Supported")                                              \
    ROW(NVML_ERROR_NO_PERMISSION, 4, "Insufficient Permissions")                                   \
    ROW(NVML_ERROR_NOT_FOUND, 6, "Not Found")                                                      \
    ROW(NVML_ERROR_INSUFFICIENT_SIZE, 7, "Insufficient Size")                                      \
    ROW(NVML_ERROR_DRIVER_NOT_LOADED, 9, "Driver Not Loaded")                                      \
    ROW(NVML_ERROR_GPU_IS_LOST, 15, "GPU is lost")                                                 \
    ROW(NVML_ERROR_LIB_RM_VERSION_MISMATCH, 18, "RM has detected an NVML/RM version mismatch.")    \
    ROW(NVML_ERROR_MEMORY, 20, "Insufficient Memory")                                              \
    ROW(NVML_ERROR_ARGUMENT_VERSION_MISMATCH, 25, "Argument version mismatch")                     \
    ROW(NVML_ERROR_UNKNOWN, 999, "Unknown Error")

typedef enum nvmlReturn_enum {
#define ROW_(name, value, words) name = value,
    NVML_RESULTS(ROW_)
#undef ROW_
} nvmlReturn_t;

typedef struct nvmlDevice_st *nvmlDevice_t;

#define NVML_DEVICE_UUID_BUFFER_SIZE           80
#define NVML_DEVICE_UUID_V2_BUFFER_SIZE        96
#define NVML_DEVICE_NAME_BUFFER_SIZE           64
#define NVML_DEVICE_NAME_V2_BUFFER_SIZE        96
#define NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE 80
#define NVML_DEVICE_PCI_BUS_ID_BUFFER_SIZE     32

#define NVML_VALUE_NOT_AVAILABLE (~0ull)

typedef struct nvmlPciInfo_st {
    char busIdLegacy[16]; /* "0000:1B:00.0" */
    unsigned int domain, bus, device;
    unsigned int pciDeviceId, pciSubSystemId;       /* device id << 16 | vendor id */
    char busId[NVML_DEVICE_PCI_BUS_ID_BUFFER_SIZE]; /* "00000000:1B:00.0" */
} nvmlPciInfo_t;

typedef struct nvmlMemory_st {
    unsigned long long total, free, used; /* bytes; used includes what the driver reserves */
} nvmlMemory_t;

typedef struct nvmlMemory_v2_st {
    unsigned int version;                           /* NVML_MEMORY_V2 */
    unsigned long long total, reserved, free, used; /* used does not include reserved */
} nvmlMemory_v2_t;

#define NVML_MEMORY_V2 ((unsigned int)(sizeof(nvmlMemory_v2_t) | (2u << 24)))

/* Of nvmlDeviceGet{Compute,Graphics,MPSCompute}RunningProcesses_v2 and _v3. */
typedef struct nvmlProcessInfo_v2_st {
    unsigned int pid;
    unsigned long long usedGpuMemory;              /* bytes; NVML_VALUE_NOT_AVAILABLE: not told */
    unsigned int gpuInstanceId, computeInstanceId; /* ~0 without MIG */
} nvmlProcessInfo_t;

typedef struct nvmlUtilization_st {
    unsigned int gpu, memory; /* percent */
} nvmlUtilization_t;

typedef enum nvmlTemperatureSensors_enum {
    NVML_TEMPERATURE_GPU = 0, /* the die, in degrees Celsius */
} nvmlTemperatureSensors_t;

typedef enum nvmlClockType_enum {
    NVML_CLOCK_GRAPHICS = 0,
    NVML_CLOCK_SM = 1,
    NVML_CLOCK_MEM = 2,
    NVML_CLOCK_VIDEO = 3,
} nvmlClockType_t;

typedef enum nvmlPcieUtilCounter_enum {
    NVML_PCIE_UTIL_TX_BYTES = 0,
    NVML_PCIE_UTIL_RX_BYTES = 1,
} nvmlPcieUtilCounter_t;

typedef enum nvmlValueType_enum {
    NVML_VALUE_TYPE_DOUBLE = 0,
    NVML_VALUE_TYPE_UNSIGNED_INT = 1,
    NVML_VALUE_TYPE_UNSIGNED_LONG = 2,
    NVML_VALUE_TYPE_UNSIGNED_LONG_LONG = 3,
} nvmlValueType_t;

typedef union nvmlValue_st {
    double dVal;
    unsigned int uiVal;
    unsigned long ulVal;
    unsigned long long ullVal;
} nvmlValue_t;

typedef struct nvmlSample_st {
    unsigned long long timeStamp; /* Unix time in us */
    nvmlValue_t sampleValue;
} nvmlSample_t;

typedef enum nvmlSamplingType_enum {
    NVML_TOTAL_POWER_SAMPLES = 0,
    NVML_GPU_UTILIZATION_SAMPLES = 1,
    NVML_MEMORY_UTILIZATION_SAMPLES = 2,
} nvmlSamplingType_t;

typedef struct nvmlProcessUtilizationSample_st {
    unsigned int pid;
    unsigned long long timeStamp;                   /* Unix time in us */
    unsigned int smUtil, memUtil, encUtil, decUtil; /* percent */
} nvmlProcessUtilizationSample_t;

_Static_assert(sizeof(nvmlPciInfo_t) == 68, "NVML ABI");
_Static_assert(sizeof(nvmlMemory_t) == 24, "NVML ABI");
_Static_assert(sizeof(nvmlMemory_v2_t) == 40, "NVML ABI");
_Static_assert(sizeof(nvmlProcessInfo_t) == 24, "NVML ABI");
_Static_assert(sizeof(nvmlSample_t) == 16, "NVML ABI");
_Static_assert(sizeof(nvmlProcessUtilizationSample_t) == 32, "NVML ABI");
