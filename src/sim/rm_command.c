#include "sim/rm_command.h"

#include "abi/rm.h"
#include "sim/channel.h"
#include "utils/clock.h"

#include <string.h>

#define CONTROL_ATTACHED_IDS  0x00000201u
#define CONTROL_DEVICE_IDS    0x00000204u
#define CONTROL_ATTACH_IDS    0x00000215u
#define CONTROL_GROUP_ENABLE  0xA06C0101u /* GPFIFO_SCHEDULE: accepted, seen to have no effect */
#define CONTROL_GROUP_BIND    0xA06C0102u
#define CONTROL_GROUP_PREEMPT 0xA06C0105u
#define CONTROL_IDS_MAX       32
#define GID_BINARY            2u /* flag: not as text */
#define NO_ID                 UINT32_MAX
#define SLICE_READ_BACK_US    1024 /* of the default, whose effect is 2048 */
#define SLICE_MAX_US          (UINT64_C(1) << 32)
#define RECORD_LEVEL_FULL     1
#define RECORD_PAYLOAD_BYTES  24

static void take(struct kernel_call *call, uint64_t min_us, uint64_t max_us)
{
    call->due_ns =
        call->when_ns + machine_draw_ns(call->machine, min_us * NS_PER_US, max_us * NS_PER_US);
}

/* A control of the scheduler: what the slow-controls fault makes slower. */
static void take_scheduler(struct kernel_call *call, uint64_t min_us, uint64_t max_us)
{
    take(call, min_us, max_us);
    call->due_ns += call->machine->faults.slow_controls_ms * NS_PER_MS;
}

static struct board *find_board(const struct kernel_call *call, const struct rm_command *command)
{
    return command->object->board < 0 ? NULL : call->machine->boards[command->object->board];
}

static uint32_t get_ids(struct kernel_call *call, const struct rm_command *command)
{
    uint32_t count = 0;
    uint32_t ids[CONTROL_IDS_MAX];

    if (command->params_bytes < sizeof(ids))
        return RM_INVALID_ARGUMENT;
    memset(command->params, 0xFF, command->params_bytes);
    memset(ids, 0xFF, sizeof(ids));
    for (uint32_t i = 0; i < MACHINE_BOARDS_MAX; i++) {
        const struct board *board = machine_board(call->machine, i);

        if (board)
            ids[count++] = board->gpu_id;
    }
    memcpy(command->params, ids, sizeof(ids));
    return RM_OK;
}

static uint32_t get_device_ids(struct kernel_call *call, const struct rm_command *command)
{
    uint32_t mask = 0;

    if (command->params_bytes < sizeof(mask))
        return RM_INVALID_ARGUMENT;
    for (uint32_t i = 0; i < MACHINE_BOARDS_MAX; i++)
        mask |= machine_board(call->machine, i) ? UINT32_C(1) << i : 0;
    memcpy(command->params, &mask, sizeof(mask));
    return RM_OK;
}

static uint32_t get_id_info(struct kernel_call *call, const struct rm_command *command)
{
    struct rm_id_info info;

    if (command->params_bytes < sizeof(info))
        return RM_INVALID_ARGUMENT;
    memcpy(&info, command->params, sizeof(info));
    for (uint32_t i = 0; i < MACHINE_BOARDS_MAX; i++) {
        const struct board *board = machine_board(call->machine, i);

        if (!board || board->gpu_id != info.gpu_id)
            continue;
        info = (struct rm_id_info){
            .gpu_id = board->gpu_id,
            .device_instance = i,
            .board_id = board->gpu_id,
            .gpu_instance = i,
            .numa_node = NO_ID,
        };
        memcpy(command->params, &info, sizeof(info));
        return RM_OK;
    }
    return RM_INVALID_ARGUMENT;
}

