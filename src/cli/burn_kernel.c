#include "cli/burn_kernel.h"

#include <errno.h>

#define THREADS       512
#define BLOCKS_PER_SM 2
#define FIRST_WORK    30u
#define GRAPH_US      400u

#define GRAPH_KERNELS_MOST 10u

/*
 * The comment line is the simulator's contract: a unit is a microsecond there. Hardware runs the
 * code: `work` turns of dependent arithmetic a unit in every thread; the first thread of the first
 * block stores the counter after each unit and the GPU's clock at the end.
 */
static const char kernel_ptx[] =
    ".version 6.4\n"
    ".target sm_70\n"
    ".address_size 64\n"
    "//! sim duration_ns=units * 1000 progress=counter clock=end\n"
    ".visible .entry burn(.param .u64 units, .param .u64 counter, .param .u64 end,\n"
    "                     .param .u32 work)\n"
    "{\n"
    "    .reg .pred %p<6>;\n"
    "    .reg .b32 %r<8>;\n"
    "    .reg .b64 %rd<8>;\n"
    "    ld.param.u64 %rd1, [units];\n"
    "    ld.param.u64 %rd2, [counter];\n"
    "    ld.param.u64 %rd3, [end];\n"
    "    ld.param.u32 %r1, [work];\n"
    "    mov.u32 %r2, %tid.x;\n"
    "    mov.u32 %r3, %ctaid.x;\n"
    "    or.b32 %r4, %r2, %r3;\n"
    "    setp.eq.u32 %p1, %r4, 0;\n"
    "    mov.u64 %rd4, 0;\n"
    "    mov.u64 %rd5, 0;\n"
    "    @%p1 ld.volatile.global.u64 %rd5, [%rd2];\n"
    "UNIT:\n"
    "    setp.ge.u64 %p2, %rd4, %rd1;\n"
    "    @%p2 bra DONE;\n"
    "    mov.u32 %r5, 0;\n"
    "WORK:\n"
    "    mad.lo.u32 %r2, %r2, 1664525, 1013904223;\n"
    "    mad.lo.u32 %r2, %r2, 22695477, 1;\n"
    "    mad.lo.u32 %r2, %r2, 1103515245, 12345;\n"
    "    mad.lo.u32 %r2, %r2, 134775813, 1;\n"
    "    add.u32 %r5, %r5, 1;\n"
    "    setp.lt.u32 %p3, %r5, %r1;\n"
    "    @%p3 bra WORK;\n"
    "    add.u64 %rd4, %rd4, 1;\n"
    "    add.u64 %rd6, %rd5, %rd4;\n"
    "    @%p1 st.volatile.global.u64 [%rd2], %rd6;\n"
    "    bra UNIT;\n"
    "DONE:\n"
    "    setp.eq.u32 %p4, %r2, 42;\n"
    "    setp.eq.u64 %p5, %rd1, 0;\n"
    "    and.pred %p4, %p4, %p5;\n"
    "    @%p4 st.volatile.global.u32 [%rd2], %r2;\n"
    "    setp.ne.u64 %p5, %rd3, 0;\n"
    "    and.pred %p1, %p1, %p5;\n"
    "    @!%p1 bra END;\n"
    "    mov.u64 %rd7, %globaltimer;\n"
    "    st.volatile.global.u64 [%rd3], %rd7;\n"
    "END:\n"
    "    ret;\n"
    "}\n";

int burn_kernel_judge(const struct burn_kernel *kernel, CUresult result, const char *what,
                      struct err *err)
{
    if (result == CUDA_SUCCESS)
        return 0;
    return err_say(err, EIO, "%s: %s", what, cuda_library_name(&kernel->cuda, result));
}

static CUresult open_context(struct burn_kernel *kernel)
{
    const struct cuda_library *cuda = &kernel->cuda;
    int multiprocessors = 0;
    CUdevice device;
    CUresult result = cuda->cuInit(0);

    if (result == CUDA_SUCCESS)
        result = cuda->cuDeviceGet(&device, 0);
    if (result == CUDA_SUCCESS)
        result = cuda->cuDeviceGetAttribute(&multiprocessors,
                                            CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, device);
    if (result == CUDA_SUCCESS)
        result = cuda->cuDevicePrimaryCtxRetain(&kernel->context, device);
    if (result == CUDA_SUCCESS)
        result = cuda->cuCtxSetCurrent(kernel->context);
    kernel->grid = (unsigned int)multiprocessors * BLOCKS_PER_SM;
    return result;
}

