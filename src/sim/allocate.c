#include "sim/allocate.h"

#include "abi/rm.h"
#include "sim/channel.h"
#include "sim/storage.h"
#include "utils/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RM_DUPLICATE_HANDLE 0x19u
#define RM_INVALID_PARENT   0x36u
#define RM_CLASS_HOST_PAGES 0x71u /* the program's own pages, pinned; by RM_NR_ALLOC_MEMORY */

static uint32_t to_status(int rc)
{
    return rc == 0 ? RM_OK : rc == -EEXIST ? RM_DUPLICATE_HANDLE : RM_NO_MEMORY;
}

static uint32_t read_u32(const struct allocate_request *request, uint32_t offset)
{
    uint32_t value = 0;

    if (request->params && offset + sizeof(value) <= request->params_bytes)
        memcpy(&value, request->params + offset, sizeof(value));
    return value;
}

static uint32_t add_client(struct kernel_call *call, struct allocate_request *request)
{
    struct open_file *owner = call->file;
    struct client *client;
    int rc;

    if (owner->control != 0)
        owner = machine_find_file(call->machine, owner->control);
    if (!owner || owner->kind == MACHINE_UVM)
        return RM_INVALID_ARGUMENT;
    rc = objects_add_client(&call->machine->objects, &client, request->object, request->class);
    if (rc < 0)
        return to_status(rc);
    client->file = owner->inode;
    client->pid = call->pid;
    client->uid = call->uid;
    list_append(&owner->clients, &client->file_node);
    request->object = client->object.handle;
    return RM_OK;
}

/* A process gets a device only while it holds its node open. */
static bool is_accessible(const struct kernel_call *call, const struct client *client,
                          uint32_t board)
{
    LIST_EACH(node, &call->machine->files)
    {
        const struct open_file *file = CONTAINER_OF(node, struct open_file, node);

        if (file->kind == MACHINE_GPU && file->board == board &&
            (file->pid == call->pid || file->control == client->file))
            return true;
    }
    return false;
}

static uint32_t add_device(struct kernel_call *call, struct allocate_request *request,
                           struct object *parent)
{
    uint32_t instance = read_u32(request, 0);
    const struct board *board = machine_board(call->machine, instance);
    struct object *object;
    int rc;

    if (parent->parent)
        return RM_INVALID_PARENT;
    if (!board)
        return RM_INVALID_ARGUMENT;
    if (board->is_lost)
        return RM_GPU_LOST;
    if (!is_accessible(call, parent->client, instance))
        return RM_INSUFFICIENT_PERMISSIONS;
    rc = objects_add(parent, &object, request->object, request->class);
    if (rc < 0)
        return to_status(rc);
    object->board = (int32_t)instance;
    request->object = object->handle;
    return RM_OK;
}

/* An object that has nothing but its place. */
static uint32_t add_plain(struct allocate_request *request, struct object *parent)
{
    struct object *object;
    int rc = objects_add(parent, &object, request->object, request->class);

    if (rc == 0)
        request->object = object->handle;
    return to_status(rc);
}

static void release_storage(struct object *object)
{
    storage_drop(object->content);
}

static uint32_t enter_storage(struct object *parent, struct allocate_request *request,
                              struct storage *storage)
{
    struct object *object;
    int rc = objects_add(parent, &object, request->object, request->class);

    if (rc < 0) {
        storage_drop(storage);
        return to_status(rc);
    }
    object->content = storage;
    object->release = release_storage;
    request->object = object->handle;
    return RM_OK;
}

static uint32_t add_memory(struct kernel_call *call, struct allocate_request *request,
                           struct object *parent, uint64_t *bytes, uint32_t attributes)
{
    bool is_video = request->class == RM_CLASS_VIDEO_MEMORY &&
                    RM_MEMORY_LOCATION(attributes) == RM_MEMORY_LOCATION_VIDEO;
    uint64_t granted = storage_round(*bytes, attributes);
    struct storage *storage;
    uint32_t status;

    if (*bytes == 0)
        return RM_INVALID_ARGUMENT;
    if (granted == 0)
        return RM_NO_MEMORY;
    if (is_video && parent->board < 0)
        return RM_INVALID_PARENT;
    if (is_video)
        status = storage_new_video(&storage, call->machine->boards[parent->board], granted,
                                   parent->client->pid);
    else
        status = storage_new_host(&storage, granted, parent->client->pid);
    if (status != RM_OK)
        return status;
    storage->is_read_only = (read_u32(request, RM_MEMORY_PARAMS_ATTRIBUTES2) &
                             RM_MEMORY_ATTRIBUTE2_USER_READ_ONLY) != 0;
    status = enter_storage(parent, request, storage);
    if (status == RM_OK)
        *bytes = granted;
    return status;
}

