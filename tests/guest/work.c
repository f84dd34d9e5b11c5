/*
 * work - a guest that uses the driver in the ways that programs do, and says in TAP whether it kept
 * its promises: kernels with counters, streams, events, graphs, copies, mapped memory, lookups.
 *
 *     work            all of it
 *     work fork       a child that does not touch the GPU, while the parent works
 *     work lost       launches until the GPU is gone, and prints the result
 */
#include "abi/cuda.h"
#include "abi/nvml.h"
#include "macro/driver.h"
#include "tests/guest/spin.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

#define ROW_CUDA(symbol, ...) DRIVER_TYPE(CUDA, symbol, __VA_ARGS__);
#define ROW_NVML(symbol, ...)
#define ROW_NVML_TEXT(symbol, ...)
#define HOOK(library, symbol, version, class, policy, words, ...) ROW_##library(symbol, __VA_ARGS__)
#include "macro/driver.def"
#undef ROW_CUDA

static struct {
#define ROW_CUDA(symbol)                                          next_##symbol *symbol;
#define HOOK(library, symbol, version, class, policy, words, ...) ROW_##library(symbol)
#include "macro/driver.def"
#undef ROW_CUDA
} cuda;

static struct {
    int count, failed;
    CUfunction spin;
    uint64_t *pinned; /* [0] a counter, [1] a clock */
} guest;

static void load_driver(void)
{
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);

    if (!library) {
        fprintf(stderr, "guest: %s\n", dlerror());
        exit(3);
    }
