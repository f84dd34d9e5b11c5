#pragma once
/*
 * cuda - the CUDA driver API as far as this project calls or simulates it, in our own words, so
 * that builds need no toolkit. Source of the facts: the CUDA 13.0 driver API documentation (data
 * types, error handling, device, context, memory, virtual memory, stream, event, execution, graph);
 * tests/abi compares sizes, values and prototypes with a toolkit's cuda.h.
 */
#include <stddef.h>
#include <stdint.h>

/* Name, value and cuGetErrorString's words. */
#define CUDA_RESULTS(ROW)                                                                          \
    ROW(CUDA_SUCCESS, 0, "no error")                                                               \
    ROW(CUDA_ERROR_INVALID_VALUE, 1, "invalid argument")                                           \
    ROW(CUDA_ERROR_OUT_OF_MEMORY, 2, "out of memory")                                              \
    ROW(CUDA_ERROR_NOT_INITIALIZED, 3, "initialization error")                                     \
    ROW(CUDA_ERROR_DEINITIALIZED, 4, "driver shutting down")                                       \
    ROW(CUDA_ERROR_STUB_LIBRARY, 34, "CUDA driver is a stub library")                              \
    ROW(CUDA_ERROR_DEVICE_UNAVAILABLE, 46, "CUDA-capable device(s) is/are busy or unavailable")    \
    ROW(CUDA_ERROR_NO_DEVICE, 100, "no CUDA-capable device is detected")                           \
    ROW(CUDA_ERROR_INVALID_DEVICE, 101, "invalid device ordinal")                                  \
    ROW(CUDA_ERROR_INVALID_IMAGE, 200, "device kernel image is invalid")                           \
    ROW(CUDA_ERROR_INVALID_CONTEXT, 201, "invalid device context")                                 \
    ROW(CUDA_ERROR_MAP_FAILED, 205, "mapping of buffer object failed")                             \
    ROW(CUDA_ERROR_UNMAP_FAILED, 206, "unmapping of buffer object failed")                         \
    ROW(CUDA_ERROR_NO_BINARY_FOR_GPU, 209,                                                         \
        "no kernel image is available for execution on the device")                                \
    ROW(CUDA_ERROR_INVALID_PTX, 218, "a PTX JIT compilation failed")                               \
    ROW(CUDA_ERROR_OPERATING_SYSTEM, 304, "OS call failed or operation not supported on this OS")  \
    ROW(CUDA_ERROR_INVALID_HANDLE, 400, "invalid resource handle")                                 \
    ROW(CUDA_ERROR_ILLEGAL_STATE, 401, "the operation cannot be performed in the present state")   \
    ROW(CUDA_ERROR_NOT_FOUND, 500, "named symbol not found")                                       \
    ROW(CUDA_ERROR_NOT_READY, 600, "device not ready")                                             \
    ROW(CUDA_ERROR_ILLEGAL_ADDRESS, 700, "an illegal memory access was encountered")               \
    ROW(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, 701, "too many resources requested for launch")        \
    ROW(CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE, 708,                                                    \
        "cannot set while device is active in this process")                                       \
    ROW(CUDA_ERROR_CONTEXT_IS_DESTROYED, 709, "context is destroyed")                              \
    ROW(CUDA_ERROR_LAUNCH_FAILED, 719, "unspecified launch failure")                               \
    ROW(CUDA_ERROR_NOT_PERMITTED, 800, "operation not permitted")                                  \
    ROW(CUDA_ERROR_NOT_SUPPORTED, 801, "operation not supported")                                  \
    ROW(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, 900,                                                \
        "operation not permitted when stream is capturing")                                        \
    ROW(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, 901,                                                \
        "operation failed due to a previous error during capture")                                 \
    ROW(CUDA_ERROR_STREAM_CAPTURE_MERGE, 902,                                                      \
        "operation would result in a merge of separate capture sequences")                         \
    ROW(CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, 903,                                                  \
        "attempt to terminate a thread-local capture sequence from another thread")                \
    ROW(CUDA_ERROR_STREAM_CAPTURE_ISOLATION, 905,                                                  \
        "dependency created on uncaptured work in another stream")                                 \
    ROW(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, 906,                                                   \
        "operation would make the legacy stream depend on a capturing blocking stream")            \
    ROW(CUDA_ERROR_CAPTURED_EVENT, 907,                                                            \
        "operation not permitted on an event last recorded in a capturing stream")                 \
    ROW(CUDA_ERROR_UNKNOWN, 999, "unknown error")

typedef enum cudaError_enum {
#define ROW_(name, value, words) name = value,
    CUDA_RESULTS(ROW_)
#undef ROW_
} CUresult;

