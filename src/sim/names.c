/*
 * names - how programs find the driver's functions, and its words for results. cuGetProcAddress
 * answers with the exported functions, the newest version that is not newer than was asked for.
 */
#include "sim/card.h"
#include "sim/cuda_calls.h"
#include "utils/attr.h"
#include "utils/str.h"

#include <string.h>

struct row {
    const char *symbol;
    int version;
    void *function;
};

#define ROW_CUDA(symbol, version) {#symbol, version, (void *)symbol},
#define ROW_NVML(symbol, version)
#define ROW_NVML_TEXT(symbol, version)
#define HOOK(library, symbol, version, class, policy, words, ...) ROW_##library(symbol, version)
static const struct row rows[] = {
#include "macro/driver.def"
};

/* The length of a symbol without its version: cuMemAlloc of cuMemAlloc_v2. */
static size_t base_length(const char *symbol)
{
    size_t length = strlen(symbol);

    if (length > 3 && symbol[length - 3] == '_' && symbol[length - 2] == 'v')
        return length - 3;
    return length;
}

static bool has_base(const struct row *row, const char *base)
{
    size_t length = base_length(row->symbol);

    return strlen(base) == length && strncmp(row->symbol, base, length) == 0;
}

CUresult cuGetProcAddress_v2(const char *symbol, void **function, int version, cuuint64_t flags,
                             CUdriverProcAddressQueryResult *status)
{
    CUdriverProcAddressQueryResult found = CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
    const struct row *best = NULL;

    if (!symbol || !function)
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        if (!has_base(&rows[i], symbol))
            continue;
        if (found == CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND)
            found = CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT;
        if (rows[i].version <= version && (!best || rows[i].version > best->version))
            best = &rows[i];
    }
    if (best)
        found = CU_GET_PROC_ADDRESS_SUCCESS;
    if (status)
        *status = found;
    *function = best ? best->function : NULL;
    /* Who takes a status gets the answer there. */
    return best || status ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

CUresult cuGetProcAddress(const char *symbol, void **function, int version, cuuint64_t flags)
{
    return cuGetProcAddress_v2(symbol, function, version, flags, NULL);
}

/* There are no private interfaces in this driver. */
CUresult cuGetExportTable(const void **table, const CUuuid *id)
{
    return table && id ? CUDA_ERROR_NOT_FOUND : CUDA_ERROR_INVALID_VALUE;
}

static const struct {
    CUresult result;
    const char *name, *text;
} results[] = {
#define ROW_RESULT(name, value, words) {name, #name, words},
    CUDA_RESULTS(ROW_RESULT)
#undef ROW_RESULT
};

CUresult cuGetErrorName(CUresult error, const char **text)
{
    if (!text)
        return CUDA_ERROR_INVALID_VALUE;
    *text = NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(results); i++) {
        if (results[i].result == error)
            *text = results[i].name;
    }
    return *text ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGetErrorString(CUresult error, const char **text)
{
    if (!text)
        return CUDA_ERROR_INVALID_VALUE;
    *text = NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(results); i++) {
        if (results[i].result == error)
            *text = results[i].text;
    }
    return *text ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
