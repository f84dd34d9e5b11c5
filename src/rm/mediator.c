#include "rm/mediator.h"

#include "abi/rm.h"
#include "rm/charge.h"
#include "rm/frame_buffer.h"
#include "rm/judgement.h"
#include "utils/atomics.h"

#include <errno.h>
#include <string.h>

/* --- what is told ---------------------------------------------------------------------------- */

static struct port_event event_of(const struct registry *registry,
                                  const struct registry_object *object)
{
    const struct registry_object *client = registry_find(registry, object->client, object->client);
    const struct registry_object *parent = registry_at(registry, object->parent);
    struct port_event event = {.file_id = client ? client->file_id : 0,
                               .client = object->client,
                               .device_instance = object->device_instance,
                               .subdevice = registry_subdevice_of(registry, object),
                               .engine = object->engine};

    if (object->kind == REGISTRY_GROUP) {
        event.kind = PORT_GROUP;
        event.group = object->handle;
    } else {
        event.kind = PORT_CHANNEL;
        event.group = parent && parent->kind == REGISTRY_GROUP ? parent->handle : 0;
        event.channel = object->handle;
    }
    return event;
}

static bool is_scheduled(const struct registry_object *object)
{
    return object->kind == REGISTRY_GROUP || object->kind == REGISTRY_CHANNEL;
}

static void announce(struct mediator *mediator, struct registry_object *object)
{
    struct port_event event = event_of(&mediator->registry, object);

    object->is_announced = 1;
    mediator->port->tell(mediator->port->context, &event);
}

static void announce_below(struct mediator *mediator, const struct registry_object *root)
{
    struct registry_object *at = NULL;

    while ((at = registry_next(&mediator->registry, root, at)))
        if (is_scheduled(at) && !at->is_inherited)
            announce(mediator, at);
}

/* The registry's word that an object goes; the lock is held. */
static HOT void on_gone(void *context, const struct registry_object *object,
                        const struct registry_object *parent)
{
    struct mediator *mediator = context;
    const struct port *port = mediator->port;
    struct port_event event;

    recall_drop(&mediator->recall, object->client, object->handle);
    if (object->bytes)
        port->release(port->context, object->device_instance, object->bytes);
    if (object->kind == REGISTRY_CLIENT) {
        event = (struct port_event){
            .kind = PORT_CLIENT_GONE, .file_id = object->file_id, .client = object->client};
        port->tell(port->context, &event);
        return;
    }
    if (!is_scheduled(object) || !object->is_announced)
        return;
    event = event_of(&mediator->registry, object);
    event.kind = PORT_FREED;
    port->tell(port->context, &event);
}

/* --- allocations ----------------------------------------------------------------------------- */

static int pass_on(struct judgement *judgement)
{
    return judgement_perform(judgement);
}

static int pass_on_counted(struct judgement *judgement)
{
    (void)add_relaxed(&judgement->mediator->unparsed, 1);
    return judgement_perform(judgement);
}

/* What the two forms of the call have in common. */
static void read_alloc(const struct judgement *judgement, struct rm_alloc_32 *ret_alloc)
{
    memcpy(ret_alloc, judgement->args, offsetof(struct rm_alloc_32, params_size));
    ret_alloc->params_size =
        judgement_get_u32(judgement->args, judgement->copies.args_size == sizeof(struct rm_alloc_48)
                                               ? offsetof(struct rm_alloc_48, params_size)
                                               : offsetof(struct rm_alloc_32, params_size));
    ret_alloc->status = judgement_get_u32(judgement->args, judgement->status_offset);
}

static int alloc_client(struct judgement *judgement)
{
    struct mediator *mediator = judgement->mediator;
    struct rm_alloc_32 alloc;
    int rc = judgement_perform(judgement);

    if (!judgement_is_done(judgement, rc))
        return rc;
    read_alloc(judgement, &alloc);
    judgement_lock(judgement);
    /* Without room the client is not known, and what is made on it is counted as not understood. */
    if (!registry_add_client(&mediator->registry, alloc.object, judgement->call->file_id))
        (void)add_relaxed(&mediator->unparsed, 1);
    judgement_unlock(judgement);
    return rc;
}