static uint32_t add_memory_by_params(struct kernel_call *call, struct allocate_request *request,
                                     struct object *parent)
{
    uint64_t bytes;
    uint32_t status;

    if (!request->params || request->params_bytes < RM_MEMORY_PARAMS_BYTES + sizeof(bytes))
        return RM_INVALID_ARGUMENT;
    memcpy(&bytes, request->params + RM_MEMORY_PARAMS_BYTES, sizeof(bytes));
    status =
        add_memory(call, request, parent, &bytes, read_u32(request, RM_MEMORY_PARAMS_ATTRIBUTES));
    if (status == RM_OK)
        memcpy(request->params + RM_MEMORY_PARAMS_BYTES, &bytes, sizeof(bytes));
    return status;
}

static void release_group(struct object *object)
{
    gpu_remove_group(object->content);
    free(object->content);
}

static uint32_t add_group(struct kernel_call *call, struct allocate_request *request,
                          struct object *parent)
{
    struct gpu_group *group;
    struct object *object;
    int rc;

    if (parent->class != RM_CLASS_DEVICE)
        return RM_INVALID_PARENT;
    if (!request->params || request->params_bytes < RM_GROUP_PARAMS_ENGINE + sizeof(uint32_t))
        return RM_INVALID_ARGUMENT;
    group = calloc(1, sizeof(*group));
    if (!group)
        return RM_NO_MEMORY;
    rc = objects_add(parent, &object, request->object, request->class);
    if (rc < 0) {
        free(group);
        return to_status(rc);
    }
    gpu_add_group(&call->machine->boards[parent->board]->gpu, group, parent->client->pid,
                  parent->client->uid);
    object->content = group;
    object->release = release_group;
    call->due_ns =
        call->when_ns + machine_draw_ns(call->machine, 900 * NS_PER_US, 1000 * NS_PER_US);
    request->object = object->handle;
    return RM_OK;
}

static void release_channel(struct object *object)
{
    channel_free(object->content);
}

static uint32_t add_channel(struct kernel_call *call, struct allocate_request *request,
                            struct object *parent)
{
    bool is_in_group = parent->class == RM_CLASS_CHANNEL_GROUP;
    struct object *object;
    int rc;

    if (!is_in_group && parent->class != RM_CLASS_DEVICE)
        return RM_INVALID_PARENT;
    rc = objects_add(parent, &object, request->object, request->class);
    if (rc < 0)
        return to_status(rc);
    object->content = channel_new(object, call->machine->boards[parent->board],
                                  is_in_group ? parent->content : NULL);
    if (!object->content) {
        objects_free(object);
        return RM_NO_MEMORY;
    }
    object->release = release_channel;
    call->due_ns =
        call->when_ns + machine_draw_ns(call->machine, 700 * NS_PER_US, 1000 * NS_PER_US);
    request->object = object->handle;
    return RM_OK;
}

struct event_buffer {
    struct switchlog_reader reader;
    struct storage *header, *records;
};

static void release_event_buffer(struct object *object)
{
    struct event_buffer *buffer = object->content;

    switchlog_unbind(&buffer->reader);
    storage_drop(buffer->header);
    storage_drop(buffer->records);
    free(buffer);
}

/* The memory of an event buffer: the program may only read it. */
static struct storage *find_event_memory(struct client *client, uint32_t handle, uint64_t bytes)
{
    const struct object *object = objects_find(client, handle);
    struct storage *storage;

    if (!object || object->class != RM_CLASS_USER_MEMORY)
        return NULL;
    storage = object->content;
    return storage->is_read_only && storage->bytes >= bytes && storage_map(storage) ? storage
                                                                                    : NULL;
}

static uint32_t add_event_buffer(struct kernel_call *call, struct allocate_request *request,
                                 struct object *parent)
{
    struct rm_event_buffer_params params;
    struct storage *header, *records;
    struct event_buffer *buffer;
    struct object *object;

