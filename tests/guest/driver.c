#include "driver.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROCESSES_MAX 1024

struct array_descriptor {
    size_t width, height;
    unsigned int format, channels;
};

struct allocation_property {
    unsigned int type, handle_types;
    struct {
        unsigned int type;
        int id;
    } location;
    void *win32;
    unsigned char flags[8];
};

struct process_info {
    unsigned int pid;
    unsigned long long used_bytes;
    unsigned int gpu_instance, compute_instance;
};

static const char empty_kernel[] = ".version 7.0\n.target sm_70\n.address_size 64\n"
                                   ".visible .entry nothing() { ret; }\n";

static struct {
    void *kernel;
    void *cuda, *nvml;
    void *context, *stream, *device;
    int cuda_device;
} driver;

static void fail(const char *what, int code)
{
    fprintf(stderr, "guest: %s: %d\n", what, code);
    exit(3);
}

static void *find(void *library, const char *name)
{
    void *function = library ? dlsym(library, name) : NULL;

    if (!function)
        fail(name, -1);
    return function;
}

/*
 * Calls a function of a library; whether the parameters are right is between the caller and the
 * driver.
 */
#define CALL(library, name, types, ...) (((int(*) types)find(library, name))(__VA_ARGS__))
#define MUST(library, name, types, ...)                                                            \
    do {                                                                                           \
        int result_ = CALL(library, name, types, __VA_ARGS__);                                     \
                                                                                                   \
        if (result_ != 0)                                                                          \
            fail(name, result_);                                                                   \
    } while (0)

void driver_start(int device)
{
    driver.cuda = dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL);
    driver.nvml = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_GLOBAL);
    MUST(driver.cuda, "cuInit", (unsigned int), 0);
    MUST(driver.cuda, "cuDeviceGet", (int *, int), &driver.cuda_device, device);
    MUST(driver.cuda, "cuCtxCreate_v2", (void **, unsigned int, int), &driver.context, 0,
         driver.cuda_device);
    MUST(driver.cuda, "cuStreamCreate", (void **, unsigned int), &driver.stream, 1);
    if (CALL(driver.nvml, "nvmlInit_v2", (void), ) == 0)
        MUST(driver.nvml, "nvmlDeviceGetHandleByIndex_v2", (unsigned int, void **),
             (unsigned int)device, &driver.device);
}

int driver_alloc(uint64_t *ret_address, size_t bytes)
{
    return CALL(driver.cuda, "cuMemAlloc_v2", (uint64_t *, size_t), ret_address, bytes);
}

int driver_alloc_pitch(struct driver_pitch *ret_pitch, size_t width_bytes, size_t height)
{
    return CALL(driver.cuda, "cuMemAllocPitch_v2",
                (uint64_t *, size_t *, size_t, size_t, unsigned int), &ret_pitch->address,
                &ret_pitch->pitch_bytes, width_bytes, height, 4);
}

int driver_alloc_async(uint64_t *ret_address, size_t bytes)
{
    return CALL(driver.cuda, "cuMemAllocAsync", (uint64_t *, size_t, void *), ret_address, bytes,
                driver.stream);
}

int driver_create_array(void **ret_array, size_t width, size_t height)
{
    struct array_descriptor descriptor = {width, height, 0x20, 1};

    return CALL(driver.cuda, "cuArrayCreate_v2", (void **, const struct array_descriptor *),
                ret_array, &descriptor);
}

int driver_create(uint64_t *ret_handle, size_t bytes)
{
    struct allocation_property property;

    memset(&property, 0, sizeof(property));
    property.type = 1;
    property.location.type = 1;
    property.location.id = driver.cuda_device;
    return CALL(driver.cuda, "cuMemCreate",
                (uint64_t *, size_t, const struct allocation_property *, unsigned long long),
                ret_handle, bytes, &property, 0);
}

void driver_free(uint64_t address)
{
    MUST(driver.cuda, "cuMemFree_v2", (uint64_t), address);
}

void driver_free_async(uint64_t address)
{
    MUST(driver.cuda, "cuMemFreeAsync", (uint64_t, void *), address, driver.stream);
    MUST(driver.cuda, "cuStreamSynchronize", (void *), driver.stream);
}

void driver_destroy_array(void *array)
{
    MUST(driver.cuda, "cuArrayDestroy", (void *), array);
}

void driver_release(uint64_t handle)
{
    MUST(driver.cuda, "cuMemRelease", (uint64_t), handle);
}

void driver_end_context(void)
{
    MUST(driver.cuda, "cuCtxDestroy_v2", (void *), driver.context);
}

void driver_use_context(void)
{
    MUST(driver.cuda, "cuCtxSetCurrent", (void *), driver.context);
}

static void load_kernel(void)
{
    void *module;

    MUST(driver.cuda, "cuModuleLoadData", (void **, const void *), &module, empty_kernel);
    MUST(driver.cuda, "cuModuleGetFunction", (void **, void *, const char *), &driver.kernel,
         module, "nothing");
}

void driver_launch(void)
{
    typedef int launch_function(void *, unsigned int, unsigned int, unsigned int, unsigned int,
                                unsigned int, unsigned int, unsigned int, void *, void **, void **);
    static launch_function *launch;
    int result;

    if (!launch) {
        load_kernel();
        launch = (launch_function *)find(driver.cuda, "cuLaunchKernel");
    }
    result = launch(driver.kernel, 1, 1, 1, 1, 1, 1, 0, driver.stream, NULL, NULL);
    if (result != 0)
        fail("cuLaunchKernel", result);
}

void driver_synchronize(void)
{
    MUST(driver.cuda, "cuStreamSynchronize", (void *), driver.stream);
}

void driver_get_info(size_t *ret_free_bytes, size_t *ret_total_bytes)
{
    MUST(driver.cuda, "cuMemGetInfo_v2", (size_t *, size_t *), ret_free_bytes, ret_total_bytes);
}

uint64_t driver_used_bytes(pid_t pid)
{
    static struct process_info processes[PROCESSES_MAX];
    unsigned int count = PROCESSES_MAX;
    uint64_t bytes = 0;

    MUST(driver.nvml, "nvmlDeviceGetComputeRunningProcesses_v3",
         (void *, unsigned int *, struct process_info *), driver.device, &count, processes);
    for (unsigned int i = 0; i < count; i++) {
        if (pid == 0 || processes[i].pid == (unsigned int)pid)
            bytes += processes[i].used_bytes;
    }
    return bytes;
}