struct part {
    enum registry_kind kind;
    uint32_t device_instance; /* of devices */
    uint32_t engine;          /* of groups, and channels without one */
};

static void record_part(struct judgement *judgement, const struct rm_alloc_32 *alloc,
                        const struct part *part)
{
    struct mediator *mediator = judgement->mediator;
    struct registry_object *object =
        registry_add(&mediator->registry, alloc->client, alloc->parent, alloc->object, part->kind);

    if (!object) {
        (void)add_relaxed(&mediator->unparsed, 1);
        return;
    }
    if (part->kind == REGISTRY_DEVICE)
        object->device_instance = part->device_instance;
    if (part->kind == REGISTRY_GROUP || !object->engine)
        object->engine = part->engine;
    if (is_scheduled(object))
        announce(mediator, object);
    /* Groups that came before their device had a subdevice can be steered from now on. */
    if (part->kind == REGISTRY_SUBDEVICE)
        announce_below(mediator, registry_device_of(&mediator->registry, object));
}

static int alloc_part(struct judgement *judgement, const struct part *part)
{
    struct rm_alloc_32 alloc;
    int rc = judgement_perform(judgement);

    if (!judgement_is_done(judgement, rc))
        return rc;
    read_alloc(judgement, &alloc);
    judgement_lock(judgement);
    record_part(judgement, &alloc, part);
    judgement_unlock(judgement);
    return rc;
}

static int alloc_device(struct judgement *judgement, const struct rm_alloc_32 *alloc)
{
    const struct port *port = judgement->mediator->port;
    struct part part = {.kind = REGISTRY_DEVICE};

    /*
     * Without parameters it is the first device. A size of 0 is the class's own (libcuda sends it).
     */
    if (alloc->params && alloc->params_size && alloc->params_size != RM_DEVICE_PARAMS_SIZE)
        return pass_on_counted(judgement);
    if (alloc->params) {
        if (judgement_read_params(judgement, alloc->params, RM_DEVICE_PARAMS_SIZE) < 0)
            return pass_on(judgement); /* the driver says EFAULT in its own way */
        part.device_instance = judgement_get_u32(judgement->params, 0);
    }
    if (!port->is_allowed(port->context, part.device_instance))
        return judgement_refuse(judgement, RM_INSUFFICIENT_PERMISSIONS);
    return alloc_part(judgement, &part);
}

static HOT int alloc_memory(struct judgement *judgement, const struct rm_alloc_32 *alloc)
{
    const struct charge charge = {.client = alloc->client,
                                  .parent = alloc->parent,
                                  .handle_offset = offsetof(struct rm_alloc_32, object),
                                  .bytes = judgement->params,
                                  .size_offset = RM_MEMORY_PARAMS_BYTES,
                                  .attributes_offset = RM_MEMORY_PARAMS_ATTRIBUTES};

    if (alloc->params_size && alloc->params_size != RM_MEMORY_PARAMS_SIZE)
        return pass_on_counted(judgement);
    if (!alloc->params ||
        judgement_read_params(judgement, alloc->params, RM_MEMORY_PARAMS_SIZE) < 0)
        return pass_on(judgement);
    return charge_call(judgement, &charge);
}

static int alloc_scheduled(struct judgement *judgement, const struct rm_alloc_32 *alloc)
{
    const struct port *port = judgement->mediator->port;
    bool is_group = alloc->class == RM_CLASS_CHANNEL_GROUP;
    struct part part = {.kind = is_group ? REGISTRY_GROUP : REGISTRY_CHANNEL};
    uint32_t offset = is_group ? RM_GROUP_PARAMS_ENGINE : RM_CHANNEL_PARAMS_ENGINE;
    uint32_t end = offset + sizeof(part.engine);

    /* The engine matters to whoever is told, not to the decision: where unreadable it stays 0. */
    if (alloc->params && (!alloc->params_size || alloc->params_size >= end))
        (void)port->read(port->context, alloc->params + offset, &part.engine, sizeof(part.engine));
    return alloc_part(judgement, &part);
}

