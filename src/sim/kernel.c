#include "sim/kernel.h"

#include "abi/rm.h"
#include "sim/allocate.h"
#include "sim/channel.h"
#include "sim/rm_command.h"
#include "sim/storage.h"
#include "utils/str.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define NR_UNMAP_MEMORY   0x4F
#define NR_STATUS_OFFSET  24 /* of the unmapping's struct of 32 bytes */
#define PAGE_BYTES        UINT64_C(4096)
#define MAPPING_MAX       (UINT64_C(1) << 46)
#define ALLOC_NS_MIN      UINT64_C(20000)
#define ALLOC_NS_MAX      UINT64_C(50000)
#define MAP_ACCESS(flags) ((flags)&3u)
#define MAP_READ_ONLY     1u
#define VERSION_ASK       '2'

static void copy_u32(uint8_t *bytes, uint32_t offset, uint32_t value)
{
    memcpy(bytes + offset, &value, sizeof(value));
}

static uint32_t read_u32(const uint8_t *bytes, uint32_t offset)
{
    uint32_t value;

    memcpy(&value, bytes + offset, sizeof(value));
    return value;
}

struct client *kernel_find_client(const struct kernel_call *call, uint32_t handle)
{
    struct client *client = objects_find_client(&call->machine->objects, handle);
    const struct open_file *file = call->file;

    if (!client)
        return NULL;
    /* As the driver has it: a device's file speaks for the control file it was registered with. */
    return client->file == (file->control != 0 ? file->control : file->inode) ? client : NULL;
}

static void take_alloc_time(struct kernel_call *call)
{
    call->due_ns = call->when_ns + machine_draw_ns(call->machine, ALLOC_NS_MIN, ALLOC_NS_MAX);
}

static void do_alloc(struct kernel_call *call)
{
    struct allocate_request request = {
        .client = read_u32(call->args, offsetof(struct rm_alloc_48, client)),
        .parent = read_u32(call->args, offsetof(struct rm_alloc_48, parent)),
        .object = read_u32(call->args, offsetof(struct rm_alloc_48, object)),
        .class = read_u32(call->args, offsetof(struct rm_alloc_48, class)),
        .params = call->params,
        .params_bytes = call->params_bytes,
    };
    uint32_t status_offset = call->args_bytes == sizeof(struct rm_alloc_48)
                                 ? offsetof(struct rm_alloc_48, status)
                                 : offsetof(struct rm_alloc_32, status);

    if (call->args_bytes != sizeof(struct rm_alloc_48) &&
        call->args_bytes != sizeof(struct rm_alloc_32)) {
        call->error = EINVAL;
        return;
    }
    take_alloc_time(call);
    copy_u32(call->args, status_offset, allocate_object(call, &request));
    copy_u32(call->args, offsetof(struct rm_alloc_48, object), request.object);
}

static void do_free(struct kernel_call *call)
{
    struct rm_free args;
    struct client *client;
    struct object *object;

    memcpy(&args, call->args, sizeof(args));
    client = kernel_find_client(call, args.client);
    object = client ? objects_find(client, args.object) : NULL;
    args.status = !client ? RM_INVALID_CLIENT : !object ? RM_OBJECT_NOT_FOUND : RM_OK;
    if (object) {
        /* What its channels have done until now is theirs. */
        machine_advance(call->machine, call->now_ns);
        objects_free(object);
    }
    take_alloc_time(call);
    memcpy(call->args, &args, sizeof(args));
}

static void do_control(struct kernel_call *call)
{
    struct rm_command command = {.params = call->params, .params_bytes = call->params_bytes};
    struct rm_control args;

    memcpy(&args, call->args, sizeof(args));
    command.command = args.command;
    command.client = kernel_find_client(call, args.client);
    command.object = command.client ? objects_find(command.client, args.object) : NULL;
    if (!command.client)
        args.status = RM_INVALID_CLIENT;
    else if (!command.object)
        args.status = RM_OBJECT_NOT_FOUND;
    else
        args.status = rm_command_run(call, &command);
    memcpy(call->args, &args, sizeof(args));
}

