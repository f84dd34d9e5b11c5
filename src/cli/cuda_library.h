#pragma once
/*
 * cuda_library - the CUDA driver as this program's guests call it: found by dlopen, so that nothing
 * is needed to build and nothing happens without a driver.
 */
#include "abi/cuda.h"
#include "abi/nvml.h"
#include "macro/driver.h"
#include "utils/attr.h"
#include "utils/err.h"

#define ROW_CUDA(symbol, ...) DRIVER_TYPE(CUDA, symbol, __VA_ARGS__);
#define ROW_NVML(symbol, ...)
#define ROW_NVML_TEXT(symbol, ...)
#define HOOK(library, symbol, version, class, policy, words, ...) ROW_##library(symbol, __VA_ARGS__)
#include "macro/driver.def"
#undef ROW_CUDA
#undef ROW_NVML
#undef ROW_NVML_TEXT

/* What is called; each is in every driver since CUDA 11.4. */
#define CUDA_LIBRARY_FUNCTIONS(FUNCTION)                                                           \
    FUNCTION(cuInit)                                                                               \
    FUNCTION(cuDeviceGet)                                                                          \
    FUNCTION(cuDeviceGetCount)                                                                     \
    FUNCTION(cuDeviceGetAttribute)                                                                 \
    FUNCTION(cuDevicePrimaryCtxRetain)                                                             \
    FUNCTION(cuCtxSetCurrent)                                                                      \
    FUNCTION(cuModuleLoadData)                                                                     \
    FUNCTION(cuModuleGetFunction)                                                                  \
    FUNCTION(cuMemAlloc_v2)                                                                        \
    FUNCTION(cuMemFree_v2)                                                                         \
    FUNCTION(cuMemAllocPitch_v2)                                                                   \
    FUNCTION(cuMemAllocAsync)                                                                      \
    FUNCTION(cuMemFreeAsync)                                                                       \
    FUNCTION(cuMemCreate)                                                                          \
    FUNCTION(cuMemRelease)                                                                         \
    FUNCTION(cuArrayCreate_v2)                                                                     \
    FUNCTION(cuArrayDestroy)                                                                       \
    FUNCTION(cuMemGetInfo_v2)                                                                      \
    FUNCTION(cuMemHostAlloc)                                                                       \
    FUNCTION(cuLaunchKernel)                                                                       \
    FUNCTION(cuStreamCreate)                                                                       \
    FUNCTION(cuStreamWaitEvent)                                                                    \
    FUNCTION(cuStreamQuery)                                                                        \
    FUNCTION(cuStreamSynchronize)                                                                  \
    FUNCTION(cuEventCreate)                                                                        \
    FUNCTION(cuEventRecord)                                                                        \
    FUNCTION(cuEventSynchronize)                                                                   \
    FUNCTION(cuEventElapsedTime)                                                                   \
    FUNCTION(cuStreamBeginCapture_v2)                                                              \
    FUNCTION(cuStreamEndCapture)                                                                   \
    FUNCTION(cuGraphInstantiateWithFlags)                                                          \
    FUNCTION(cuGraphLaunch)                                                                        \
    FUNCTION(cuGetErrorName)

struct cuda_library {
#define MEMBER(name) next_##name *name;
    CUDA_LIBRARY_FUNCTIONS(MEMBER)
#undef MEMBER
};

/* -ENODEV with words where there is no driver. The library stays open. */
int cuda_library_open(struct cuda_library *ret_library, struct err *err) MUST_CHECK;

/* The name of a result, "CUDA_ERROR_..."; for messages. */
const char *cuda_library_name(const struct cuda_library *library, CUresult result);