static HOT int judge_alloc(struct judgement *judgement, uint64_t address, uint32_t size)
{
    static const struct part subdevice = {.kind = REGISTRY_SUBDEVICE};
    struct rm_alloc_32 alloc;

    judgement->status_offset = size == sizeof(struct rm_alloc_48)
                                   ? offsetof(struct rm_alloc_48, status)
                                   : offsetof(struct rm_alloc_32, status);
    if (judgement_read_args(judgement, address, size) < 0)
        return pass_on(judgement);
    read_alloc(judgement, &alloc);
    switch (alloc.class) {
    case RM_CLASS_ROOT:
    case RM_CLASS_ROOT_NON_PRIV:
    case RM_CLASS_ROOT_CLIENT:
        return alloc_client(judgement);
    case RM_CLASS_DEVICE:
        return alloc_device(judgement, &alloc);
    case RM_CLASS_SUBDEVICE:
        return alloc_part(judgement, &subdevice);
    case RM_CLASS_VIDEO_MEMORY:
        return alloc_memory(judgement, &alloc);
    default:
        if (alloc.class == RM_CLASS_CHANNEL_GROUP || RM_CLASS_IS_CHANNEL(alloc.class))
            return alloc_scheduled(judgement, &alloc);
        return pass_on(judgement);
    }
}

/* --- other calls ----------------------------------------------------------------------------- */

static int judge_alloc_memory(struct judgement *judgement, uint64_t address, uint32_t size)
{
    struct rm_alloc_memory alloc;
    struct charge charge = {.handle_offset = offsetof(struct rm_alloc_memory, object),
                            .bytes = judgement->args,
                            .size_offset = offsetof(struct rm_alloc_memory, limit),
                            .attributes_offset = CHARGE_NO_OFFSET,
                            .is_size_minus_one = true};

    judgement->status_offset = offsetof(struct rm_alloc_memory, status);
    if (judgement_read_args(judgement, address, size) < 0)
        return pass_on(judgement);
    memcpy(&alloc, judgement->args, sizeof(alloc));
    if (alloc.class != RM_CLASS_VIDEO_MEMORY)
        return pass_on(judgement);
    charge.client = alloc.client;
    charge.parent = alloc.parent;
    return charge_call(judgement, &charge);
}

static HOT void remove_object(struct judgement *judgement, uint32_t client, uint32_t object,
                              uint64_t stamp)
{
    judgement_lock(judgement);
    registry_remove(&judgement->mediator->registry, client, object, stamp);
    judgement_unlock(judgement);
}

static uint64_t read_stamp(struct judgement *judgement)
{
    return load_relaxed(&judgement->mediator->registry.stamp);
}

static int judge_heap_control(struct judgement *judgement, uint64_t address, uint32_t size)
{
    const struct charge charge_of = {.handle_offset = RM_HEAP_CONTROL_HANDLE,
                                     .bytes = judgement->args,
                                     .size_offset = RM_HEAP_CONTROL_BYTES,
                                     .attributes_offset = RM_HEAP_CONTROL_ATTRIBUTES};
    struct charge charge = charge_of;
    uint64_t stamp = read_stamp(judgement);
    uint32_t function;
    int rc;

    judgement->status_offset = RM_HEAP_CONTROL_STATUS;
    if (judgement_read_args(judgement, address, size) < 0)
        return pass_on(judgement);
    function = judgement_get_u32(judgement->args, RM_HEAP_CONTROL_FUNCTION);
    charge.client = judgement_get_u32(judgement->args, 0);
    charge.parent = judgement_get_u32(judgement->args, sizeof(uint32_t));
    if (function == RM_HEAP_CONTROL_ALLOC_SIZE &&
        !(judgement_get_u32(judgement->args, RM_HEAP_CONTROL_FLAGS) & RM_HEAP_FLAG_VIRTUAL))
        return charge_call(judgement, &charge);
    rc = judgement_perform(judgement);
    if (function == RM_HEAP_CONTROL_FREE && judgement_is_done(judgement, rc))
        remove_object(judgement, charge.client,
                      judgement_get_u32(judgement->args, RM_HEAP_CONTROL_HANDLE), stamp);
    return rc;
}