    if (call->machine->faults.no_records)
        return RM_NOT_SUPPORTED;
    if (!request->params || request->params_bytes < sizeof(params))
        return RM_INVALID_ARGUMENT;
    memcpy(&params, request->params, sizeof(params));
    if (params.record_size != sizeof(struct rm_switch_record) || params.record_count < 2)
        return RM_INVALID_ARGUMENT;
    header =
        find_event_memory(parent->client, params.header_memory, sizeof(struct rm_buffer_header));
    records = find_event_memory(parent->client, params.record_memory,
                                (uint64_t)params.record_count * params.record_size);
    if (!header || !records)
        return RM_INVALID_ARGUMENT;
    buffer = calloc(1, sizeof(*buffer));
    if (!buffer || objects_add(parent, &object, request->object, request->class) < 0) {
        free(buffer);
        return buffer ? RM_DUPLICATE_HANDLE : RM_NO_MEMORY;
    }
    storage_keep(header);
    storage_keep(records);
    buffer->header = header;
    buffer->records = records;
    buffer->reader.header = header->memory;
    buffer->reader.ring = records->memory;
    buffer->reader.capacity = params.record_count;
    buffer->reader.uid = parent->client->uid;
    object->content = buffer;
    object->release = release_event_buffer;
    request->object = object->handle;
    return RM_OK;
}

/* Classes that a CUDA program makes and that have no meaning here. */
static bool is_plain_class(uint32_t class)
{
    switch (class) {
    case 0x0005: /* event */
    case 0x0079: /* event by descriptor */
    case 0x9067: /* context share */
    case 0x90F1: /* address space */
    case 0xC461: /* user mode doorbell */
    case 0xC661:
        return true;
    default:
        return (class & 0xFFu) == 0xC0u || (class & 0xFFu) == 0xB5u; /* compute, copy */
    }
}

uint32_t allocate_object(struct kernel_call *call, struct allocate_request *request)
{
    struct client *client;
    struct object *parent;

    if (request->class == RM_CLASS_ROOT || request->class == RM_CLASS_ROOT_NON_PRIV ||
        request->class == RM_CLASS_ROOT_CLIENT)
        return add_client(call, request);
    client = kernel_find_client(call, request->client);
    if (!client)
        return RM_INVALID_CLIENT;
    parent = objects_find(client, request->parent);
    if (!parent)
        return RM_OBJECT_NOT_FOUND;
    if (parent->board >= 0 && call->machine->boards[parent->board]->is_lost)
        return RM_GPU_LOST;
    if (RM_CLASS_IS_CHANNEL(request->class))
        return add_channel(call, request, parent);
    switch (request->class) {
    case RM_CLASS_DEVICE:
        return add_device(call, request, parent);
    case RM_CLASS_SUBDEVICE:
        return parent->class == RM_CLASS_DEVICE ? add_plain(request, parent) : RM_INVALID_PARENT;
    case RM_CLASS_VIDEO_MEMORY:
    case RM_CLASS_SYSTEM_MEMORY:
    case RM_CLASS_USER_MEMORY:
        return add_memory_by_params(call, request, parent);
    case RM_CLASS_CHANNEL_GROUP:
        return add_group(call, request, parent);
    case RM_CLASS_EVENT_BUFFER:
        return add_event_buffer(call, request, parent);
    default:
        return is_plain_class(request->class) ? add_plain(request, parent) : RM_NOT_SUPPORTED;
    }
}

uint32_t allocate_memory(struct kernel_call *call, struct allocate_request *request,
                         uint64_t *bytes, uint32_t attributes)
{
    struct client *client = kernel_find_client(call, request->client);
    struct object *parent;

    if (!client)
        return RM_INVALID_CLIENT;
    parent = objects_find(client, request->parent);
    if (!parent)
        return RM_OBJECT_NOT_FOUND;
    if (parent->board >= 0 && call->machine->boards[parent->board]->is_lost)
        return RM_GPU_LOST;
    if (request->class != RM_CLASS_VIDEO_MEMORY && request->class != RM_CLASS_SYSTEM_MEMORY &&
        request->class != RM_CLASS_HOST_PAGES)
        return RM_NOT_SUPPORTED;
    return add_memory(call, request, parent, bytes, attributes);
}

uint32_t allocate_duplicate(struct kernel_call *call, struct allocate_copy *copy)
{
    struct client *client = kernel_find_client(call, copy->client);
    struct client *source_client =
        objects_find_client(&call->machine->objects, copy->source_client);
    struct object *parent, *source;
    struct allocate_request request;
    uint32_t status;

    if (!client || !source_client)
        return RM_INVALID_CLIENT;
    parent = objects_find(client, copy->parent);
    source = objects_find(source_client, copy->source_object);
    if (!parent || !source)
        return RM_OBJECT_NOT_FOUND;
    /* Only what is memory can be had twice here; the driver allows some more. */
    if (source->release != release_storage)
        return RM_NOT_SUPPORTED;
    request = (struct allocate_request){.object = copy->object, .class = source->class};
    storage_keep(source->content);
    status = enter_storage(parent, &request, source->content);
    copy->object = request.object;
    return status;
}
