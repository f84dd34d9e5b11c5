#include "sim/module.h"

#include "sim/block.h"
#include "sim/context.h"
#include "sim/cuda_calls.h"
#include "sim/ptx.h"
#include "sim/range.h"
#include "utils/str.h"

#include <stdlib.h>
#include <string.h>

#define KERNEL_NS         UINT64_C(10000) /* of a kernel without a contract */
#define PS_PER_NS         1000
#define BLOCK_THREADS_MAX 1024
#define EXTRA_MAX         8

struct CUfunc_st {
    const struct ptx_entry *entry;
};

struct CUmod_st {
    struct list node; /* in its context */
    struct CUctx_st *context;
    struct ptx_entry *entries;
    struct CUfunc_st *functions; /* one for each entry, in their order */
    size_t function_count;
};

static CUresult make_functions(struct CUmod_st *module)
{
    const struct ptx_entry *entry;
    size_t i = 0;

    for (entry = module->entries; entry; entry = entry->next)
        module->function_count++;
    module->functions = calloc(module->function_count + 1, sizeof(*module->functions));
    if (!module->functions)
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (entry = module->entries; entry; entry = entry->next)
        module->functions[i++].entry = entry;
    return CUDA_SUCCESS;
}

static void free_module(struct CUmod_st *module)
{
    ptx_free(module->entries);
    free(module->functions);
    free(module);
}

/* The simulator has no processor: only text can tell it what a kernel does. */
static CUresult load(struct CUmod_st *module, const char *image)
{
    static const char binary_magics[][4] = {"\x7f"
                                            "ELF",
                                            "\x50\xed\x55\xba"};

    for (size_t i = 0; i < ARRAY_LENGTH(binary_magics); i++) {
        if (memcmp(image, binary_magics[i], sizeof(binary_magics[i])) == 0)
            return CUDA_ERROR_NO_BINARY_FOR_GPU;
    }
    if (ptx_parse(&module->entries, image, NULL) < 0)
        return CUDA_ERROR_INVALID_PTX;
    return make_functions(module);
}

CUresult cuModuleLoadData(CUmodule *module, const void *image)
{
    struct CUctx_st *context;
    struct CUmod_st *made;
    CUresult result = context_current(&context);

    if (result != CUDA_SUCCESS)
        return result;
    if (!module || !image)
        return CUDA_ERROR_INVALID_VALUE;
    made = calloc(1, sizeof(*made));
    if (!made)
        return CUDA_ERROR_OUT_OF_MEMORY;
    made->context = context;
    result = load(made, image);
    if (result != CUDA_SUCCESS) {
        free_module(made);
        return result;
    }
    context_lock(context);
    list_append(&context->modules, &made->node);
    context_unlock(context);
    *module = made;
    return CUDA_SUCCESS;
}

CUresult cuModuleUnload(CUmodule module)
{
    if (!module)
        return CUDA_ERROR_INVALID_HANDLE;
    context_lock(module->context);
    list_remove(&module->node);
    context_unlock(module->context);
    free_module(module);
    return CUDA_SUCCESS;
}

void module_end_all(struct CUctx_st *context)
{
    LIST_EACH_SAFE(node, following, &context->modules)
    free_module(CONTAINER_OF(node, struct CUmod_st, node));
}

CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name)
{
    if (!function || !module || !name)
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < module->function_count; i++) {
        if (str_equals(module->functions[i].entry->name, name)) {
            *function = &module->functions[i];
            return CUDA_SUCCESS;
        }
    }
    return CUDA_ERROR_NOT_FOUND;
}

CUresult cuModuleGetLoadingMode(CUmoduleLoadingMode *mode)
{
    if (!mode)
        return CUDA_ERROR_INVALID_VALUE;
    *mode = CU_MODULE_LAZY_LOADING;
    return CUDA_SUCCESS;
}

/* --- launching -------------------------------------------------------------------------------- */

/* The buffer of `extra` with its parameters one behind the other; NULL for none. */
static const uint8_t *find_buffer(void **extra)
{
    for (int i = 0; extra && i < EXTRA_MAX && extra[i] != CU_LAUNCH_PARAM_END; i += 2) {
        if (extra[i] == CU_LAUNCH_PARAM_BUFFER_POINTER)
            return extra[i + 1];
    }
    return NULL;
}