static uint32_t run_client_command(struct kernel_call *call, const struct rm_command *command)
{
    switch (command->command) {
    case RM_CONTROL_GET_PROBED_IDS:
    case CONTROL_ATTACHED_IDS:
        return get_ids(call, command);
    case CONTROL_DEVICE_IDS:
        return get_device_ids(call, command);
    case RM_CONTROL_GET_ID_INFO_V2:
        return get_id_info(call, command);
    case CONTROL_ATTACH_IDS:
        return RM_OK;
    default:
        return RM_NOT_SUPPORTED;
    }
}

static uint32_t frame_buffer_kib(const struct board *board, uint32_t index)
{
    uint64_t bytes = 0;

    switch (index) {
    case RM_FB_RAM:
    case RM_FB_TOTAL:
        bytes = board->memory_bytes;
        break;
    case RM_FB_HEAP:
    case RM_FB_USABLE:
        bytes = board->memory_bytes - board->reserved_bytes;
        break;
    case RM_FB_FREE:
        bytes = board->memory_bytes - board->reserved_bytes - board->used_bytes;
        break;
    default:
        break;
    }
    return (uint32_t)(bytes / 1024);
}

/* `pairs` may lie anywhere, so it is copied; `room` is what there is from there on. */
static uint32_t fill_frame_buffer(const struct board *board, uint8_t *pairs, uint64_t room,
                                  uint32_t count)
{
    struct rm_fb_info info;

    if ((uint64_t)count * sizeof(info) > room)
        return RM_INVALID_ARGUMENT;
    for (uint32_t i = 0; i < count; i++) {
        memcpy(&info, pairs + i * sizeof(info), sizeof(info));
        info.kib = frame_buffer_kib(board, info.index);
        memcpy(pairs + i * sizeof(info), &info, sizeof(info));
    }
    return RM_OK;
}

static uint32_t get_frame_buffer(struct kernel_call *call, const struct rm_command *command)
{
    const struct board *board = find_board(call, command);
    uint32_t count;

    if (command->params_bytes < sizeof(count))
        return RM_INVALID_ARGUMENT;
    memcpy(&count, command->params, sizeof(count));
    if (command->command == RM_CONTROL_FB_GET_INFO_V2)
        return fill_frame_buffer(board, command->params + sizeof(count),
                                 command->params_bytes - sizeof(count), count);
    return fill_frame_buffer(board, call->nested, call->nested_bytes, count);
}

static struct channel *find_channel(struct kernel_call *call, uint32_t client_handle,
                                    uint32_t handle)
{
    /* The driver does not ask whose client it is. */
    struct client *client = objects_find_client(&call->machine->objects, client_handle);
    const struct object *object = client ? objects_find(client, handle) : NULL;

    return object && RM_CLASS_IS_CHANNEL(object->class) ? object->content : NULL;
}

/*
 * The instants: preempted and saved 265 us after the call began, as the records showed (200-330),
 * of which the save is 111; running again after 120-200 us, of which the restore is 84.
 */
static uint32_t switch_channels(struct kernel_call *call, const struct rm_command *command)
{
    struct rm_disable_channels params;
    uint64_t effect_ns;

    if (command->params_bytes != sizeof(params))
        return RM_INVALID_ARGUMENT;
    memcpy(&params, command->params, sizeof(params));
    if (params.count > RM_DISABLE_CHANNELS_MAX)
        return RM_INVALID_ARGUMENT;
    if (call->machine->faults.disable_refused)
        return RM_INSUFFICIENT_PERMISSIONS;
    for (uint32_t i = 0; i < params.count; i++) {
        if (!find_channel(call, params.clients[i], params.channels[i]))
            return RM_OBJECT_NOT_FOUND;
    }
    if (params.is_disable)
        take_scheduler(call, 450, 660);
    else
        take_scheduler(call, 270, 310);
    effect_ns =
        call->when_ns + call->machine->faults.slow_controls_ms * NS_PER_MS +
        (params.is_disable ? machine_draw_ns(call->machine, 104 * NS_PER_US, 204 * NS_PER_US)
                           : machine_draw_ns(call->machine, 36 * NS_PER_US, 116 * NS_PER_US));
    for (uint32_t i = 0; i < params.count; i++) {
        struct channel *channel = find_channel(call, params.clients[i], params.channels[i]);

        /* Without preemption it only keeps new work off, which nothing here relies on. */
        if (!call->machine->faults.disable_inert && !params.only_scheduling)
            gpu_switch_channel(&channel->gpu_channel, !params.is_disable, effect_ns);
    }
    return RM_OK;
}

