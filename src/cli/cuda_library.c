#include "cli/cuda_library.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

static const struct {
    const char *name;
    size_t offset;
} functions[] = {
#define ROW(function) {#function, offsetof(struct cuda_library, function)},
    CUDA_LIBRARY_FUNCTIONS(ROW)
#undef ROW
};

int cuda_library_open(struct cuda_library *ret_library, struct err *err)
{
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);

    if (!library)
        return err_say(err, ENODEV,
                       "no CUDA driver here (%s); without a GPU: vgpu sim -- vgpu burn ...",
                       dlerror());
    for (size_t i = 0; i < ARRAY_LENGTH(functions); i++) {
        void *function = dlsym(library, functions[i].name);

        if (!function)
            return err_say(err, ENODEV, "this CUDA driver lacks '%s'", functions[i].name);
        /* ISO C knows no cast between the two kinds of pointers. */
        memcpy((char *)ret_library + functions[i].offset, &function, sizeof(function));
    }
    return 0;
}

const char *cuda_library_name(const struct cuda_library *library, CUresult result)
{
    const char *name = NULL;

    if (library->cuGetErrorName(result, &name) != CUDA_SUCCESS || !name)
        return "an unknown CUDA error";
    return name;
}
