#include "tests/unit/fake_driver.h"

#include <errno.h>
#include <string.h>

static void *at(uint64_t address)
{
    return (void *)(uintptr_t)address;
}

static int read_memory(void *context, uint64_t address, void *to, size_t size)
{
    struct fake_driver *driver = context;

    if (!address || driver->is_unreadable)
        return -EFAULT;
    memcpy(to, at(address), size);
    return 0;
}

static int write_memory(void *context, uint64_t address, const void *from, size_t size)
{
    struct fake_driver *driver = context;

    if (!address || driver->is_unreadable)
        return -EFAULT;
    memcpy(at(address), from, size);
    return 0;
}

/* --- what a driver does ---------------------------------------------------------------------- */

static void grant(struct fake_driver *driver, char *params)
{
    uint64_t bytes;
    uint32_t attributes;

    memcpy(&bytes, params + RM_MEMORY_PARAMS_BYTES, sizeof(bytes));
    bytes += driver->extra_bytes;
    memcpy(params + RM_MEMORY_PARAMS_BYTES, &bytes, sizeof(bytes));
    memcpy(&attributes, params + RM_MEMORY_PARAMS_ATTRIBUTES, sizeof(attributes));
    if (RM_MEMORY_LOCATION(attributes) == RM_MEMORY_LOCATION_ANY)
        attributes = (attributes & ~(3u << 25)) | driver->location << 25;
    memcpy(params + RM_MEMORY_PARAMS_ATTRIBUTES, &attributes, sizeof(attributes));
}

static void alloc(struct fake_driver *driver, struct rm_alloc_32 *args)
{
    if (driver->status)
        return;
    if (!args->object)
        args->object = driver->next_handle++;
    if (args->class == RM_CLASS_VIDEO_MEMORY && args->params)
        grant(driver, at(args->params));
}

static void control(struct rm_control *args)
{
    struct rm_fb_info *infos;
    uint32_t count, *params = at(args->params);

    if (args->command == RM_CONTROL_FB_GET_INFO_V2) {
        count = params[0];
        infos = (struct rm_fb_info *)(params + 1);
    } else if (args->command == RM_CONTROL_FB_GET_INFO) {
        uint64_t pointer;

        count = params[0];
        memcpy(&pointer, params + 2, sizeof(pointer));
        infos = at(pointer);
    } else {
        return;
    }
    for (uint32_t i = 0; i < count && i < 128; i++)
        infos[i].kib = infos[i].index == RM_FB_FREE ? FAKE_CARD_KIB / 2 : FAKE_CARD_KIB;
}

static void answer(struct fake_driver *driver, uint32_t nr, uint32_t size, char *args)
{
    uint32_t offset = 0;

    if (nr == RM_NR_ALLOC) {
        offset = size == 48 ? 40 : 28;
        alloc(driver, (struct rm_alloc_32 *)args);
    } else if (nr == RM_NR_CONTROL) {
        offset = 28;
        control((struct rm_control *)args);
    } else if (nr == RM_NR_DUP_OBJECT) {
        offset = 24;
    } else if (nr == RM_NR_ALLOC_MEMORY) {
        offset = 40;
    } else if (nr == RM_NR_HEAP_CONTROL) {
        offset = RM_HEAP_CONTROL_STATUS;
    } else if (nr == RM_NR_FREE) {
        memcpy(args + 12, &(uint32_t){RM_OK}, sizeof(uint32_t));
    }
    if (offset)
        memcpy(args + offset, &driver->status, sizeof(driver->status));
}

static int perform(void *context, const struct port_call *call, struct port_copies *copies)
{
    struct fake_driver *driver = context;
    uint32_t nr = _IOC_NR(call->request), size = _IOC_SIZE(call->request);
    uint64_t argument = call->argument;

    driver->calls++;
    driver->faults += driver->lock_depth != 0;
    if (driver->error)
        return driver->error;
    if (nr == RM_NR_TRANSFER) {
        const struct rm_transfer *transfer = at(argument);

        nr = transfer->nr;
        size = transfer->size;
        argument = transfer->argument;
    }
    answer(driver, nr, size, at(argument));
    if (copies->args_size)
        memcpy(copies->args, at(copies->args_address), copies->args_size);
    if (copies->params_size)
        memcpy(copies->params, at(copies->params_address), copies->params_size);
    return 0;
}

static void free_object(void *context, const struct port_call *call, uint32_t client,
                        uint32_t object)
{
    struct fake_driver *driver = context;

    driver->frees++;
    driver->freed_object = object;
}