static void do_duplicate(struct kernel_call *call)
{
    struct rm_dup_object args;
    struct allocate_copy copy;

    memcpy(&args, call->args, sizeof(args));
    copy = (struct allocate_copy){
        .client = args.client,
        .parent = args.parent,
        .object = args.object,
        .source_client = args.source_client,
        .source_object = args.source_object,
    };
    args.status = allocate_duplicate(call, &copy);
    args.object = copy.object;
    memcpy(call->args, &args, sizeof(args));
}

static void do_alloc_memory(struct kernel_call *call)
{
    struct allocate_request request;
    struct rm_alloc_memory args;
    uint64_t bytes;

    memcpy(&args, call->args, sizeof(args));
    request = (struct allocate_request){
        .client = args.client,
        .parent = args.parent,
        .object = args.object,
        .class = args.class,
    };
    bytes = args.limit + 1;
    take_alloc_time(call);
    args.status = allocate_memory(call, &request, &bytes, 0);
    args.object = request.object;
    args.limit = bytes - 1;
    memcpy(call->args, &args, sizeof(args));
}

static void do_heap_control(struct kernel_call *call)
{
    struct allocate_request request = {
        .client = read_u32(call->args, 0),
        .parent = read_u32(call->args, 4),
        .object = read_u32(call->args, RM_HEAP_CONTROL_HANDLE),
        .class = RM_CLASS_VIDEO_MEMORY,
    };
    uint32_t function = read_u32(call->args, RM_HEAP_CONTROL_FUNCTION);
    uint32_t attributes = read_u32(call->args, RM_HEAP_CONTROL_ATTRIBUTES);
    uint32_t status = RM_NOT_SUPPORTED;
    uint64_t bytes;

    memcpy(&bytes, call->args + RM_HEAP_CONTROL_BYTES, sizeof(bytes));
    if (function == RM_HEAP_CONTROL_ALLOC_SIZE) {
        take_alloc_time(call);
        status = allocate_memory(call, &request, &bytes, attributes);
        copy_u32(call->args, RM_HEAP_CONTROL_HANDLE, request.object);
        memcpy(call->args + RM_HEAP_CONTROL_BYTES, &bytes, sizeof(bytes));
    }
    copy_u32(call->args, RM_HEAP_CONTROL_STATUS, status);
}

static struct storage *find_storage(const struct object *object)
{
    if (!object || !object->content)
        return NULL;
    if (RM_CLASS_IS_CHANNEL(object->class))
        return ((const struct channel *)object->content)->storage;
    switch (object->class) {
    case RM_CLASS_VIDEO_MEMORY:
    case RM_CLASS_SYSTEM_MEMORY:
    case RM_CLASS_USER_MEMORY:
        return object->content;
    default:
        return NULL;
    }
}

