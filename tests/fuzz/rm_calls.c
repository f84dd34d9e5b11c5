#include "tests/fuzz/rm_calls.h"

#include "abi/rm.h"
#include "rm/mediator.h"

#include <errno.h>
#include <string.h>

/* The caller's address space: addresses are offsets in it, anything else is not there. */
#define SPACE_BYTES 4096u
#define BASE        0x10000u
#define DEVICES     4u
#define LIMIT_BYTES (UINT64_C(64) << 20)

struct run {
    const uint8_t *data;
    size_t size, at;
    struct mediator mediator;
    uint8_t space[SPACE_BYTES];
    uint64_t used_bytes[DEVICES];
    int lock_depth;
    unsigned int wrong;
};

static uint8_t take_byte(struct run *run)
{
    return run->at < run->size ? run->data[run->at++] : 0;
}

static void take(struct run *run, void *to, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)to)[i] = take_byte(run);
}

/* Small numbers, so that handles meet again. */
static uint32_t take_handle(struct run *run)
{
    return take_byte(run) & 0x1f;
}

static uint8_t *locate(struct run *run, uint64_t address, size_t size)
{
    if (address < BASE || address - BASE > SPACE_BYTES || size > SPACE_BYTES - (address - BASE))
        return NULL;
    return run->space + (address - BASE);
}

static int read_memory(void *context, uint64_t address, void *to, size_t size)
{
    const uint8_t *from = locate(context, address, size);

    if (!from)
        return -EFAULT;
    memcpy(to, from, size);
    return 0;
}

static int write_memory(void *context, uint64_t address, const void *from, size_t size)
{
    uint8_t *to = locate(context, address, size);

    if (!to)
        return -EFAULT;
    memcpy(to, from, size);
    return 0;
}

static void scribble(struct run *run, uint64_t address, size_t size)
{
    uint8_t *to = locate(run, address, size);
    uint8_t count = take_byte(run) & 7;

    for (uint8_t i = 0; to && i < count; i++)
        to[take_byte(run) % size] = take_byte(run);
}

/* A driver that says yes, no or nonsense, and writes where it likes in what it was given. */
static int perform(void *context, const struct port_call *call, struct port_copies *copies)
{
    struct run *run = context;
    uint8_t how = take_byte(run);

    run->wrong += run->lock_depth != 0;
    if (how & 1)
        return -EINVAL;
    if (how & 2)
        scribble(run, copies->args_address, copies->args_size ? copies->args_size : 1);
    if (how & 4)
        scribble(run, copies->params_address, copies->params_size ? copies->params_size : 1);
    /* A mediator is given these only where it could read them before. */
    if (copies->args_size)
        run->wrong += read_memory(run, copies->args_address, copies->args, copies->args_size) < 0;
    if (copies->params_size)
        run->wrong +=
            read_memory(run, copies->params_address, copies->params, copies->params_size) < 0;
    return 0;
}

static void free_object(void *context, const struct port_call *call, uint32_t client,
                        uint32_t object)
{
    struct run *run = context;

    run->wrong += run->lock_depth != 0;
}

static bool is_allowed(void *context, uint32_t device)
{
    return device != 3;
}

static bool reserve(void *context, uint32_t device, uint64_t bytes)
{
    struct run *run = context;

    run->wrong += run->lock_depth != 1;
    if (device >= DEVICES)
        return true;
    if (bytes > LIMIT_BYTES - run->used_bytes[device])
        return false;
    run->used_bytes[device] += bytes;
    return true;
}

static void release(void *context, uint32_t device, uint64_t bytes)
{
    struct run *run = context;

    run->wrong += run->lock_depth != 1;
    if (device >= DEVICES)
        return;
    run->wrong += bytes > run->used_bytes[device];
    run->used_bytes[device] -= bytes;
}

static void get_memory(void *context, uint32_t device, struct port_memory *ret_memory)
{
    const struct run *run = context;

    *ret_memory = (struct port_memory){.limit_bytes = UINT64_MAX};
    if (device < DEVICES)
        *ret_memory = (struct port_memory){LIMIT_BYTES, run->used_bytes[device]};
}

static void tell(void *context, const struct port_event *event)
{
    struct run *run = context;

    run->wrong += run->lock_depth != 1;
}

static void lock(void *context)
{
    struct run *run = context;

    run->wrong += run->lock_depth++ != 0;
}

static void unlock(void *context)
{
    struct run *run = context;

    run->wrong += --run->lock_depth != 0;
}

