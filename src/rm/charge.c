#include "rm/charge.h"

#include "abi/rm.h"
#include "utils/atomics.h"

/* Above any card, and far from where sums overflow. */
#define CHARGE_BYTES_MAX (UINT64_C(1) << 56)

static uint32_t attributes_of(const struct charge *charge)
{
    if (charge->attributes_offset == CHARGE_NO_OFFSET)
        return RM_MEMORY_LOCATION_VIDEO << 25;
    return judgement_get_u32(charge->bytes, charge->attributes_offset);
}

/* System memory asked for in so many words is not charged; "anywhere" may well be video memory. */
static bool may_be_video(const struct charge *charge)
{
    uint32_t location = RM_MEMORY_LOCATION(attributes_of(charge));

    return location == RM_MEMORY_LOCATION_VIDEO || location == RM_MEMORY_LOCATION_ANY;
}

static uint64_t size_of(const struct charge *charge)
{
    uint64_t size = judgement_get_u64(charge->bytes, charge->size_offset);

    return charge->is_size_minus_one && size < UINT64_MAX ? size + 1 : size;
}

/* The least that the driver takes for a request; what it really took it writes back. */
static uint64_t rounded_size(const struct charge *charge)
{
    /* 4 KiB, 4 KiB, 64 KiB, 2 MiB: a byte each, and no table, which would be a cold line. */
    const uint32_t page_shifts = 21u << 24 | 16u << 16 | 12u << 8 | 12u;
    uint64_t page =
        UINT64_C(1) << (page_shifts >> RM_MEMORY_PAGE_SIZE(attributes_of(charge)) * 8 & 0xff);
    uint64_t size = size_of(charge);

    return size > CHARGE_BYTES_MAX ? size : (size + page - 1) & ~(page - 1);
}

/*
 * Which device a new object below `parent` takes its memory from. A parent that is not kept (of
 * another class) lies below the client's device too. False where nothing is known of the client.
 */
static bool find_device(struct judgement *judgement, const struct charge *charge,
                        uint32_t *ret_device_instance)
{
    const struct registry *registry = &judgement->mediator->registry;
    const struct registry_object *at = registry_find(registry, charge->client, charge->parent);

    if (!at || at->kind == REGISTRY_CLIENT) {
        at = registry_find(registry, charge->client, charge->client);
        at = at ? registry_at(registry, at->child) : NULL;
        while (at && at->kind != REGISTRY_DEVICE)
            at = registry_at(registry, at->next);
    }
    if (!at)
        return false;
    *ret_device_instance = at->device_instance;
    return true;
}

/* The lock is held. */
static bool reserve(struct judgement *judgement, uint32_t device_instance, uint64_t bytes)
{
    const struct port *port = judgement->mediator->port;

    /* Room for the record is part of what must be there before the driver is asked. */
    return bytes <= CHARGE_BYTES_MAX && registry_has_room(&judgement->mediator->registry) &&
           port->reserve(port->context, device_instance, bytes);
}

enum taken { TAKEN, REFUSED, OF_NOBODY };

/* Finds whose memory it is and takes it, under one lock: each costs on the way to the driver. */
static enum taken take(struct judgement *judgement, const struct charge *charge, uint64_t bytes,
                       uint32_t *ret_device_instance)
{
    enum taken taken = OF_NOBODY;

    judgement_lock(judgement);
    if (find_device(judgement, charge, ret_device_instance))
        taken = reserve(judgement, *ret_device_instance, bytes) ? TAKEN : REFUSED;
    judgement_unlock(judgement);
    return taken;
}

static void release(struct judgement *judgement, uint32_t device_instance, uint64_t bytes)
{
    const struct port *port = judgement->mediator->port;

    judgement_lock(judgement);
    port->release(port->context, device_instance, bytes);
    judgement_unlock(judgement);
}

static void record(struct judgement *judgement, const struct charge *charge,
                   uint32_t device_instance, uint64_t bytes)
{
    struct registry *registry = &judgement->mediator->registry;
    uint32_t handle = judgement_get_u32(judgement->args, charge->handle_offset);
    struct registry_object *object;

    judgement_lock(judgement);
    object = registry_add(registry, charge->client, charge->parent, handle, REGISTRY_MEMORY);
    if (object) {
        object->device_instance = device_instance;
        object->bytes = bytes;
    }
    /*
     * Without a record the bytes stay charged until the process ends: too much rather than too
     * little.
     */
    judgement_unlock(judgement);
}

/*
 * Brings what was reserved to what was granted; false where the rest of the quota is too small for
 * it.
 */
static bool adjust(struct judgement *judgement, uint32_t device_instance, uint64_t reserved,
                   uint64_t granted)
{
    bool is_taken;

    if (granted > reserved) {
        judgement_lock(judgement);
        is_taken = reserve(judgement, device_instance, granted - reserved);
        judgement_unlock(judgement);
        return is_taken;
    }
    if (granted < reserved)
        release(judgement, device_instance, reserved - granted);
    return true;
}

static int take_back(struct judgement *judgement, const struct charge *charge,
                     uint32_t device_instance, uint64_t bytes)
{
    const struct port *port = judgement->mediator->port;

    port->free_object(port->context, judgement->call, charge->client,
                      judgement_get_u32(judgement->args, charge->handle_offset));
    release(judgement, device_instance, bytes);
    return judgement_refuse(judgement, RM_NO_MEMORY);
}

HOT int charge_call(struct judgement *judgement, const struct charge *charge)
{
    uint32_t device_instance;
    uint64_t reserved, granted;
    enum taken taken;
    int rc;

    if (!may_be_video(charge))
        return judgement_perform(judgement);
    reserved = rounded_size(charge);
    taken = take(judgement, charge, reserved, &device_instance);
    if (taken == OF_NOBODY) {
        (void)add_relaxed(&judgement->mediator->unparsed, 1);
        return judgement_perform(judgement);
    }
    if (taken == REFUSED)
        return judgement_refuse(judgement, RM_NO_MEMORY);
    rc = judgement_perform(judgement);
    if (!judgement_is_done(judgement, rc)) {
        release(judgement, device_instance, reserved);
        return rc;
    }
    granted = may_be_video(charge) ? size_of(charge) : 0;
    if (granted > CHARGE_BYTES_MAX)
        granted = reserved; /* no card has that: the word was not written back */
    if (!adjust(judgement, device_instance, reserved, granted))
        return take_back(judgement, charge, device_instance, reserved);
    record(judgement, charge, device_instance, granted);
    return rc;
}