static CUresult open_module(struct burn_kernel *kernel)
{
    const struct cuda_library *cuda = &kernel->cuda;
    void *memory = NULL;
    CUmodule module;
    CUresult result = cuda->cuModuleLoadData(&module, kernel_ptx);

    if (result == CUDA_SUCCESS)
        result = cuda->cuModuleGetFunction(&kernel->function, module, "burn");
    if (result == CUDA_SUCCESS)
        result =
            cuda->cuMemHostAlloc(&memory, (BURN_STREAMS_MAX * 8 + BURN_SLOTS) * sizeof(uint64_t),
                                 CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP);
    kernel->counters = memory; /* one a 64 byte line */
    kernel->ends = kernel->counters ? kernel->counters + BURN_STREAMS_MAX * 8 : NULL;
    for (uint32_t i = 0; i < kernel->stream_count && result == CUDA_SUCCESS; i++)
        result = cuda->cuStreamCreate(&kernel->streams[i], CU_STREAM_NON_BLOCKING);
    return result;
}

int burn_kernel_open(struct burn_kernel *kernel, uint64_t units, uint32_t stream_count,
                     struct err *err)
{
    CUresult result;
    int rc;

    *kernel =
        (struct burn_kernel){.units = units, .stream_count = stream_count, .work = FIRST_WORK};
    rc = cuda_library_open(&kernel->cuda, err);
    if (rc < 0)
        return rc;
    result = open_context(kernel);
    if (result != CUDA_SUCCESS)
        return burn_kernel_judge(kernel, result, "begin with CUDA", err);
    return burn_kernel_judge(kernel, open_module(kernel), "load the kernel", err);
}

CUresult burn_kernel_launch_units(struct burn_kernel *kernel, uint32_t stream, uint64_t units,
                                  int slot)
{
    uint64_t counter = (uint64_t)(uintptr_t)(kernel->counters + stream * 8);
    uint64_t end = slot < 0 ? 0 : (uint64_t)(uintptr_t)(kernel->ends + slot);
    void *parameters[] = {&units, &counter, &end, &kernel->work};

    return kernel->cuda.cuLaunchKernel(kernel->function, kernel->grid, 1, 1, THREADS, 1, 1, 0,
                                       kernel->streams[stream], parameters, NULL);
}

CUresult burn_kernel_launch(struct burn_kernel *kernel, uint32_t stream, int slot)
{
    return burn_kernel_launch_units(kernel, stream, kernel->units, slot);
}

uint64_t burn_kernel_progress(const struct burn_kernel *kernel)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < kernel->stream_count; i++)
        sum += kernel->counters[i * 8];
    return sum;
}

CUresult burn_kernel_make_graph(struct burn_kernel *kernel)
{
    const struct cuda_library *cuda = &kernel->cuda;
    CUgraph graph = NULL;
    CUresult result =
        cuda->cuStreamBeginCapture_v2(kernel->streams[0], CU_STREAM_CAPTURE_MODE_GLOBAL);

    kernel->graph_kernels = (uint32_t)(GRAPH_US / kernel->units);
    if (kernel->graph_kernels > GRAPH_KERNELS_MOST)
        kernel->graph_kernels = GRAPH_KERNELS_MOST;
    if (!kernel->graph_kernels)
        kernel->graph_kernels = 1;
    for (uint32_t i = 0; i < kernel->graph_kernels && result == CUDA_SUCCESS; i++)
        result = burn_kernel_launch(kernel, 0, -1);
    if (result == CUDA_SUCCESS)
        result = cuda->cuStreamEndCapture(kernel->streams[0], &graph);
    if (result == CUDA_SUCCESS)
        result = cuda->cuGraphInstantiateWithFlags(&kernel->graph, graph, 0);
    return result;
}

CUresult burn_kernel_launch_many(struct burn_kernel *kernel, uint32_t stream, uint32_t count)
{
    CUresult result = CUDA_SUCCESS;

    if (kernel->graph)
        for (uint32_t i = 0; i < count && result == CUDA_SUCCESS; i += kernel->graph_kernels)
            result = kernel->cuda.cuGraphLaunch(kernel->graph, kernel->streams[stream]);
    else
        for (uint32_t i = 0; i < count && result == CUDA_SUCCESS; i++)
            result = burn_kernel_launch(kernel, stream, -1);
    return result;
}

uint32_t burn_kernel_round(const struct burn_kernel *kernel, uint64_t count)
{
    uint64_t step = kernel->graph ? kernel->graph_kernels : 1;

    return (uint32_t)(count <= step ? step : (count + step - 1) / step * step);
}