static HOT int judge_free(struct judgement *judgement, uint64_t address, uint32_t size)
{
    uint64_t stamp = read_stamp(judgement);
    struct rm_free call;
    int rc;

    judgement->status_offset = offsetof(struct rm_free, status);
    if (judgement_read_args(judgement, address, size) < 0)
        return pass_on(judgement);
    rc = judgement_perform(judgement);
    if (!judgement_is_done(judgement, rc))
        return rc;
    memcpy(&call, judgement->args, sizeof(call));
    remove_object(judgement, call.client, call.object, stamp);
    return rc;
}

static void record_duplicate(struct mediator *mediator, const struct rm_dup_object *call)
{
    struct registry *registry = &mediator->registry;
    struct registry_object *source =
        registry_find(registry, call->source_client, call->source_object);
    struct registry_object *copy;
    uint32_t device_instance, kind;

    /* Another process's object, or one that is not kept. Clients cannot be duplicated. */
    if (!source || source->kind == REGISTRY_CLIENT)
        return;
    kind = source->kind;
    device_instance = source->device_instance;
    copy = registry_add(registry, call->client, call->parent, call->object, kind);
    /* The driver may have given out the source's own handle, or that of something above it. */
    source = registry_find(registry, call->source_client, call->source_object);
    if (!copy) {
        (void)add_relaxed(&mediator->unparsed, 1);
        return;
    }
    if (kind == REGISTRY_DEVICE)
        copy->device_instance = device_instance;
    if (kind == REGISTRY_MEMORY && source && source != copy)
        registry_join(registry, copy, source);
}

static int judge_dup(struct judgement *judgement, uint64_t address, uint32_t size)
{
    struct rm_dup_object call;
    int rc;

    judgement->status_offset = offsetof(struct rm_dup_object, status);
    if (judgement_read_args(judgement, address, size) < 0)
        return pass_on(judgement);
    rc = judgement_perform(judgement);
    if (!judgement_is_done(judgement, rc))
        return rc;
    memcpy(&call, judgement->args, sizeof(call));
    judgement_lock(judgement);
    record_duplicate(judgement->mediator, &call);
    judgement_unlock(judgement);
    return rc;
}

static void announce_again(struct mediator *mediator, const struct rm_control *control)
{
    const struct port *port = mediator->port;
    struct registry_object *group;

    port->lock(port->context);
    group = registry_find(&mediator->registry, control->client, control->object);
    if (group && group->kind == REGISTRY_GROUP)
        announce(mediator, group);
    port->unlock(port->context);
}

void mediator_note_control(struct mediator *mediator, const struct rm_control *control)
{
    if (frame_buffer_is_asked(control))
        frame_buffer_patch(mediator, control);
    else
        announce_again(mediator, control);
}

HOT bool mediator_note_at_once(struct mediator *mediator, const struct rm_control *control)
{
    return LIKELY(frame_buffer_is_asked(control)) && frame_buffer_patch_known(mediator, control);
}

/* No control is refused: it is read after it was done, when its memory is known to be there. */
static int judge_control(struct judgement *judgement, uint64_t address, uint32_t size)
{
    struct rm_control control;
    int rc = judgement_perform(judgement);

    if (rc < 0 || judgement_read_args(judgement, address, size) < 0)
        return rc;
    memcpy(&control, judgement->args, sizeof(control));
    if (mediator_heeds(&control) && !mediator_note_at_once(judgement->mediator, &control))
        mediator_note_control(judgement->mediator, &control);
    return rc;
}

/* --- the call -------------------------------------------------------------------------------- */

static inline bool has_size(uint32_t nr, uint32_t size)
{
    switch (nr) {
    case RM_NR_CONTROL:
        return size == sizeof(struct rm_control);
    case RM_NR_ALLOC:
        return size == sizeof(struct rm_alloc_48) || size == sizeof(struct rm_alloc_32);
    case RM_NR_FREE:
        return size == sizeof(struct rm_free);
    case RM_NR_DUP_OBJECT:
        return size == sizeof(struct rm_dup_object);
    case RM_NR_ALLOC_MEMORY:
        return size == sizeof(struct rm_alloc_memory);
    case RM_NR_HEAP_CONTROL:
        return size == RM_HEAP_CONTROL_SIZE;
    default:
        return false;
    }
}