static uint32_t get_time(struct kernel_call *call, const struct rm_command *command)
{
    uint64_t time_ns = board_clock_ns(find_board(call, command), call->now_ns);

    if (command->params_bytes < sizeof(time_ns))
        return RM_INVALID_ARGUMENT;
    take(call, 26, 40);
    memcpy(command->params, &time_ns, sizeof(time_ns));
    return RM_OK;
}

static uint32_t get_gid(struct kernel_call *call, const struct rm_command *command)
{
    const struct board *board = find_board(call, command);
    struct rm_gid_info info;

    if (command->params_bytes != sizeof(info))
        return RM_INVALID_ARGUMENT;
    memcpy(&info, command->params, sizeof(info));
    if (info.index != 0)
        return RM_INVALID_ARGUMENT;
    memset(info.text, 0, sizeof(info.text));
    if (info.flags & GID_BINARY) {
        memcpy(info.text, board->uuid_bytes, sizeof(board->uuid_bytes));
        info.length = sizeof(board->uuid_bytes);
    } else {
        memcpy(info.text, board->uuid, sizeof(board->uuid));
        info.length = (uint32_t)strlen(board->uuid) + 1;
    }
    memcpy(command->params, &info, sizeof(info));
    return RM_OK;
}

static uint32_t bind_records(struct kernel_call *call, const struct rm_command *command)
{
    struct board *board = find_board(call, command);
    struct rm_bind_switch_events params;
    const struct object *object;
    struct switchlog_reader *reader;

    if (command->params_bytes != sizeof(params))
        return RM_INVALID_ARGUMENT;
    memcpy(&params, command->params, sizeof(params));
    object = objects_find(command->client, params.event_buffer);
    if (!object || object->class != RM_CLASS_EVENT_BUFFER)
        return RM_OBJECT_NOT_FOUND;
    if (params.record_size != RECORD_PAYLOAD_BYTES || params.level_of_detail != RECORD_LEVEL_FULL)
        return RM_INVALID_ARGUMENT;
    if (switchlog_has_readers(&board->records))
        take(call, 10, 60);
    else
        take(call, 500, 1600);
    gpu_advance(&board->gpu, call->now_ns);
    reader = object->content;
    reader->is_all_users = params.is_all_users != 0;
    reader->is_privileged = command->client->uid == 0;
    switchlog_bind(&board->records, reader);
    params.reason = 0;
    memcpy(command->params, &params, sizeof(params));
    return RM_OK;
}

static uint32_t run_subdevice_command(struct kernel_call *call, const struct rm_command *command)
{
    switch (command->command) {
    case RM_CONTROL_FB_GET_INFO:
    case RM_CONTROL_FB_GET_INFO_V2:
        return get_frame_buffer(call, command);
    case RM_CONTROL_DISABLE_CHANNELS:
        return switch_channels(call, command);
    case RM_CONTROL_GET_TIME:
        return get_time(call, command);
    case RM_CONTROL_GET_GID_INFO:
        return get_gid(call, command);
    case RM_CONTROL_BIND_SWITCH_EVENTS:
        return bind_records(call, command);
    default:
        return RM_NOT_SUPPORTED;
    }
}

