#include "rm/frame_buffer.h"

#include "abi/rm.h"
#include "utils/atomics.h"

#include <string.h>

/* More than any driver's list (128 in 595); a longer one is not one. */
#define PAIRS_MAX   4096u
#define PAIRS_CHUNK 128u
#define NO_DEVICE   UINT32_MAX

/* Where the pairs lie in the caller's memory. */
struct pairs {
    uint64_t address;
    uint32_t count;
};

/*
 * The caller's memory that the driver has just read or written: itself where the port is direct,
 * else read into `copy`, and NULL where it is not there. Of any alignment.
 */
static COLD void *view_copy(const struct port *port, uint64_t address, void *copy, size_t size)
{
    return port->read(port->context, address, copy, size) < 0 ? NULL : copy;
}

static inline void *view(const struct port *port, uint64_t address, void *copy, size_t size)
{
    if (!LIKELY(port->is_direct))
        return view_copy(port, address, copy, size);
    return address < PORT_ADDRESS_MIN ? NULL : (void *)(uintptr_t)address; /* NOLINT: theirs */
}

/* Version 2: the count and the pairs are the parameters. */
static inline bool find_pairs_inside(const struct port *port, const struct rm_control *control,
                                     struct pairs *ret_pairs)
{
    uint32_t copy, count;
    const void *seen;

    if (control->params_size < sizeof(count))
        return false;
    seen = view(port, control->params, &copy, sizeof(copy));
    if (!seen)
        return false;
    memcpy(&count, seen, sizeof(count));
    if (count > PAIRS_MAX ||
        sizeof(count) + (uint64_t)count * sizeof(struct rm_fb_info) > control->params_size)
        return false;
    *ret_pairs = (struct pairs){.address = control->params + sizeof(count), .count = count};
    return true;
}

/* The older one: the parameters are the count and a pointer to the pairs. */
static COLD bool find_pairs_beside(const struct port *port, const struct rm_control *control,
                                   struct pairs *ret_pairs)
{
    struct {
        uint32_t count, reserved;
        uint64_t address;
    } params;
    const void *seen;

    if (control->params_size != sizeof(params))
        return false;
    seen = view(port, control->params, &params, sizeof(params));
    if (!seen)
        return false;
    memmove(&params, seen, sizeof(params)); /* onto itself where it is the copy */
    if (params.count > PAIRS_MAX)
        return false;
    *ret_pairs = (struct pairs){.address = params.address, .count = params.count};
    return true;
}

/*
 * Whether a figure can need a patch: a program asks for up to 128 at once, most of them other ones,
 * and waits for it. The remainder says no to most of those, and is one instruction.
 */
static inline bool is_size(uint32_t index)
{
    const uint64_t sizes = UINT64_C(1) << RM_FB_RAM | UINT64_C(1) << RM_FB_TOTAL |
                           UINT64_C(1) << RM_FB_HEAP | UINT64_C(1) << RM_FB_USABLE |
                           UINT64_C(1) << RM_FB_FREE;

    return (sizes >> index % 64 & 1) && index < 64;
}

static COLD void write_copy(const struct port *port, uint64_t address, uint32_t kib)
{
    /* The driver has just written there: it fails only where the caller unmapped it. */
    (void)port->write(port->context, address, &kib, sizeof(kib));
}

/* `seen` is what view() gave for that address. */
static inline void put_kib(const struct port *port, uint64_t address, void *seen, uint32_t kib)
{
    if (LIKELY(port->is_direct))
        memcpy(seen, &kib, sizeof(kib));
    else
        write_copy(port, address, kib);
}

static HOT void patch_pairs(const struct port *port, const struct pairs *pairs,
                            const struct port_memory *memory)
{
    const size_t offset = offsetof(struct rm_fb_info, kib);
    uint64_t left =
        memory->used_bytes < memory->limit_bytes ? memory->limit_bytes - memory->used_bytes : 0;
    struct rm_fb_info copies[PAIRS_CHUNK], info;

    for (uint32_t done = 0; done < pairs->count; done += PAIRS_CHUNK) {
        uint32_t rest = pairs->count - done, some = rest < PAIRS_CHUNK ? rest : PAIRS_CHUNK;
        uint64_t address = pairs->address + done * sizeof(info);
        char *infos = view(port, address, copies, some * sizeof(info));

        if (!infos)
            return;
        for (uint32_t at = 0; at < some * sizeof(info); at += sizeof(info)) {
            uint64_t kib;

            memcpy(&info, infos + at, sizeof(info));
            if (!is_size(info.index))
                continue;
            kib = (info.index == RM_FB_FREE ? left : memory->limit_bytes) / 1024;
            if (kib < info.kib)
                put_kib(port, address + at + offset, infos + at + offset, (uint32_t)kib);
        }
    }
}

static COLD void count_unparsed(struct mediator *mediator)
{
    (void)add_relaxed(&mediator->unparsed, 1);
}

static inline void patch(struct mediator *mediator, const struct rm_control *control,
                         uint32_t device_instance)
{
    const struct port *port = mediator->port;
    struct port_memory memory;
    struct pairs pairs;
    bool is_found = LIKELY(control->command == RM_CONTROL_FB_GET_INFO_V2)
                        ? find_pairs_inside(port, control, &pairs)
                        : find_pairs_beside(port, control, &pairs);

    if (!LIKELY(is_found)) {
        count_unparsed(mediator);
        return;
    }
    if (device_instance == NO_DEVICE)
        return;
    port->get_memory(port->context, device_instance, &memory);
    if (LIKELY(memory.limit_bytes != UINT64_MAX))
        patch_pairs(port, &pairs, &memory);
}

HOT bool frame_buffer_patch_known(struct mediator *mediator, const struct rm_control *control)
{
    uint32_t device_instance;

    if (!LIKELY(recall_get(&mediator->recall, control->client, control->object, &device_instance)))
        return false;
    patch(mediator, control, device_instance);
    return true;
}

COLD void frame_buffer_patch(struct mediator *mediator, const struct rm_control *control)
{
    const struct port *port = mediator->port;
    const struct registry_object *object;
    uint32_t device_instance = NO_DEVICE;

    port->lock(port->context);
    object = registry_find(&mediator->registry, control->client, control->object);
    if (object) {
        device_instance = object->device_instance;
        recall_put(&mediator->recall, control->client, control->object, device_instance);
    }
    port->unlock(port->context);
    patch(mediator, control, device_instance);
}