static HOT int judge(struct judgement *judgement, uint32_t nr, uint32_t size, uint64_t address)
{
    if (!LIKELY(has_size(nr, size)))
        return mediator_heeds_number(nr) && nr != RM_NR_TRANSFER ? pass_on_counted(judgement)
                                                                 : pass_on(judgement);
    switch (nr) {
    case RM_NR_ALLOC:
        return judge_alloc(judgement, address, size);
    case RM_NR_FREE:
        return judge_free(judgement, address, size);
    case RM_NR_DUP_OBJECT:
        return judge_dup(judgement, address, size);
    case RM_NR_ALLOC_MEMORY:
        return judge_alloc_memory(judgement, address, size);
    case RM_NR_HEAP_CONTROL:
        return judge_heap_control(judgement, address, size);
    default:
        return judge_control(judgement, address, size);
    }
}

HOT int mediator_call(struct mediator *mediator, const struct port_call *call)
{
    const struct port *port = mediator->port;
    struct judgement judgement;
    uint32_t nr = _IOC_NR(call->request), size = _IOC_SIZE(call->request);
    struct rm_transfer transfer;

    /* The copies are not cleared: a call is on somebody's way to the driver. */
    judgement.mediator = mediator;
    judgement.call = call;
    judgement.copies = (struct port_copies){0};
    judgement.status_offset = 0;
    mediator_count(mediator);
    if (nr != RM_NR_TRANSFER)
        return judge(&judgement, nr, size, call->argument);
    if (size != sizeof(transfer) ||
        port->read(port->context, call->argument, &transfer, sizeof(transfer)) < 0)
        return pass_on_counted(&judgement);
    return judge(&judgement, transfer.nr, transfer.size, transfer.argument);
}

/* --- the rest -------------------------------------------------------------------------------- */

void mediator_init(struct mediator *mediator, const struct port *port)
{
    memset(mediator, 0, sizeof(*mediator));
    mediator->port = port;
    registry_init(&mediator->registry, on_gone, mediator);
}

void mediator_fini(struct mediator *mediator)
{
    registry_fini(&mediator->registry);
}

void mediator_close_file(struct mediator *mediator, uint64_t file_id)
{
    mediator->port->lock(mediator->port->context);
    registry_remove_file(&mediator->registry, file_id);
    mediator->port->unlock(mediator->port->context);
}

void mediator_tell_all(struct mediator *mediator)
{
    mediator->port->lock(mediator->port->context);
    announce_below(mediator, NULL);
    mediator->port->unlock(mediator->port->context);
}

void mediator_begin_as_child(struct mediator *mediator)
{
    struct registry_object *at = NULL;

    mediator->port->lock(mediator->port->context);
    while ((at = registry_next(&mediator->registry, NULL, at))) {
        at->bytes = 0;
        at->is_inherited = 1;
        at->is_announced = 0;
    }
    mediator->port->unlock(mediator->port->context);
}

/* Graphics and compute, its parts under MIG, and what could not be read. */
static bool is_compute(const struct registry_object *object)
{
    return object->kind == REGISTRY_CHANNEL && !object->is_inherited &&
           object->engine <= RM_ENGINE_GRAPHICS_LAST;
}

bool mediator_is_known(unsigned long request)
{
    uint32_t nr = _IOC_NR(request), size = _IOC_SIZE(request);

    return has_size(nr, size) || (nr == RM_NR_TRANSFER && size == sizeof(struct rm_transfer));
}

size_t mediator_list_channels(struct mediator *mediator, struct mediator_channel *ret_channels,
                              size_t max)
{
    const struct registry_object *at = NULL;
    size_t count = 0;

    mediator->port->lock(mediator->port->context);
    while (count < max && (at = registry_next(&mediator->registry, NULL, at))) {
        struct port_event event;

        if (!is_compute(at))
            continue;
        event = event_of(&mediator->registry, at);
        ret_channels[count++] = (struct mediator_channel){.file_id = event.file_id,
                                                          .client = event.client,
                                                          .subdevice = event.subdevice,
                                                          .device_instance = event.device_instance,
                                                          .channel = event.channel};
    }
    mediator->port->unlock(mediator->port->context);
    return count;
}