static uint64_t round_up(uint64_t bytes)
{
    return (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

static uint32_t map_memory(struct kernel_call *call, const struct rm_map_memory *args)
{
    struct client *client = kernel_find_client(call, args->client);
    struct open_file *target = call->other;
    struct storage *storage;
    uint64_t room;

    if (!client)
        return RM_INVALID_CLIENT;
    storage = find_storage(objects_find(client, args->memory));
    if (!storage)
        return RM_OBJECT_NOT_FOUND;
    room = round_up(storage->bytes);
    if (!target || args->offset % PAGE_BYTES != 0 || args->length == 0 || args->offset > room ||
        args->length > room - args->offset)
        return RM_INVALID_ARGUMENT;
    if (!storage_map(storage))
        return RM_NO_MEMORY;
    storage_keep(storage);
    storage_drop(target->mapped);
    target->mapped = storage;
    target->mapped_offset = args->offset;
    target->mapped_bytes = round_up(args->length);
    target->is_mapped_writable = !storage->is_read_only && MAP_ACCESS(args->flags) != MAP_READ_ONLY;
    return RM_OK;
}

static void do_map_memory(struct kernel_call *call)
{
    struct rm_map_memory args;

    memcpy(&args, call->args, sizeof(args));
    args.status = map_memory(call, &args);
    memcpy(call->args, &args, sizeof(args));
}

static void do_unmap_memory(struct kernel_call *call)
{
    copy_u32(call->args, NR_STATUS_OFFSET, RM_OK);
}

static void do_card_info(struct kernel_call *call)
{
    uint32_t count = 0;

    memset(call->args, 0, call->args_bytes);
    for (uint32_t i = 0; i < MACHINE_BOARDS_MAX; i++) {
        const struct board *board = machine_board(call->machine, i);
        struct rm_card_info info;

        if (!board || (count + 1) * sizeof(info) > call->args_bytes)
            continue;
        info = (struct rm_card_info){
            .is_valid = 1,
            .pci_bus = (uint8_t)(board->gpu_id >> 8),
            .pci_vendor = 0x10DE,
            .pci_device = 0x2330,
            .gpu_id = board->gpu_id,
            .frame_buffer_size = board->memory_bytes,
            .minor = board->index,
        };
        memcpy(call->args + count * sizeof(info), &info, sizeof(info));
        count++;
    }
}

static void do_register(struct kernel_call *call)
{
    struct open_file *file = call->file;

    if (file->kind != MACHINE_GPU || !call->other || call->other->kind != MACHINE_CONTROL ||
        (file->control != 0 && file->control != call->other->inode)) {
        call->error = EINVAL;
        return;
    }
    file->control = call->other->inode;
}

static void do_check_version(struct kernel_call *call)
{
    struct rm_check_version args;

    memcpy(&args, call->args, sizeof(args));
    args.version[sizeof(args.version) - 1] = 0;
    args.reply = args.command == VERSION_ASK || str_equals(args.version, BOARD_DRIVER);
    (void)str_format(args.version, sizeof(args.version), "%s", BOARD_DRIVER);
    memcpy(call->args, &args, sizeof(args));
}

/* args_min: the least size; is_exact: the only one. Alloc looks for itself. */
static const struct {
    uint32_t nr, args_min;
    bool is_exact;
    void (*run)(struct kernel_call *call);
} calls[] = {
    {RM_NR_ALLOC, sizeof(struct rm_alloc_32), false, do_alloc},
    {RM_NR_FREE, sizeof(struct rm_free), true, do_free},
    {RM_NR_CONTROL, sizeof(struct rm_control), true, do_control},
    {RM_NR_DUP_OBJECT, sizeof(struct rm_dup_object), true, do_duplicate},
    {RM_NR_ALLOC_MEMORY, sizeof(struct rm_alloc_memory), true, do_alloc_memory},
    {RM_NR_HEAP_CONTROL, RM_HEAP_CONTROL_SIZE, true, do_heap_control},
    {RM_NR_MAP_MEMORY, sizeof(struct rm_map_memory), true, do_map_memory},
    {NR_UNMAP_MEMORY, 32, true, do_unmap_memory},
    {RM_NR_CARD_INFO, sizeof(struct rm_card_info), false, do_card_info},
    {RM_NR_REGISTER_FD, sizeof(int32_t), true, do_register},
    {RM_NR_CHECK_VERSION, sizeof(struct rm_check_version), true, do_check_version},
};

void kernel_ioctl(struct kernel_call *call)
{
    call->error = 0;
    call->due_ns = call->when_ns;
    if (call->file->kind == MACHINE_UVM)
        return;
    for (size_t i = 0; i < ARRAY_LENGTH(calls); i++) {
        if (calls[i].nr != call->nr)
            continue;
        if (call->args_bytes < calls[i].args_min ||
            (calls[i].is_exact && call->args_bytes != calls[i].args_min))
            break;
        calls[i].run(call);
        return;
    }
    call->error = EINVAL;
}

int kernel_mmap(struct open_file *file, struct kernel_mapping *mapping)
{
    if (!file->mapped || mapping->bytes == 0 || mapping->bytes > MAPPING_MAX ||
        mapping->offset % PAGE_BYTES != 0 || mapping->offset > file->mapped_bytes ||
        round_up(mapping->bytes) > file->mapped_bytes - mapping->offset)
        return -EINVAL;
    if (mapping->is_writable && !file->is_mapped_writable)
        return -EACCES;
    mapping->offset += file->mapped_offset;
    return file->mapped->fd;
}
