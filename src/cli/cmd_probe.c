#include "cli/command.h"
#include "cli/commands.h"
#include "cli/cuda_library.h"
#include "utils/clock.h"
#include "utils/log.h"
#include "utils/str.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define MIB      ((size_t)1 << 20)
#define BATCHES  101
#define LAUNCHES 200
#define CALLS    20

static const char empty_kernel[] = ".version 6.4\n.target sm_70\n.address_size 64\n"
                                   ".visible .entry nothing() { ret; }\n";

struct guest {
    struct cuda_library cuda;
    CUdevice device;
    CUstream stream;
    CUfunction nothing;
};

static CUresult begin(struct guest *guest)
{
    CUcontext context;
    CUresult result = guest->cuda.cuInit(0);

    if (result == CUDA_SUCCESS)
        result = guest->cuda.cuDeviceGet(&guest->device, 0);
    if (result == CUDA_SUCCESS)
        result = guest->cuda.cuDevicePrimaryCtxRetain(&context, guest->device);
    if (result == CUDA_SUCCESS)
        result = guest->cuda.cuCtxSetCurrent(context);
    if (result == CUDA_SUCCESS)
        result = guest->cuda.cuStreamCreate(&guest->stream, CU_STREAM_NON_BLOCKING);
    return result;
}

/* --- what calls cost --- */

static CUresult launch(struct guest *guest)
{
    return guest->cuda.cuLaunchKernel(guest->nothing, 1, 1, 1, 1, 1, 1, 0, guest->stream, NULL,
                                      NULL);
}

static CUresult allocate(struct guest *guest)
{
    CUdeviceptr pointer;
    CUresult result = guest->cuda.cuMemAlloc_v2(&pointer, 8 * MIB);

    return result == CUDA_SUCCESS ? guest->cuda.cuMemFree_v2(pointer) : result;
}

static CUresult ask(struct guest *guest)
{
    size_t free_bytes, total_bytes;

    return guest->cuda.cuMemGetInfo_v2(&free_bytes, &total_bytes);
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;

    return left < right ? -1 : left > right;
}

/* The median over batches of what a call takes; the first call is not counted. */
static CUresult measure(struct guest *guest, CUresult (*call)(struct guest *), int calls,
                        double *ret_us)
{
    static double times_us[BATCHES];
    CUresult result = call(guest);

    for (int batch = 0; batch < BATCHES && result == CUDA_SUCCESS; batch++) {
        uint64_t begin_ns;

        result = guest->cuda.cuStreamSynchronize(guest->stream);
        begin_ns = clock_now_ns();
        for (int i = 0; i < calls && result == CUDA_SUCCESS; i++)
            result = call(guest);
        times_us[batch] = (double)(clock_now_ns() - begin_ns) / 1e3 / calls;
    }
    qsort(times_us, BATCHES, sizeof(times_us[0]), compare);
    *ret_us = times_us[BATCHES / 2];
    return result;
}

static CUresult tell_cost(struct guest *guest)
{
    double launch_us = 0, alloc_us = 0, info_us = 0;
    CUmodule module;
    CUresult result = guest->cuda.cuModuleLoadData(&module, empty_kernel);

    if (result == CUDA_SUCCESS)
        result = guest->cuda.cuModuleGetFunction(&guest->nothing, module, "nothing");
    if (result == CUDA_SUCCESS)
        result = measure(guest, launch, LAUNCHES, &launch_us);
    if (result == CUDA_SUCCESS)
        result = measure(guest, allocate, CALLS, &alloc_us);
    if (result == CUDA_SUCCESS)
        result = measure(guest, ask, CALLS, &info_us);
    if (result == CUDA_SUCCESS)
        printf("{\"launch_us\": %.4f, \"alloc_us\": %.4f, \"info_us\": %.4f}\n", launch_us,
               alloc_us, info_us);
    return result;
}

/* --- every kind of memory --- */

