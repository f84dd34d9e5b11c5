#pragma once
/*
 * cuda_calls - the functions that the simulated libcuda.so.1 exports: the CUDA rows of driver.def,
 * which are defined in the cuda_*.c files.
 */
#include "abi/cuda.h"
#include "abi/nvml.h"
#include "macro/driver.h"
#include "utils/attr.h"

#define ROW_CUDA(library, symbol, ...)      EXPORTED DRIVER_PROTOTYPE(library, symbol, __VA_ARGS__);
#define ROW_NVML(library, symbol, ...)      /* the other library's */
#define ROW_NVML_TEXT(library, symbol, ...) /* the other library's */
#define HOOK(library, symbol, version, class, policy, words, ...)                                  \
    ROW_##library(library, symbol, __VA_ARGS__)
#include "macro/driver.def"
#undef ROW_CUDA
#undef ROW_NVML
#undef ROW_NVML_TEXT
