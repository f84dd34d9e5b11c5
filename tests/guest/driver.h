#pragma once
/*
 * driver - what the guests of these tests call of libcuda and libnvidia-ml, found at run time as a
 * program that knows nothing of us would. Declared here and not taken from src/abi, so that a
 * mistake there is not repeated. A call that fails ends the guest with status 3 and one line on
 * stderr.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CUDA_OUT_OF_MEMORY 2

struct driver_pitch {
    uint64_t address;
    size_t pitch_bytes;
};

/* Loads both libraries, initialises them and makes a context on the device. */
void driver_start(int device);

/* Each returns the driver's result, 0 for success. */
int driver_alloc(uint64_t *ret_address, size_t bytes);
int driver_alloc_pitch(struct driver_pitch *ret_pitch, size_t width_bytes, size_t height);
int driver_alloc_async(uint64_t *ret_address, size_t bytes);
int driver_create_array(void **ret_array, size_t width, size_t height); /* of float */
int driver_create(uint64_t *ret_handle, size_t bytes);                  /* physical memory */

void driver_free(uint64_t address);
void driver_free_async(uint64_t address);
void driver_destroy_array(void *array);
void driver_release(uint64_t handle);
void driver_end_context(void);
void driver_use_context(void); /* in another thread */

/* Launches a kernel that does nothing; the first call loads it. */
void driver_launch(void);
void driver_synchronize(void);

/* What the driver tells a program of its GPU. */
void driver_get_info(size_t *ret_free_bytes, size_t *ret_total_bytes);

/* What NVML says the process has on the device (0 where it is not listed); pid 0: all processes. */
uint64_t driver_used_bytes(pid_t pid);
