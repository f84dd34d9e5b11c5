/*
 * bench_mediator - what the mediator adds to one call to the resource manager: the time of the
 * calls that a program makes, through a port behind which there is no driver, in nanoseconds a
 * call.
 */
#include "abi/rm.h"
#include "rm/mediator.h"
#include "utils/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALLS        200000
#define CLIENT       0xc1d00001u
#define DEVICE       0x5c000001u
#define MEMORY       0x5c000002u
#define MEMORY_BYTES (UINT64_C(2) << 20)

static int read_memory(void *context, uint64_t address, void *to, size_t size)
{
    memcpy(to, (const void *)(uintptr_t)address, size);
    return 0;
}

static int write_memory(void *context, uint64_t address, const void *from, size_t size)
{
    memcpy((void *)(uintptr_t)address, from, size);
    return 0;
}

/* A driver that grants everything: what it would write is there already. */
static int perform(void *context, const struct port_call *call, struct port_copies *copies)
{
    return 0;
}

static void free_object(void *context, const struct port_call *call, uint32_t client,
                        uint32_t object)
{
}

static bool is_allowed(void *context, uint32_t device_instance)
{
    return true;
}

static bool reserve(void *context, uint32_t device_instance, uint64_t bytes)
{
    return true;
}

static void release(void *context, uint32_t device_instance, uint64_t bytes)
{
}

static void get_memory(void *context, uint32_t device_instance, struct port_memory *ret_memory)
{
    *ret_memory = (struct port_memory){.limit_bytes = UINT64_MAX};
}

static void tell(void *context, const struct port_event *event)
{
}

static void take_lock(void *context)
{
}

static const struct port port = {
    .read = read_memory,
    .write = write_memory,
    .perform = perform,
    .free_object = free_object,
    .is_allowed = is_allowed,
    .reserve = reserve,
    .release = release,
    .get_memory = get_memory,
    .tell = tell,
    .lock = take_lock,
    .unlock = take_lock,
};

static struct mediator mediator;

static void call(uint32_t nr, void *argument, size_t size)
{
    struct port_call port_call = {
        .file_id = 1, .fd = 3, .request = RM_REQUEST(nr, size), .argument = (uintptr_t)argument};

    if (mediator_call(&mediator, &port_call) < 0) {
        fprintf(stderr, "bench_mediator: a call is refused\n");
        exit(1);
    }
}

static void allocate(uint32_t parent, uint32_t object, uint32_t class, void *params)
{
    struct rm_alloc_48 alloc = {.client = CLIENT,
                                .parent = parent,
                                .object = object,
                                .class = class,
                                .params = (uintptr_t)params};

    call(RM_NR_ALLOC, &alloc, sizeof(alloc));
}

static void unknown_call(void)
{
    uint32_t argument[8] = {0};

    call(RM_NR_CARD_INFO, argument, sizeof(argument));
}

static void control_call(void)
{
    uint64_t params = 0;
    struct rm_control control = {.client = CLIENT,
                                 .object = DEVICE,
                                 .command = RM_CONTROL_GET_TIME,
                                 .params = (uintptr_t)&params,
                                 .params_size = sizeof(params)};

    call(RM_NR_CONTROL, &control, sizeof(control));
}

static void memory_call(void)
{
    uint8_t params[RM_MEMORY_PARAMS_SIZE] = {0};
    const uint64_t bytes = MEMORY_BYTES;
    struct rm_free end = {.client = CLIENT, .parent = DEVICE, .object = MEMORY};

    memcpy(params + RM_MEMORY_PARAMS_BYTES, &bytes, sizeof(bytes));
    allocate(DEVICE, MEMORY, RM_CLASS_VIDEO_MEMORY, params);
    call(RM_NR_FREE, &end, sizeof(end));
}

static double time_ns(void (*function)(void))
{
    uint64_t started_ns = clock_now_ns();

    for (int i = 0; i < CALLS; i++)
        function();
    return (double)(clock_now_ns() - started_ns) / CALLS;
}

int main(void)
{
    uint8_t device_params[RM_DEVICE_PARAMS_SIZE] = {0};

    mediator_init(&mediator, &port);
    allocate(CLIENT, CLIENT, RM_CLASS_ROOT_CLIENT, NULL);
    allocate(CLIENT, DEVICE, RM_CLASS_DEVICE, device_params);
    printf("{\"unknown_ns\": %.1f, ", time_ns(unknown_call));
    printf("\"control_ns\": %.1f, ", time_ns(control_call));
    printf("\"alloc_and_free_ns\": %.1f}\n", time_ns(memory_call));
    mediator_fini(&mediator);
    return 0;
}