static const struct port functions = {
    .read = read_memory,
    .write = write_memory,
    .perform = perform,
    .free_object = free_object,
    .is_allowed = is_allowed,
    .reserve = reserve,
    .release = release,
    .get_memory = get_memory,
    .tell = tell,
    .lock = lock,
    .unlock = unlock,
};

/* --- calls ----------------------------------------------------------------------------------- */

static const uint32_t classes[] = {
    RM_CLASS_ROOT_CLIENT,  RM_CLASS_DEVICE,        RM_CLASS_SUBDEVICE,      RM_CLASS_VIDEO_MEMORY,
    RM_CLASS_VIDEO_MEMORY, RM_CLASS_CHANNEL_GROUP, RM_CLASS_CHANNEL_HOPPER, RM_CLASS_SYSTEM_MEMORY,
};

/* Plausible words, so that most calls get past the first look. */
static void fill_alloc(struct run *run, uint8_t *args, uint64_t params)
{
    uint32_t words[] = {take_handle(run), take_handle(run), take_handle(run),
                        classes[take_byte(run) & 7]};
    uint64_t bytes = (uint64_t)take_byte(run) << (take_byte(run) & 31);

    memcpy(args, words, sizeof(words));
    memcpy(args + 16, &params, sizeof(params));
    memset(args + 24, 0, 24);
    memset(run->space + 512, 0, RM_MEMORY_PARAMS_SIZE);
    run->space[512] = take_byte(run) & 3; /* a device's instance */
    memcpy(run->space + 512 + RM_MEMORY_PARAMS_BYTES, &bytes, sizeof(bytes));
    run->space[512 + RM_MEMORY_PARAMS_ATTRIBUTES + 3] = take_byte(run) & 7;
}

static void make_call(struct run *run)
{
    static const struct {
        uint32_t nr, size;
    } shapes[] = {{RM_NR_ALLOC, 48},      {RM_NR_ALLOC, 48},        {RM_NR_ALLOC, 32},
                  {RM_NR_FREE, 16},       {RM_NR_CONTROL, 32},      {RM_NR_DUP_OBJECT, 28},
                  {RM_NR_TRANSFER, 16},   {RM_NR_ALLOC_MEMORY, 56}, {RM_NR_HEAP_CONTROL, 184},
                  {RM_NR_MAP_MEMORY, 56}, {RM_NR_ALLOC, 13}};
    uint32_t shape = take_byte(run) % (sizeof(shapes) / sizeof(shapes[0]));
    struct port_call call = {.file_id = 1 + (take_byte(run) & 1),
                             .fd = 3,
                             .request = RM_REQUEST(shapes[shape].nr, shapes[shape].size),
                             .argument = BASE};

    if (shapes[shape].nr == RM_NR_ALLOC) {
        fill_alloc(run, run->space, BASE + 512);
    } else {
        take(run, run->space, shapes[shape].size / 4);
        for (size_t i = 0; i < 3; i++) {
            uint32_t handle = take_handle(run);

            memcpy(run->space + 4 * i, &handle, sizeof(handle));
        }
    }
    scribble(run, BASE, 64);
    if (take_byte(run) == 1)
        call.argument = take_byte(run);
    (void)!mediator_call(&run->mediator, &call); /* any answer is as good as another */
}

static void check(struct run *run)
{
    const struct registry_object *at = NULL;
    uint64_t sums[DEVICES] = {0};
    size_t count = 0;

    while ((at = registry_next(&run->mediator.registry, NULL, at))) {
        if (at->kind == REGISTRY_MEMORY && at->device_instance < DEVICES)
            sums[at->device_instance] += at->bytes;
        count++;
    }
    run->wrong += count != run->mediator.registry.object_count;
    for (uint32_t i = 0; i < DEVICES; i++)
        run->wrong += run->used_bytes[i] > LIMIT_BYTES || sums[i] > run->used_bytes[i];
}

unsigned int rm_calls_run(const uint8_t *data, size_t size)
{
    static struct run run;
    struct port port = functions;

    memset(&run, 0, sizeof(run));
    run.data = data;
    run.size = size;
    port.context = &run;
    mediator_init(&run.mediator, &port);
    while (run.at < run.size) {
        make_call(&run);
        check(&run);
    }
    mediator_close_file(&run.mediator, 1);
    mediator_close_file(&run.mediator, 2);
    run.wrong += run.mediator.registry.object_count != 0;
    mediator_fini(&run.mediator);
    return run.wrong;
}