typedef int CUdevice;
typedef unsigned long long CUdeviceptr;
typedef uint64_t cuuint64_t;
typedef struct CUctx_st *CUcontext;
typedef struct CUmod_st *CUmodule;
typedef struct CUfunc_st *CUfunction;
typedef struct CUkern_st *CUkernel;
typedef struct CUstream_st *CUstream;
typedef struct CUevent_st *CUevent;
typedef struct CUarray_st *CUarray;
typedef struct CUgraph_st *CUgraph;
typedef struct CUgraphNode_st *CUgraphNode;
typedef struct CUgraphExec_st *CUgraphExec;
typedef struct CUmemPoolHandle_st *CUmemoryPool;
typedef unsigned long long CUmemGenericAllocationHandle;

typedef struct CUuuid_st {
    char bytes[16];
} CUuuid;

typedef enum CUdevice_attribute_enum {
    CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK = 1,
    CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X = 2,
    CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y = 3,
    CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z = 4,
    CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X = 5,
    CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y = 6,
    CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z = 7,
    CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK = 8,
    CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY = 9,
    CU_DEVICE_ATTRIBUTE_WARP_SIZE = 10,
    CU_DEVICE_ATTRIBUTE_MAX_PITCH = 11,
    CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK = 12,
    CU_DEVICE_ATTRIBUTE_CLOCK_RATE = 13,
    CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT = 14,
    CU_DEVICE_ATTRIBUTE_GPU_OVERLAP = 15,
    CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT = 16,
    CU_DEVICE_ATTRIBUTE_INTEGRATED = 18,
    CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY = 19,
    CU_DEVICE_ATTRIBUTE_COMPUTE_MODE = 20,
    CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS = 31,
    CU_DEVICE_ATTRIBUTE_ECC_ENABLED = 32,
    CU_DEVICE_ATTRIBUTE_PCI_BUS_ID = 33,
    CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID = 34,
    CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE = 36,
    CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH = 37,
    CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE = 38,
    CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR = 39,
    CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT = 40,
    CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING = 41,
    CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID = 50,
    CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75,
    CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76,
    CU_DEVICE_ATTRIBUTE_STREAM_PRIORITIES_SUPPORTED = 78,
    CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY = 83,
    CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS = 89,
    CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED = 102,
    CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED = 115,
} CUdevice_attribute;

#define CU_CTX_SCHED_AUTO          0x00
#define CU_CTX_SCHED_SPIN          0x01
#define CU_CTX_SCHED_YIELD         0x02
#define CU_CTX_SCHED_BLOCKING_SYNC 0x04

typedef struct CUexecAffinityParam_st CUexecAffinityParam;
typedef struct CUctxCigParam_st CUctxCigParam;

typedef struct CUctxCreateParams_st {
    CUexecAffinityParam *execAffinityParams;
    int numExecAffinityParams;
    CUctxCigParam *cigParams;
} CUctxCreateParams;

#define CU_STREAM_DEFAULT      0x0
#define CU_STREAM_NON_BLOCKING 0x1
#define CU_STREAM_LEGACY       ((CUstream)0x1)
#define CU_STREAM_PER_THREAD   ((CUstream)0x2)

#define CU_EVENT_DEFAULT        0x0
#define CU_EVENT_BLOCKING_SYNC  0x1
#define CU_EVENT_DISABLE_TIMING 0x2

typedef enum CUstreamCaptureMode_enum {
    CU_STREAM_CAPTURE_MODE_GLOBAL = 0,
    CU_STREAM_CAPTURE_MODE_THREAD_LOCAL = 1,
    CU_STREAM_CAPTURE_MODE_RELAXED = 2,
} CUstreamCaptureMode;

typedef enum CUstreamCaptureStatus_enum {
    CU_STREAM_CAPTURE_STATUS_NONE = 0,
    CU_STREAM_CAPTURE_STATUS_ACTIVE = 1,
    CU_STREAM_CAPTURE_STATUS_INVALIDATED = 2,
} CUstreamCaptureStatus;

#define CU_MEM_ATTACH_GLOBAL 0x1
#define CU_MEM_ATTACH_HOST   0x2

#define CU_MEMHOSTALLOC_PORTABLE      0x1
#define CU_MEMHOSTALLOC_DEVICEMAP     0x2
#define CU_MEMHOSTALLOC_WRITECOMBINED 0x4

typedef enum CUarray_format_enum {
    CU_AD_FORMAT_UNSIGNED_INT8 = 0x01,
    CU_AD_FORMAT_UNSIGNED_INT16 = 0x02,
    CU_AD_FORMAT_UNSIGNED_INT32 = 0x03,
    CU_AD_FORMAT_SIGNED_INT8 = 0x08,
    CU_AD_FORMAT_SIGNED_INT16 = 0x09,
    CU_AD_FORMAT_SIGNED_INT32 = 0x0A,
    CU_AD_FORMAT_HALF = 0x10,
    CU_AD_FORMAT_FLOAT = 0x20,
} CUarray_format;

