#pragma once
/*
 * driver - takes a row of driver.def apart. Whoever includes the table includes abi/cuda.h and
 * abi/nvml.h for the types in it.
 *
 *     HOOK(library, symbol, version, class, policy, words, (type, name), ...)
 *
 * library: CUDA, NVML (what it returns: DRIVER_RESULT_<library>), or NVML_TEXT, which returns
 * words. version: the CUDA version that brought the symbol, which is what cuGetProcAddress is asked
 * for; 0 for NVML. class: what kind of function. policy: the api engine's, `none` where it has
 * none: the row is then called or simulated, not intercepted. `(void, )` stands for no parameters.
 */
#include "macro/map.h"

#define DRIVER_RESULT_CUDA      CUresult
#define DRIVER_RESULT_NVML      nvmlReturn_t
#define DRIVER_RESULT_NVML_TEXT const char *

#define DRIVER_PARAMETER(type, name) type name
#define DRIVER_PARAMETERS(...)       MACRO_LIST(DRIVER_PARAMETER, __VA_ARGS__)

/*
 * `CUresult cuMemAlloc_v2(CUdeviceptr * dptr, size_t bytes)` of a row's library, symbol,
 * parameters.
 */
#define DRIVER_PROTOTYPE(library, symbol, ...)                                                     \
    DRIVER_RESULT_##library symbol(DRIVER_PARAMETERS(__VA_ARGS__))

/* The type next_cuMemAlloc_v2, a function; in a struct: `next_cuMemAlloc_v2 *cuMemAlloc_v2;`. */
#define DRIVER_TYPE(library, symbol, ...)                                                          \
    typedef DRIVER_RESULT_##library next_##symbol(DRIVER_PARAMETERS(__VA_ARGS__))