/* Names what was done, and goes on when told to. */
static CUresult step(CUresult result, const char *name)
{
    if (result != CUDA_SUCCESS)
        return result;
    printf("%s\n", name);
    (void)fflush(stdout);
    return getchar() == EOF ? CUDA_ERROR_UNKNOWN : CUDA_SUCCESS;
}

static CUresult have_plain(struct guest *guest)
{
    static const size_t sizes[] = {1, 3 * MIB, 100 * MIB};
    static const char *const names[] = {"one byte", "3 MiB", "100 MiB"};
    CUdeviceptr pointers[3] = {0};
    CUresult result = CUDA_SUCCESS;

    for (size_t i = 0; i < 3 && result == CUDA_SUCCESS; i++)
        result = step(guest->cuda.cuMemAlloc_v2(&pointers[i], sizes[i]), names[i]);
    for (size_t i = 0; i < 3 && result == CUDA_SUCCESS; i++)
        result = guest->cuda.cuMemFree_v2(pointers[i]);
    return step(result, "all freed");
}

static CUresult have_pools(struct guest *guest)
{
    CUdeviceptr pitched = 0, pooled = 0;
    size_t pitch_bytes;
    CUresult result =
        step(guest->cuda.cuMemAllocPitch_v2(&pitched, &pitch_bytes, 1000, 30000, 4), "pitched");

    if (result == CUDA_SUCCESS)
        result = step(guest->cuda.cuMemAllocAsync(&pooled, 20 * MIB, guest->stream), "from a pool");
    if (result == CUDA_SUCCESS)
        result = guest->cuda.cuMemFree_v2(pitched);
    if (result == CUDA_SUCCESS)
        result = guest->cuda.cuMemFreeAsync(pooled, guest->stream);
    if (result == CUDA_SUCCESS)
        result = guest->cuda.cuStreamSynchronize(guest->stream);
    return step(result, "those freed");
}

static CUresult have_others(struct guest *guest)
{
    CUDA_ARRAY_DESCRIPTOR shape = {
        .Width = 2048, .Height = 2048, .Format = CU_AD_FORMAT_FLOAT, .NumChannels = 1};
    CUmemAllocationProp properties = {
        .type = CU_MEM_ALLOCATION_TYPE_PINNED,
        .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = guest->device}};
    CUmemGenericAllocationHandle physical = 0;
    CUarray array = NULL;
    CUresult result = step(guest->cuda.cuArrayCreate_v2(&array, &shape), "an array");

    if (result == CUDA_SUCCESS)
        result = step(guest->cuda.cuMemCreate(&physical, 64 * MIB, &properties, 0), "physical");
    if (result == CUDA_SUCCESS)
        result = guest->cuda.cuArrayDestroy(array);
    if (result == CUDA_SUCCESS)
        result = guest->cuda.cuMemRelease(physical);
    return step(result, "everything freed");
}

static CUresult show_kinds(struct guest *guest)
{
    CUresult result = step(CUDA_SUCCESS, "a context");

    if (result == CUDA_SUCCESS)
        result = have_plain(guest);
    if (result == CUDA_SUCCESS)
        result = have_pools(guest);
    return result == CUDA_SUCCESS ? have_others(guest) : result;
}

int cmd_probe(const struct command_line *line)
{
    const char *what = line->operand_count == 1 ? line->operands[0] : "";
    struct guest guest = {0};
    struct err err;
    CUresult result;

    if (!str_equals(what, "start") && !str_equals(what, "cost") && !str_equals(what, "kinds"))
        return command_usage_error(line, "start, cost or kinds");
    if (cuda_library_open(&guest.cuda, &err) < 0) {
        log_error("probe: %s", err.text);
        return COMMAND_FAILED;
    }
    result = begin(&guest);
    if (result == CUDA_SUCCESS && str_equals(what, "cost"))
        result = tell_cost(&guest);
    if (result == CUDA_SUCCESS && str_equals(what, "kinds"))
        result = show_kinds(&guest);
    if (result != CUDA_SUCCESS)
        log_error("probe: %s", cuda_library_name(&guest.cuda, result));
    return result == CUDA_SUCCESS ? COMMAND_OK : COMMAND_FAILED;
}