static uint32_t set_slice(struct kernel_call *call, const struct rm_command *command)
{
    struct gpu_group *group = command->object->content;
    uint64_t slice_us;

    if (command->params_bytes != sizeof(slice_us))
        return RM_INVALID_ARGUMENT;
    memcpy(&slice_us, command->params, sizeof(slice_us));
    if (slice_us == 0 || slice_us > SLICE_MAX_US)
        return RM_INVALID_ARGUMENT;
    take_scheduler(call, 330, 390);
    group->told_slice_us = slice_us;
    if (!call->machine->faults.slice_inert)
        gpu_set_slice(group, slice_us * NS_PER_US);
    return RM_OK;
}

static uint32_t get_slice(const struct rm_command *command)
{
    const struct gpu_group *group = command->object->content;
    uint64_t slice_us = group->told_slice_us != 0 ? group->told_slice_us : SLICE_READ_BACK_US;

    if (command->params_bytes != sizeof(slice_us))
        return RM_INVALID_ARGUMENT;
    memcpy(command->params, &slice_us, sizeof(slice_us));
    return RM_OK;
}

static uint32_t run_group_command(struct kernel_call *call, const struct rm_command *command)
{
    switch (command->command) {
    case RM_CONTROL_SET_TIMESLICE:
        return set_slice(call, command);
    case RM_CONTROL_GET_TIMESLICE:
        return get_slice(command);
    case CONTROL_GROUP_PREEMPT:
        take_scheduler(call, 250, 280);
        gpu_preempt(command->object->content);
        return RM_OK;
    case CONTROL_GROUP_ENABLE:
    case CONTROL_GROUP_BIND:
        return RM_OK;
    default:
        return RM_NOT_SUPPORTED;
    }
}

static uint32_t enable_buffer(struct switchlog_reader *reader, const struct rm_command *command)
{
    struct rm_buffer_enable params;

    if (command->params_bytes != sizeof(params))
        return RM_INVALID_ARGUMENT;
    memcpy(&params, command->params, sizeof(params));
    if (params.flags != 1 && params.flags != 2)
        return RM_INVALID_ARGUMENT;
    reader->is_enabled = params.is_enabled != 0;
    reader->is_keep_newest = params.flags == 2;
    return RM_OK;
}

static uint32_t run_buffer_command(struct kernel_call *call, const struct rm_command *command)
{
    struct switchlog_reader *reader = command->object->content;
    uint32_t get;

    switch (command->command) {
    case RM_CONTROL_BUFFER_ENABLE:
        return enable_buffer(reader, command);
    case RM_CONTROL_BUFFER_UPDATE_GET:
        if (command->params_bytes < sizeof(get))
            return RM_INVALID_ARGUMENT;
        memcpy(&get, command->params, sizeof(get));
        if (get >= reader->capacity)
            return RM_INVALID_ARGUMENT;
        __atomic_store_n(&reader->header->get, get, __ATOMIC_RELEASE);
        return RM_OK;
    case RM_CONTROL_BUFFER_FLUSH:
        take(call, 20, 104);
        if (!reader->records)
            return RM_OK;
        gpu_advance(&CONTAINER_OF(reader->records, struct board, records)->gpu, call->now_ns);
        switchlog_push(reader->records);
        return RM_OK;
    default:
        return RM_NOT_SUPPORTED;
    }
}

uint32_t rm_command_run(struct kernel_call *call, const struct rm_command *command)
{
    const struct board *board = find_board(call, command);

    if (board && board->is_lost)
        return RM_GPU_LOST;
    if (!command->object->parent)
        return run_client_command(call, command);
    switch (command->object->class) {
    case RM_CLASS_SUBDEVICE:
        return run_subdevice_command(call, command);
    case RM_CLASS_CHANNEL_GROUP:
        return run_group_command(call, command);
    case RM_CLASS_EVENT_BUFFER:
        return run_buffer_command(call, command);
    default:
        /* Scheduling and binding a channel: it is both from its start. */
        if (RM_CLASS_IS_CHANNEL(command->object->class))
            return RM_OK;
        return RM_NOT_SUPPORTED;
    }
}