typedef struct CUDA_ARRAY_DESCRIPTOR_st {
    size_t Width, Height; /* in elements; height 0 for one dimension */
    CUarray_format Format;
    unsigned int NumChannels;
} CUDA_ARRAY_DESCRIPTOR;

typedef enum CUmemLocationType_enum {
    CU_MEM_LOCATION_TYPE_INVALID = 0,
    CU_MEM_LOCATION_TYPE_DEVICE = 1,
    CU_MEM_LOCATION_TYPE_HOST = 2,
    CU_MEM_LOCATION_TYPE_HOST_NUMA = 3,
    CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT = 4,
} CUmemLocationType;

typedef enum CUmemAllocationType_enum {
    CU_MEM_ALLOCATION_TYPE_INVALID = 0,
    CU_MEM_ALLOCATION_TYPE_PINNED = 1,
} CUmemAllocationType;

typedef enum CUmemAllocationHandleType_enum {
    CU_MEM_HANDLE_TYPE_NONE = 0,
    CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR = 1,
} CUmemAllocationHandleType;

typedef enum CUmemAllocationGranularity_flags_enum {
    CU_MEM_ALLOC_GRANULARITY_MINIMUM = 0,
    CU_MEM_ALLOC_GRANULARITY_RECOMMENDED = 1,
} CUmemAllocationGranularity_flags;

typedef enum CUmemAccess_flags_enum {
    CU_MEM_ACCESS_FLAGS_PROT_NONE = 0,
    CU_MEM_ACCESS_FLAGS_PROT_READ = 1,
    CU_MEM_ACCESS_FLAGS_PROT_READWRITE = 3,
} CUmemAccess_flags;

typedef struct CUmemLocation_st {
    CUmemLocationType type;
    int id;
} CUmemLocation;

typedef struct CUmemAllocationProp_st {
    CUmemAllocationType type;
    CUmemAllocationHandleType requestedHandleTypes;
    CUmemLocation location;
    void *win32HandleMetaData;
    struct {
        unsigned char compressionType;
        unsigned char gpuDirectRDMACapable;
        unsigned short usage;
        unsigned char reserved[4];
    } allocFlags;
} CUmemAllocationProp;

typedef struct CUmemAccessDesc_st {
    CUmemLocation location;
    CUmemAccess_flags flags;
} CUmemAccessDesc;

/* For cuLaunchKernel's `extra`. */
#define CU_LAUNCH_PARAM_END            ((void *)0x00)
#define CU_LAUNCH_PARAM_BUFFER_POINTER ((void *)0x01)
#define CU_LAUNCH_PARAM_BUFFER_SIZE    ((void *)0x02)

typedef struct CUlaunchAttribute_st {
    int id; /* CUlaunchAttributeID */
    char pad[4];
    union {
        char pad[64];
        uint64_t align;
    } value;
} CUlaunchAttribute;

typedef struct CUlaunchConfig_st {
    unsigned int gridDimX, gridDimY, gridDimZ;
    unsigned int blockDimX, blockDimY, blockDimZ;
    unsigned int sharedMemBytes;
    CUstream hStream;
    CUlaunchAttribute *attrs;
    unsigned int numAttrs;
} CUlaunchConfig;

typedef struct CUDA_KERNEL_NODE_PARAMS_v2_st {
    CUfunction func;
    unsigned int gridDimX, gridDimY, gridDimZ;
    unsigned int blockDimX, blockDimY, blockDimZ;
    unsigned int sharedMemBytes;
    void **kernelParams;
    void **extra;
    CUkernel kern;
    CUcontext ctx;
} CUDA_KERNEL_NODE_PARAMS;

typedef enum CUdriverProcAddressQueryResult_enum {
    CU_GET_PROC_ADDRESS_SUCCESS = 0,
    CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND = 1,
    CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT = 2,
} CUdriverProcAddressQueryResult;

#define CU_GET_PROC_ADDRESS_DEFAULT                   0
#define CU_GET_PROC_ADDRESS_LEGACY_STREAM             1
#define CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM 2

typedef enum CUmoduleLoadingMode_enum {
    CU_MODULE_EAGER_LOADING = 1,
    CU_MODULE_LAZY_LOADING = 2,
} CUmoduleLoadingMode;

_Static_assert(sizeof(CUctxCreateParams) == 24, "CUDA ABI");
_Static_assert(sizeof(CUDA_ARRAY_DESCRIPTOR) == 24, "CUDA ABI");
_Static_assert(sizeof(CUmemAllocationProp) == 32, "CUDA ABI");
_Static_assert(sizeof(CUmemAccessDesc) == 12, "CUDA ABI");
_Static_assert(sizeof(CUlaunchAttribute) == 72, "CUDA ABI");
_Static_assert(sizeof(CUlaunchConfig) == 56, "CUDA ABI");
_Static_assert(sizeof(CUDA_KERNEL_NODE_PARAMS) == 72, "CUDA ABI");