/* --- quota and events ------------------------------------------------------------------------ */

static bool is_allowed(void *context, uint32_t device)
{
    const struct fake_driver *driver = context;

    return device >= FAKE_DEVICES || !driver->is_refused[device];
}

static bool reserve(void *context, uint32_t device, uint64_t bytes)
{
    struct fake_driver *driver = context;

    driver->faults += driver->lock_depth != 1;
    if (device >= FAKE_DEVICES)
        return true;
    if (bytes > driver->limit_bytes[device] - driver->used_bytes[device])
        return false;
    driver->used_bytes[device] += bytes;
    if (driver->used_bytes[device] > driver->most_bytes[device])
        driver->most_bytes[device] = driver->used_bytes[device];
    return true;
}

static void release(void *context, uint32_t device, uint64_t bytes)
{
    struct fake_driver *driver = context;

    driver->faults += driver->lock_depth != 1;
    if (device >= FAKE_DEVICES)
        return;
    driver->faults += bytes > driver->used_bytes[device];
    driver->used_bytes[device] -= bytes;
}

static void get_memory(void *context, uint32_t device, struct port_memory *ret_memory)
{
    struct fake_driver *driver = context;

    driver->faults += driver->lock_depth != 0;
    *ret_memory = (struct port_memory){.limit_bytes = UINT64_MAX};
    if (device < FAKE_DEVICES)
        *ret_memory = (struct port_memory){driver->limit_bytes[device], driver->used_bytes[device]};
}

static void tell(void *context, const struct port_event *event)
{
    struct fake_driver *driver = context;

    driver->faults += driver->lock_depth != 1;
    if (driver->event_count < FAKE_EVENTS_MAX)
        driver->events[driver->event_count] = *event;
    driver->event_count++;
}

static void lock(void *context)
{
    struct fake_driver *driver = context;

    driver->locks++;
    driver->faults += driver->lock_depth++ != 0;
}

static void unlock(void *context)
{
    struct fake_driver *driver = context;

    driver->faults += --driver->lock_depth != 0;
}

void fake_driver_init(struct fake_driver *driver)
{
    memset(driver, 0, sizeof(*driver));
    driver->port = (struct port){.context = driver,
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
                                 .unlock = unlock};
    driver->next_handle = 0xcafe0000;
    for (int i = 0; i < FAKE_DEVICES; i++)
        driver->limit_bytes[i] = UINT64_MAX;
    mediator_init(&driver->mediator, &driver->port);
}

void fake_driver_fini(struct fake_driver *driver)
{
    mediator_fini(&driver->mediator);
}

/* --- calls ----------------------------------------------------------------------------------- */

int fake_driver_call(struct fake_driver *driver, uint32_t nr, uint32_t size, void *args)
{
    struct port_call call = {
        .file_id = 1, .fd = 5, .request = RM_REQUEST(nr, size), .argument = (uintptr_t)args};

    return mediator_call(&driver->mediator, &call);
}

uint32_t fake_driver_alloc_with(struct fake_driver *driver, struct rm_alloc_48 *call)
{
    if (fake_driver_call(driver, RM_NR_ALLOC, sizeof(*call), call) < 0)
        return UINT32_MAX;
    return call->status;
}

uint32_t fake_driver_alloc(struct fake_driver *driver, uint32_t client, uint32_t parent,
                           uint32_t class, uint32_t *object)
{
    struct rm_alloc_48 call = {
        .client = client, .parent = parent, .object = *object, .class = class};
    uint32_t status = fake_driver_alloc_with(driver, &call);

    *object = call.object;
    return status;
}

uint32_t fake_driver_alloc_memory(struct fake_driver *driver, uint32_t client, uint32_t parent,
                                  uint32_t object, uint64_t bytes)
{
    _Alignas(8) char params[RM_MEMORY_PARAMS_SIZE] = {0};
    struct rm_alloc_48 call = {.client = client,
                               .parent = parent,
                               .object = object,
                               .class = RM_CLASS_VIDEO_MEMORY,
                               .params = (uintptr_t)params};

    memcpy(params + RM_MEMORY_PARAMS_BYTES, &bytes, sizeof(bytes));
    return fake_driver_alloc_with(driver, &call);
}

uint32_t fake_driver_free(struct fake_driver *driver, uint32_t client, uint32_t object)
{
    struct rm_free call = {.client = client, .parent = client, .object = object};

    if (fake_driver_call(driver, RM_NR_FREE, sizeof(call), &call) < 0)
        return UINT32_MAX;
    return call.status;
}