/* The value of an integer or pointer parameter, 0 for none. */
static uint64_t read_parameter(const struct ptx_entry *entry, const struct module_launch *launch,
                               int index)
{
    const uint8_t *buffer = find_buffer(launch->extra), *source;
    const struct ptx_parameter *parameter;
    uint64_t value = 0;

    if (index == PTX_NONE)
        return 0;
    parameter = &entry->parameters[index];
    source = launch->parameters ? launch->parameters[index]
             : buffer           ? buffer + parameter->offset
                                : NULL;
    if (source && parameter->bytes <= sizeof(value))
        memcpy(&value, source, parameter->bytes);
    return value;
}

/* Where in RM memory the pointer points; plain memory of the process is out of the GPU's reach. */
static CUresult find_word(uint64_t address, uint32_t *ret_memory, uint64_t *ret_offset)
{
    struct range range;

    if (address == 0)
        return CUDA_SUCCESS;
    if (address % sizeof(uint64_t) != 0 || !range_find(address, &range) || !range.block)
        return CUDA_ERROR_ILLEGAL_ADDRESS;
    *ret_memory = range.block->memory;
    *ret_offset = range.offset + (address - range.address);
    return CUDA_SUCCESS;
}

static CUresult check(const struct module_launch *launch)
{
    uint64_t threads = 1;

    for (int i = 0; i < 3; i++) {
        if (launch->grid[i] == 0 || launch->block[i] == 0)
            return CUDA_ERROR_INVALID_VALUE;
        threads *= launch->block[i];
        if (threads > BLOCK_THREADS_MAX)
            return CUDA_ERROR_INVALID_VALUE;
    }
    return CUDA_SUCCESS;
}

CUresult module_make_item(CUfunction function, const struct module_launch *launch,
                          struct queue_item *ret_item)
{
    struct queue_item item = {
        .kind = QUEUE_KERNEL, .duration_ns = KERNEL_NS, .flags = QUEUE_PROGRESS_ADDS};
    const struct ptx_entry *entry;
    CUresult result = check(launch);

    if (!function)
        return CUDA_ERROR_INVALID_HANDLE;
    if (result != CUDA_SUCCESS)
        return result;
    entry = function->entry;
    if (entry->parameter_count > 0 && !launch->parameters && !find_buffer(launch->extra))
        return CUDA_ERROR_INVALID_VALUE;
    if (entry->duration != PTX_NONE) {
        item.progress_units = read_parameter(entry, launch, entry->duration);
        item.duration_ns =
            (uint64_t)((unsigned __int128)item.progress_units * entry->unit_ps / PS_PER_NS);
    }
    result = find_word(read_parameter(entry, launch, entry->progress), &item.progress_memory,
                       &item.progress_offset);
    if (result == CUDA_SUCCESS)
        result = find_word(read_parameter(entry, launch, entry->clock), &item.clock_memory,
                           &item.clock_offset);
    if (result == CUDA_SUCCESS)
        *ret_item = item;
    return result;
}

static CUresult launch_on(CUfunction function, const struct module_launch *launch, CUstream stream)
{
    struct CUstream_st *target;
    struct queue_item item;
    CUresult result = stream_resolve(stream, &target);

    if (result == CUDA_SUCCESS)
        result = module_make_item(function, launch, &item);
    return result == CUDA_SUCCESS ? stream_submit(target, &item) : result;
}

CUresult cuLaunchKernel(CUfunction function, unsigned int grid_x, unsigned int grid_y,
                        unsigned int grid_z, unsigned int block_x, unsigned int block_y,
                        unsigned int block_z, unsigned int shared_bytes, CUstream stream,
                        void **parameters, void **extra)
{
    struct module_launch launch = {
        {grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, parameters, extra};

    return launch_on(function, &launch, stream);
}

CUresult cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction function, void **parameters,
                          void **extra)
{
    struct module_launch launch;

    if (!config)
        return CUDA_ERROR_INVALID_VALUE;
    launch = (struct module_launch){
        {config->gridDimX, config->gridDimY, config->gridDimZ},
        {config->blockDimX, config->blockDimY, config->blockDimZ},
        parameters,
        extra,
    };
    return launch_on(function, &launch, config->hStream);
}