#define ROW_CUDA(symbol)                                                                           \
    cuda.symbol = (next_##symbol *)dlsym(library, #symbol);                                        \
    if (!cuda.symbol)                                                                              \
        fprintf(stderr, "guest: no %s\n", #symbol);
#define HOOK(library, symbol, version, class, policy, words, ...) ROW_##library(symbol)
#include "macro/driver.def"
#undef ROW_CUDA
}

static void must(CUresult result, const char *what)
{
    const char *text = "?";

    if (result == CUDA_SUCCESS)
        return;
    (void)cuda.cuGetErrorName(result, &text);
    fprintf(stderr, "guest: %s: %s\n", what, text);
    exit(3);
}

#define MUST(call) must(cuda.call, #call)

static void is(bool is_true, const char *sentence)
{
    guest.count++;
    guest.failed += !is_true;
    printf("%s %d - %s\n", is_true ? "ok" : "not ok", guest.count, sentence);
    fflush(stdout);
}

static void start(void)
{
    CUdevice device;
    CUcontext context;
    CUmodule module;
    void *host;

    load_driver();
    MUST(cuInit(0));
    MUST(cuDeviceGet(&device, 0));
    MUST(cuDevicePrimaryCtxRetain(&context, device));
    MUST(cuCtxSetCurrent(context));
    MUST(cuModuleLoadData(&module, spin_ptx));
    MUST(cuModuleGetFunction(&guest.spin, module, "spin"));
    MUST(cuMemHostAlloc(&host, 4096, CU_MEMHOSTALLOC_DEVICEMAP));
    guest.pinned = host;
}

static CUresult spin(uint64_t units, CUstream stream)
{
    uint64_t counter = (uintptr_t)&guest.pinned[0], end = (uintptr_t)&guest.pinned[1];
    void *parameters[] = {&units, &counter, &end};

    return cuda.cuLaunchKernel(guest.spin, 1, 1, 1, 1, 1, 1, 0, stream, parameters, NULL);
}

static uint64_t read_counter(void)
{
    return __atomic_load_n(&guest.pinned[0], __ATOMIC_RELAXED);
}

static void test_kernels(void)
{
    CUevent before, after;
    CUstream stream;
    float ms;

    MUST(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    MUST(cuEventCreate(&before, CU_EVENT_DEFAULT));
    MUST(cuEventCreate(&after, CU_EVENT_DEFAULT));
    MUST(cuEventRecord(before, stream));
    for (int i = 0; i < 2000; i++)
        must(spin(100, stream), "launch");
    MUST(cuEventRecord(after, stream));
    is(cuda.cuStreamQuery(stream) == CUDA_ERROR_NOT_READY, "a stream with work is not ready");
    is(cuda.cuEventQuery(after) == CUDA_ERROR_NOT_READY, "nor is an event behind it");
    MUST(cuEventSynchronize(after));
    is(read_counter() == 200000, "2000 kernels have counted their units");
    MUST(cuEventElapsedTime(&ms, before, after));
    printf("# 200 ms of kernels took %.3f ms\n", (double)ms);
    is(ms > 200.0f && ms < 215.0f, "and events tell how long they took");
    is(cuda.cuStreamQuery(stream) == CUDA_SUCCESS, "a stream without work is ready");
    is(guest.pinned[1] > 0, "the kernel told when it ended");
    MUST(cuEventDestroy_v2(before));
    MUST(cuEventDestroy_v2(after));
    MUST(cuStreamDestroy_v2(stream));
}

static void test_progress(void)
{
    uint64_t base = read_counter(), first = 0, second = 0;
    CUstream stream;

    MUST(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    must(spin(300000, stream), "launch");
    for (int i = 0; i < 1000 && first == 0; i++) {
        (void)cuda.cuStreamQuery(stream);
        first = read_counter() - base;
        usleep(1000);
    }
    usleep(20000);
    (void)cuda.cuStreamQuery(stream);
    second = read_counter() - base;
    printf("# seen on the way: %llu, %llu\n", (unsigned long long)first,
           (unsigned long long)second);
    is(first > 0 && second > first && second < 300000, "a counter moves while its kernel runs");
    MUST(cuStreamSynchronize(stream));
    is(read_counter() - base == 300000, "and is exact at the end");
    MUST(cuStreamDestroy_v2(stream));
}

static void test_streams(void)
{
    uint64_t base = read_counter();
    CUstream streams[3];
    CUevent event;

    for (int i = 0; i < 3; i++)
        MUST(cuStreamCreate(&streams[i], i == 2 ? CU_STREAM_DEFAULT : CU_STREAM_NON_BLOCKING));
    MUST(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    must(spin(20000, streams[0]), "launch");
    MUST(cuEventRecord(event, streams[0]));
    MUST(cuStreamWaitEvent(streams[1], event, 0));
    must(spin(1, streams[1]), "launch");
    MUST(cuStreamSynchronize(streams[1]));
    is(read_counter() - base == 20001, "a stream waits for another's event");
    must(spin(20000, streams[2]), "launch");
    must(spin(1, NULL), "launch");
    MUST(cuStreamSynchronize(NULL));
    is(read_counter() - base == 40002, "the default stream comes after blocking streams");
    for (int i = 0; i < 3; i++) {
        must(spin(1000, streams[i]), "launch");
    }
    MUST(cuCtxSynchronize());
    is(read_counter() - base == 43002, "a context waits for all its streams");
    for (int i = 0; i < 3; i++)
        MUST(cuStreamDestroy_v2(streams[i]));
    MUST(cuEventDestroy_v2(event));
}

static void test_graphs(void)
{
    uint64_t base = read_counter(), units = 7, counter = (uintptr_t)&guest.pinned[0], end = 0;
    void *parameters[] = {&units, &counter, &end};
    CUDA_KERNEL_NODE_PARAMS node_params;
    CUgraphExec executable;
    CUgraphNode node;
    CUgraph graph;
    CUstream stream;

    MUST(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    MUST(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    for (int i = 0; i < 10; i++)
        must(spin(10, stream), "launch");
    MUST(cuStreamEndCapture(stream, &graph));
    MUST(cuGraphInstantiateWithFlags(&executable, graph, 0));
    MUST(cuGraphDestroy(graph));
    MUST(cuStreamSynchronize(stream));
    is(read_counter() == base, "captured work does not run");
    for (int i = 0; i < 50; i++)
        MUST(cuGraphLaunch(executable, stream));
    MUST(cuStreamSynchronize(stream));
    is(read_counter() - base == 5000, "it runs at each launch of the graph");
    MUST(cuGraphExecDestroy(executable));
    memset(&node_params, 0, sizeof(node_params));
    node_params.func = guest.spin;
    node_params.gridDimX = node_params.gridDimY = node_params.gridDimZ = 1;
    node_params.blockDimX = node_params.blockDimY = node_params.blockDimZ = 1;
    node_params.kernelParams = parameters;
    MUST(cuGraphCreate(&graph, 0));
    MUST(cuGraphAddKernelNode_v2(&node, graph, NULL, 0, &node_params));
    MUST(cuGraphAddKernelNode_v2(&node, graph, &node, 1, &node_params));
    MUST(cuGraphInstantiateWithFlags(&executable, graph, 0));
    MUST(cuGraphLaunch(executable, stream));
    MUST(cuStreamSynchronize(stream));
    is(read_counter() - base == 5014, "a graph can be made node by node");
    MUST(cuGraphExecDestroy(executable));
    MUST(cuGraphDestroy(graph));
    MUST(cuStreamDestroy_v2(stream));
}

static void test_copies(void)
{
    static uint32_t words[1024], read[1024];
    CUdeviceptr a, b, managed;
    bool is_equal;

    for (uint32_t i = 0; i < 1024; i++)
        words[i] = i * 7;
    MUST(cuMemAlloc_v2(&a, sizeof(words)));
    MUST(cuMemAlloc_v2(&b, 100 * MIB));
    MUST(cuMemcpyHtoD_v2(a, words, sizeof(words)));
    MUST(cuMemcpyDtoD_v2(b + 50 * MIB, a, sizeof(words)));
    MUST(cuMemcpyDtoH_v2(read, b + 50 * MIB, sizeof(read)));
    is(memcmp(words, read, sizeof(words)) == 0, "what is copied through the GPU comes back");
    MUST(cuMemsetD32_v2(a, 0xCAFE, 1024));
    MUST(cuMemcpyDtoH_v2(read, a, sizeof(read)));
    is_equal = true;
    for (int i = 0; i < 1024; i++)
        is_equal = is_equal && read[i] == 0xCAFE;
    is(is_equal, "memory can be filled");
    is(cuda.cuMemcpyHtoD_v2(12345, words, 4) == CUDA_ERROR_INVALID_VALUE,
       "an address that is no GPU's is refused");
    is(cuda.cuMemFree_v2(a + 512) == CUDA_ERROR_INVALID_VALUE,
       "what was not allocated cannot be freed");
    MUST(cuMemAllocManaged(&managed, MIB, CU_MEM_ATTACH_GLOBAL));
    memset((void *)(uintptr_t)managed, 1, MIB);
    MUST(cuMemFree_v2(managed));
    MUST(cuMemFree_v2(a));
    MUST(cuMemFree_v2(b));
}

static void test_mapping(void)
{
    CUmemAllocationProp properties;
    CUmemGenericAllocationHandle handle;
    CUmemAccessDesc access;
    CUdeviceptr address;
    uint64_t word = 0x1122334455667788;
    size_t granularity, before_bytes, during_bytes, after_bytes, total_bytes;

    memset(&properties, 0, sizeof(properties));
    properties.type = CU_MEM_ALLOCATION_TYPE_PINNED;
    properties.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    access.location = properties.location;
    access.flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
    MUST(cuMemGetInfo_v2(&before_bytes, &total_bytes));
    MUST(
        cuMemGetAllocationGranularity(&granularity, &properties, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
    MUST(cuMemCreate(&handle, 4 * granularity, &properties, 0));
    MUST(cuMemAddressReserve(&address, 8 * granularity, 0, 0, 0));
    MUST(cuMemMap(address, 4 * granularity, 0, handle, 0));
    MUST(cuMemSetAccess(address, 4 * granularity, &access, 1));
    MUST(cuMemRelease(handle));
    MUST(cuMemcpyHtoD_v2(address + granularity, &word, sizeof(word)));
    word = 0;
    MUST(cuMemcpyDtoH_v2(&word, address + granularity, sizeof(word)));
    is(word == 0x1122334455667788, "mapped memory holds what is written");
    MUST(cuMemGetInfo_v2(&during_bytes, &total_bytes));
    is(before_bytes - during_bytes == 4 * granularity, "it is taken while it is mapped");
    MUST(cuMemUnmap(address, 4 * granularity));
    MUST(cuMemAddressFree(address, 8 * granularity));
    MUST(cuMemGetInfo_v2(&after_bytes, &total_bytes));
    is(after_bytes == before_bytes, "and free when it is not");
}

static void test_lookups(void)
{
    CUdriverProcAddressQueryResult status;
    next_cuGetProcAddress_v2 *lookup = NULL;
    void *function = NULL;
    const void *table;
    CUuuid id;

    memset(&id, 0, sizeof(id));
    must(cuda.cuGetProcAddress_v2("cuGetProcAddress", (void **)&lookup, 12000, 0, NULL), "lookup");
    is(lookup == cuda.cuGetProcAddress_v2, "the lookup finds itself");
    must(cuda.cuGetProcAddress_v2("cuGetProcAddress", &function, 11030, 0, NULL), "lookup");
    is((void *)cuda.cuGetProcAddress == function, "and its first version for an older program");
    must(lookup("cuMemAlloc", &function, 13000, 0, &status), "lookup");
    is((void *)cuda.cuMemAlloc_v2 == function && status == CU_GET_PROC_ADDRESS_SUCCESS,
       "a name without version is the newest that was asked for");
    is(lookup("", &function, 0, 0, NULL) == CUDA_ERROR_NOT_FOUND, "no name is not found");
    (void)lookup("cuCtxCreate", &function, 3000, 0, &status); /* the status says it */
    is(status == CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT, "too old a version is told");
    is(cuda.cuGetExportTable(&table, &id) == CUDA_ERROR_NOT_FOUND, "there are no private tables");
}

static void *launch_many(void *argument)
{
    CUstream stream;

    MUST(cuCtxSetCurrent(argument));
    MUST(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    for (int i = 0; i < 500; i++) {
        CUdeviceptr address;

        must(spin(1, stream), "launch");
        MUST(cuMemAllocAsync(&address, 4096, stream));
        MUST(cuMemFreeAsync(address, stream));
        if (i % 50 == 0)
            MUST(cuStreamSynchronize(stream));
    }
    MUST(cuStreamSynchronize(stream));
    MUST(cuStreamDestroy_v2(stream));
    return NULL;
}

/* Kernels of different streams that share a counter lose counts on hardware: it is not read. */
static void test_threads(void)
{
    pthread_t threads[4];
    CUcontext context;

    MUST(cuCtxGetCurrent(&context));
    for (int i = 0; i < 4; i++)
        (void)pthread_create(&threads[i], NULL, launch_many, context);
    for (int i = 0; i < 4; i++)
        (void)pthread_join(threads[i], NULL);
    is(cuda.cuCtxSynchronize() == CUDA_SUCCESS, "threads launch and allocate beside each other");
}

static void test_contexts(void)
{
    size_t before_bytes, after_bytes, total_bytes;
    CUcontext outer, inner, current;

    MUST(cuCtxGetCurrent(&outer));
    MUST(cuMemGetInfo_v2(&before_bytes, &total_bytes));
    MUST(cuCtxCreate_v4(&inner, NULL, 0, 0));
    MUST(cuCtxGetCurrent(&current));
    is(current == inner, "a new context is current");
    MUST(cuCtxDestroy_v2(inner));
    MUST(cuCtxGetCurrent(&current));
    is(current == outer, "and the one before it when it is gone");
    MUST(cuMemGetInfo_v2(&after_bytes, &total_bytes));
    is(before_bytes == after_bytes, "a context that is gone has left nothing");
}

static int run_fork(void)
{
    int status = -1;
    pid_t child;

    must(spin(50000, NULL), "launch");
    child = fork();
    if (child == 0) {
        execl("/bin/true", "true", (char *)NULL);
        _exit(1);
    }
    (void)waitpid(child, &status, 0);
    is(status == 0, "a child of a program that uses the GPU can start another");
    child = fork();
    if (child == 0)
        exit(0);
    (void)waitpid(child, &status, 0);
    is(status == 0, "or end");
    MUST(cuCtxSynchronize());
    is(read_counter() == 50000, "and the parent's kernel ran on");
    return 0;
}

static int run_lost(void)
{
    const char *name = "?";
    CUresult result;

    do {
        result = spin(1000, NULL);
        if (result == CUDA_SUCCESS)
            result = cuda.cuStreamSynchronize(NULL);
    } while (result == CUDA_SUCCESS);
    (void)cuda.cuGetErrorName(result, &name);
    puts(name);
    return 0;
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";

    start();
    if (strcmp(mode, "lost") == 0)
        return run_lost();
    if (strcmp(mode, "fork") == 0) {
        (void)run_fork();
    } else {
        test_kernels();
        test_progress();
        test_streams();
        test_graphs();
        test_copies();
        test_mapping();
        test_lookups();
        test_threads();
        test_contexts();
    }
    printf("1..%d\n", guest.count);
    return guest.failed > 0;
}
