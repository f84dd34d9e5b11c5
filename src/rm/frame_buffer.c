#include "rm/frame_buffer.h"

#include "abi/rm.h"
#include "utils/atomics.h"

#include <string.h>

/* More than any driver's list (128 in 595); a longer one is not one. */
#define PAIRS_MAX   4096u
#define PAIRS_CHUNK 128u

/* Where the pairs lie in the caller's memory. */
struct pairs {
    uint64_t address;
    uint32_t count;
};

/* Version 2: the count and the pairs are the parameters. */
static bool find_pairs_inside(struct judgement *judgement, const struct rm_control *control,
                              struct pairs *ret_pairs)
{
    const struct port *port = judgement->mediator->port;
    uint32_t count;

    if (control->params_size < sizeof(count) ||
        port->read(port->context, control->params, &count, sizeof(count)) < 0)
        return false;
    if (count > PAIRS_MAX ||
        sizeof(count) + (uint64_t)count * sizeof(struct rm_fb_info) > control->params_size)
        return false;
    *ret_pairs = (struct pairs){.address = control->params + sizeof(count), .count = count};
    return true;
}

/* The older one: the parameters are the count and a pointer to the pairs. */
static bool find_pairs_beside(struct judgement *judgement, const struct rm_control *control,
                              struct pairs *ret_pairs)
{
    const struct port *port = judgement->mediator->port;
    struct {
        uint32_t count, reserved;
        uint64_t address;
    } params;

    if (control->params_size != sizeof(params) ||
        port->read(port->context, control->params, &params, sizeof(params)) < 0)
        return false;
    if (params.count > PAIRS_MAX)
        return false;
    *ret_pairs = (struct pairs){.address = params.address, .count = params.count};
    return true;
}

/*
 * Whether a figure can need a patch: a program asks for up to 128 at once, most of them other ones,
 * and waits for it.
 */
static bool is_size(uint32_t index)
{
    const uint64_t sizes = UINT64_C(1) << RM_FB_RAM | UINT64_C(1) << RM_FB_TOTAL |
                           UINT64_C(1) << RM_FB_HEAP | UINT64_C(1) << RM_FB_USABLE |
                           UINT64_C(1) << RM_FB_FREE;

    return index < 64 && (sizes >> index & 1);
}

static bool is_patched(struct rm_fb_info *info, const struct port_memory *memory)
{
    uint64_t left =
        memory->used_bytes < memory->limit_bytes ? memory->limit_bytes - memory->used_bytes : 0;
    uint64_t kib;

    switch (info->index) {
    case RM_FB_RAM:
    case RM_FB_TOTAL:
    case RM_FB_HEAP:
    case RM_FB_USABLE:
        kib = memory->limit_bytes / 1024;
        break;
    case RM_FB_FREE:
        kib = left / 1024;
        break;
    default:
        return false;
    }
    if (kib >= info->kib)
        return false;
    info->kib = (uint32_t)kib;
    return true;
}

static void patch_pairs(struct judgement *judgement, const struct pairs *pairs,
                        const struct port_memory *memory)
{
    const struct port *port = judgement->mediator->port;
    struct rm_fb_info infos[PAIRS_CHUNK];

    for (uint32_t done = 0; done < pairs->count; done += PAIRS_CHUNK) {
        uint32_t left = pairs->count - done, some = left < PAIRS_CHUNK ? left : PAIRS_CHUNK;
        uint64_t address = pairs->address + done * sizeof(*infos);

        if (port->read(port->context, address, infos, some * sizeof(*infos)) < 0)
            return;
        for (uint32_t i = 0; i < some; i++) {
            uint64_t at = address + i * sizeof(*infos) + offsetof(struct rm_fb_info, kib);

            /* The driver has just written there: it can fail only where the caller unmapped it. */
            if (is_size(infos[i].index) && is_patched(&infos[i], memory))
                (void)port->write(port->context, at, &infos[i].kib, sizeof(infos[i].kib));
        }
    }
}

void frame_buffer_patch(struct judgement *judgement)
{
    struct mediator *mediator = judgement->mediator;
    const struct registry_object *subdevice;
    struct port_memory memory = {.limit_bytes = UINT64_MAX};
    struct rm_control control;
    struct pairs pairs;
    bool is_found;

    memcpy(&control, judgement->args, sizeof(control));
    if (control.command == RM_CONTROL_FB_GET_INFO_V2)
        is_found = find_pairs_inside(judgement, &control, &pairs);
    else if (control.command == RM_CONTROL_FB_GET_INFO)
        is_found = find_pairs_beside(judgement, &control, &pairs);
    else
        return;
    if (!is_found) {
        (void)add_relaxed(&mediator->unparsed, 1);
        return;
    }
    judgement_lock(judgement);
    subdevice = registry_find(&mediator->registry, control.client, control.object);
    if (subdevice)
        mediator->port->get_memory(mediator->port->context, subdevice->device_instance, &memory);
    judgement_unlock(judgement);
    if (memory.limit_bytes != UINT64_MAX)
        patch_pairs(judgement, &pairs, &memory);
}
