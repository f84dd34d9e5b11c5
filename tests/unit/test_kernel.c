#include "tests/harness.h"
#include "abi/rm.h"
#include "sim/kernel.h"
#include "sim/queue.h"
#include "sim/service.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define US       UINT64_C(1000)
#define MS       UINT64_C(1000000)
#define SECOND   UINT64_C(1000000000)
#define MIB      (UINT64_C(1) << 20)
#define CARD     (1024 * MIB)
#define RESERVED (16 * MIB)
#define PID      1234
#define DEVICE   0x100u
#define BOARD    0x101u
#define GROUP    0x200u
#define CHANNEL  0x201u
#define PINNED   0x300u

static struct {
    struct machine machine;
    struct open_file *control, *gpu;
    uint64_t now_ns;
    uint32_t client;
    uint32_t uid;
    uint64_t took_ns;
    uint8_t *params;
    uint32_t params_bytes;
} at;

static void set_params(void *params, size_t size)
{
    at.params = params;
    at.params_bytes = (uint32_t)size;
}

/* With the params set in `at`, once. */
static uint32_t run(struct open_file *file, uint32_t nr, void *args, size_t size)
{
    struct kernel_call call = {
        .machine = &at.machine,
        .file = file,
        .pid = PID,
        .uid = at.uid,
        .when_ns = at.now_ns,
        .now_ns = at.now_ns,
        .nr = nr,
        .args = args,
        .args_bytes = (uint32_t)size,
        .params = at.params,
        .params_bytes = at.params_bytes,
        .other = at.gpu,
    };

    if (nr == RM_NR_REGISTER_FD)
        call.other = at.control;
    at.params = NULL;
    at.params_bytes = 0;
    kernel_ioctl(&call);
    at.took_ns = call.due_ns - at.now_ns;
    return call.error;
}

static uint32_t allocate(uint32_t parent, uint32_t object, uint32_t class, void *params,
                         size_t size)
{
    struct rm_alloc_48 args = {
        .client = at.client, .parent = parent, .object = object, .class = class, .status = ~0u};

    set_params(params, size);
    CHECK_EQ(run(at.control, RM_NR_ALLOC, &args, sizeof(args)), 0);
    if (class == RM_CLASS_ROOT_CLIENT && args.status == RM_OK)
        at.client = args.object;
    return args.status;
}

static uint32_t control(uint32_t object, uint32_t command, void *params, size_t size)
{
    struct rm_control args = {
        .client = at.client, .object = object, .command = command, .status = ~0u};

    set_params(params, size);
    CHECK_EQ(run(at.control, RM_NR_CONTROL, &args, sizeof(args)), 0);
    return args.status;
}

static uint32_t release(uint32_t object)
{
    struct rm_free args = {.client = at.client, .object = object, .status = ~0u};

    CHECK_EQ(run(at.control, RM_NR_FREE, &args, sizeof(args)), 0);
    return args.status;
}

static uint32_t allocate_memory(uint32_t handle, uint32_t class, uint64_t *bytes,
                                uint32_t attributes)
{
    uint8_t params[RM_MEMORY_PARAMS_SIZE] = {0};
    uint32_t status;

    memcpy(params + RM_MEMORY_PARAMS_ATTRIBUTES, &attributes, sizeof(attributes));
    memcpy(params + RM_MEMORY_PARAMS_BYTES, bytes, sizeof(*bytes));
    status = allocate(DEVICE, handle, class, params, sizeof(params));
    memcpy(bytes, params + RM_MEMORY_PARAMS_BYTES, sizeof(*bytes));
    return status;
}

static uint32_t free_kib(void)
{
    struct {
        uint32_t count;
        struct rm_fb_info pairs[3];
    } params = {.count = 3,
                .pairs = {{.index = RM_FB_TOTAL}, {.index = RM_FB_HEAP}, {.index = RM_FB_FREE}}};

    CHECK_EQ(control(BOARD, RM_CONTROL_FB_GET_INFO_V2, &params, sizeof(params)), RM_OK);
    CHECK_EQ(params.pairs[0].kib, CARD / 1024);
    CHECK_EQ(params.pairs[1].kib, (CARD - RESERVED) / 1024);
    return params.pairs[2].kib;
}

/* A machine with one GPU of 1 GiB, and a program on it that has its device. */
static void start(void)
{
    const struct machine_options options = {
        .gpus = 1, .memory_bytes = CARD, .model = "test", .now_ns = SECOND, .now_unix_ns = SECOND};
    const struct open_file files[] = {{.kind = MACHINE_CONTROL, .inode = 11, .pid = PID},
                                      {.kind = MACHINE_GPU, .inode = 12, .pid = PID}};
    uint8_t device[RM_DEVICE_PARAMS_SIZE] = {0};
    uint32_t subdevice = 0;
    int32_t fd = 3;

    at.now_ns = SECOND;
    at.uid = 0;
    CHECK_EQ(machine_init(&at.machine, &options), 0);
    CHECK_EQ(machine_add_file(&at.machine, &at.control, &files[0]), 0);
    CHECK_EQ(machine_add_file(&at.machine, &at.gpu, &files[1]), 0);
    CHECK_EQ(run(at.gpu, RM_NR_REGISTER_FD, &fd, sizeof(fd)), 0);
    at.client = 0;
    CHECK_EQ(allocate(0, 0, RM_CLASS_ROOT_CLIENT, NULL, 0), RM_OK);
    CHECK_EQ(allocate(at.client, DEVICE, RM_CLASS_DEVICE, device, sizeof(device)), RM_OK);
    CHECK_EQ(allocate(DEVICE, BOARD, RM_CLASS_SUBDEVICE, &subdevice, sizeof(subdevice)), RM_OK);
}

static void stop(void)
{
    machine_fini(&at.machine);
}

static void *map(uint32_t memory, size_t size, bool is_writable)
{
    struct rm_map_memory args = {
        .client = at.client, .device = DEVICE, .memory = memory, .length = size, .fd = 3};
    struct kernel_mapping mapping = {.bytes = size, .is_writable = is_writable};
    void *bytes;
    int fd;

    CHECK_EQ(run(at.control, RM_NR_MAP_MEMORY, &args, sizeof(args)), 0);
    CHECK_EQ(args.status, RM_OK);
    fd = kernel_mmap(at.gpu, &mapping);
    CHECK(fd >= 0);
    bytes = mmap(NULL, size, is_writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd,
                 (off_t)mapping.offset);
    CHECK(bytes != MAP_FAILED);
    return bytes;
}

static struct queue *add_channel(uint32_t group, uint32_t channel)
{
    uint32_t params[5] = {0};

    params[RM_GROUP_PARAMS_ENGINE / 4] = RM_ENGINE_GRAPHICS;
    CHECK_EQ(allocate(DEVICE, group, RM_CLASS_CHANNEL_GROUP, params, sizeof(params)), RM_OK);
    CHECK_EQ(allocate(group, channel, RM_CLASS_CHANNEL_HOPPER, NULL, 0), RM_OK);
    return map(channel, sizeof(struct queue), true);
}

static void submit(struct queue *queue, uint64_t duration_ns, uint64_t units)
{
    queue->items[queue->put % QUEUE_ITEMS] = (struct queue_item){
        .submit_ns = at.now_ns,
        .duration_ns = duration_ns,
        .kind = QUEUE_KERNEL,
        .progress_memory = units > 0 ? PINNED : 0,
        .progress_units = units,
        .flags = QUEUE_PROGRESS_ADDS,
    };
    queue->put++;
}

static void pass(uint64_t ns)
{
    at.now_ns += ns;
    machine_advance(&at.machine, at.now_ns);
}

TEST(memory_is_rounded_to_its_pages_and_runs_out)
{
    uint64_t bytes = 1;

    start();
    CHECK_EQ(free_kib(), (CARD - RESERVED) / 1024);
    CHECK_EQ(allocate_memory(1, RM_CLASS_VIDEO_MEMORY, &bytes, 0), RM_OK);
    CHECK_EQ(bytes, 4096);
    bytes = 1;
    CHECK_EQ(allocate_memory(2, RM_CLASS_VIDEO_MEMORY, &bytes, 2u << 23), RM_OK);
    CHECK_EQ(bytes, 65536);
    bytes = 1;
    CHECK_EQ(allocate_memory(3, RM_CLASS_VIDEO_MEMORY, &bytes, 3u << 23), RM_OK);
    CHECK_EQ(bytes, 2 * MIB);
    CHECK_EQ(free_kib(), (CARD - RESERVED - 2 * MIB - 65536 - 4096) / 1024);
    bytes = CARD - RESERVED - 2 * MIB;
    CHECK_EQ(allocate_memory(4, RM_CLASS_VIDEO_MEMORY, &bytes, 0), RM_NO_MEMORY);
    CHECK_EQ(release(3), RM_OK);
    CHECK_EQ(release(3), RM_OBJECT_NOT_FOUND);
    bytes = CARD - RESERVED - 2 * MIB;
    CHECK_EQ(allocate_memory(4, RM_CLASS_VIDEO_MEMORY, &bytes, 0), RM_OK);
    /* The host's memory is not the card's. */
    bytes = 8 * CARD;
    CHECK_EQ(allocate_memory(5, RM_CLASS_SYSTEM_MEMORY, &bytes, 0), RM_OK);
    CHECK_EQ(allocate_memory(6, RM_CLASS_VIDEO_MEMORY, &bytes, 1u << 25), RM_OK);
    stop();
}

TEST(freeing_a_parent_frees_what_is_below_it)
{
    uint64_t bytes = 10 * MIB;

    start();
    CHECK_EQ(allocate_memory(1, RM_CLASS_VIDEO_MEMORY, &bytes, 0), RM_OK);
    (void)munmap(add_channel(GROUP, CHANNEL), sizeof(struct queue));
    CHECK_EQ(release(DEVICE), RM_OK);
    CHECK_EQ(at.machine.boards[0]->used_bytes, 0);
    CHECK_EQ(release(CHANNEL), RM_OBJECT_NOT_FOUND);
    CHECK_EQ(release(at.client), RM_OK);
    CHECK_EQ(release(at.client), RM_INVALID_CLIENT);
    stop();
}

TEST(closing_the_file_frees_its_clients)
{
    uint64_t bytes = 10 * MIB;

    start();
    CHECK_EQ(allocate_memory(1, RM_CLASS_VIDEO_MEMORY, &bytes, 0), RM_OK);
    machine_close_file(&at.machine, at.control);
    CHECK_EQ(at.machine.boards[0]->used_bytes, 0);
    CHECK(!objects_find_client(&at.machine.objects, at.client));
    stop();
}

TEST(a_duplicate_keeps_the_memory_without_adding_any)
{
    struct rm_dup_object args = {.object = 9, .source_object = 1, .status = ~0u};
    uint64_t bytes = 10 * MIB;

    start();
    CHECK_EQ(allocate_memory(1, RM_CLASS_VIDEO_MEMORY, &bytes, 0), RM_OK);
    args.client = args.source_client = at.client;
    args.parent = DEVICE;
    CHECK_EQ(run(at.control, RM_NR_DUP_OBJECT, &args, sizeof(args)), 0);
    CHECK_EQ(args.status, RM_OK);
    CHECK_EQ(at.machine.boards[0]->used_bytes, 10 * MIB);
    CHECK_EQ(release(1), RM_OK);
    CHECK_EQ(at.machine.boards[0]->used_bytes, 10 * MIB);
    CHECK_EQ(release(9), RM_OK);
    CHECK_EQ(at.machine.boards[0]->used_bytes, 0);
    stop();
}

TEST(a_client_answers_only_on_its_own_file_and_on_those_registered_with_it)
{
    const struct open_file stranger = {.kind = MACHINE_CONTROL, .inode = 99, .pid = 77};
    struct open_file *file;
    struct rm_free args = {.status = ~0u};

    start();
    CHECK_EQ(machine_add_file(&at.machine, &file, &stranger), 0);
    args.client = args.object = at.client;
    CHECK_EQ(run(file, RM_NR_FREE, &args, sizeof(args)), 0);
    CHECK_EQ(args.status, RM_INVALID_CLIENT);
    CHECK_EQ(run(at.gpu, RM_NR_FREE, &args, sizeof(args)), 0);
    CHECK_EQ(args.status, RM_OK);
    stop();
}

TEST(handles_are_the_callers_or_chosen_for_it)
{
    struct rm_alloc_48 args = {.parent = DEVICE, .class = RM_CLASS_VIDEO_MEMORY};
    uint8_t params[RM_MEMORY_PARAMS_SIZE] = {0};
    uint64_t bytes = MIB;

    start();
    CHECK_EQ(allocate_memory(7, RM_CLASS_VIDEO_MEMORY, &bytes, 0), RM_OK);
    CHECK(allocate_memory(7, RM_CLASS_VIDEO_MEMORY, &bytes, 0) != RM_OK);
    args.client = at.client;
    memcpy(params + RM_MEMORY_PARAMS_BYTES, &bytes, sizeof(bytes));
    set_params(params, sizeof(params));
    CHECK_EQ(run(at.control, RM_NR_ALLOC, &args, sizeof(args)), 0);
    CHECK_EQ(args.status, RM_OK);
    CHECK(args.object != 0 && args.object != 7);
    CHECK_EQ(release(args.object), RM_OK);
    stop();
}

TEST(both_forms_of_alloc_are_understood)
{
    uint8_t params[RM_MEMORY_PARAMS_SIZE] = {0};
    struct rm_alloc_32 args = {
        .parent = DEVICE, .object = 5, .class = RM_CLASS_VIDEO_MEMORY, .status = ~0u};
    uint64_t bytes = 3 * MIB;

    start();
    args.client = at.client;
    memcpy(params + RM_MEMORY_PARAMS_BYTES, &bytes, sizeof(bytes));
    set_params(params, sizeof(params));
    CHECK_EQ(run(at.control, RM_NR_ALLOC, &args, sizeof(args)), 0);
    CHECK_EQ(args.status, RM_OK);
    CHECK_EQ(at.machine.boards[0]->used_bytes, 3 * MIB);
    stop();
}

TEST(the_older_ways_to_video_memory_count_as_well)
{
    struct rm_alloc_memory args = {
        .object = 5, .class = RM_CLASS_VIDEO_MEMORY, .limit = 3 * MIB - 1, .status = ~0u};
    uint8_t heap[RM_HEAP_CONTROL_SIZE] = {0};
    uint32_t function = RM_HEAP_CONTROL_ALLOC_SIZE, device = DEVICE, handle, status;
    uint64_t bytes = 5 * MIB;

    start();
    args.client = at.client;
    args.parent = DEVICE;
    CHECK_EQ(run(at.gpu, RM_NR_ALLOC_MEMORY, &args, sizeof(args)), 0);
    CHECK_EQ(args.status, RM_OK);
    memcpy(heap, &at.client, 4);
    memcpy(heap + 4, &device, 4);
    memcpy(heap + RM_HEAP_CONTROL_FUNCTION, &function, 4);
    memcpy(heap + RM_HEAP_CONTROL_BYTES, &bytes, 8);
    CHECK_EQ(run(at.control, RM_NR_HEAP_CONTROL, heap, sizeof(heap)), 0);
    memcpy(&status, heap + RM_HEAP_CONTROL_STATUS, 4);
    memcpy(&handle, heap + RM_HEAP_CONTROL_HANDLE, 4);
    CHECK_EQ(status, RM_OK);
    CHECK_EQ(at.machine.boards[0]->used_bytes, 8 * MIB);
    CHECK_EQ(release(handle), RM_OK);
    CHECK_EQ(at.machine.boards[0]->used_bytes, 3 * MIB);
    stop();
}

TEST(a_queue_runs_and_its_counter_advances_with_the_kernel)
{
    struct queue *queue;
    uint64_t bytes = 4096;
    uint64_t *counter;

    start();
    queue = add_channel(GROUP, CHANNEL);
    CHECK_EQ(allocate_memory(PINNED, RM_CLASS_SYSTEM_MEMORY, &bytes, 0), RM_OK);
    counter = map(PINNED, 4096, true);
    CHECK_EQ(queue->is_asleep, 1);
    submit(queue, 10 * MS, 1000);
    submit(queue, 10 * MS, 1000);
    pass(5 * MS);
    CHECK_NEAR(*counter, 490, 10);
    CHECK_EQ(queue->completed, 0);
    pass(10 * MS);
    CHECK_NEAR(*counter, 1490, 10);
    CHECK_EQ(queue->completed, 1);
    queue->wanted = 2;
    pass(10 * MS);
    CHECK_EQ(*counter, 2000);
    CHECK_EQ(queue->completed, 2);
    CHECK_EQ(queue->wanted, QUEUE_NOTHING);
    CHECK_EQ(queue->wake_word, 1);
    CHECK_EQ(queue->is_asleep, 1);
    CHECK_NEAR(queue->finished_ns[1] - queue->started_ns[1], 10 * MS, 1);
    CHECK_EQ(release(GROUP), RM_OK);
    CHECK_EQ(queue->state, QUEUE_CLOSED);
    stop();
}

TEST(a_disable_takes_effect_and_returns_when_the_driver_would)
{
    struct rm_disable_channels params = {.is_disable = 1, .count = 1};
    struct queue *queue;

    start();
    queue = add_channel(GROUP, CHANNEL);
    submit(queue, SECOND, 0);
    pass(10 * MS);
    params.clients[0] = at.client;
    params.channels[0] = CHANNEL;
    CHECK_EQ(control(BOARD, RM_CONTROL_DISABLE_CHANNELS, &params, sizeof(params)), RM_OK);
    CHECK(at.took_ns >= 450 * US && at.took_ns <= 660 * US);
    pass(500 * MS);
    params.is_disable = 0;
    CHECK_EQ(control(BOARD, RM_CONTROL_DISABLE_CHANNELS, &params, sizeof(params)), RM_OK);
    CHECK(at.took_ns >= 270 * US && at.took_ns <= 310 * US);
    pass(2 * SECOND);
    CHECK_EQ(queue->completed, 1);
    CHECK_NEAR(queue->finished_ns[0] - queue->started_ns[0], SECOND + 500 * MS, 1 * MS);
    params.channels[0] = DEVICE;
    CHECK_EQ(control(BOARD, RM_CONTROL_DISABLE_CHANNELS, &params, sizeof(params)),
             RM_OBJECT_NOT_FOUND);
    stop();
}

TEST(a_slice_is_read_back_as_1024_until_it_is_set)
{
    uint64_t slice_us = 0;

    start();
    (void)munmap(add_channel(GROUP, CHANNEL), sizeof(struct queue));
    CHECK_EQ(control(GROUP, RM_CONTROL_GET_TIMESLICE, &slice_us, sizeof(slice_us)), RM_OK);
    CHECK_EQ(slice_us, 1024);
    slice_us = 5000;
    CHECK_EQ(control(GROUP, RM_CONTROL_SET_TIMESLICE, &slice_us, sizeof(slice_us)), RM_OK);
    CHECK(at.took_ns >= 330 * US && at.took_ns <= 390 * US);
    slice_us = 0;
    CHECK_EQ(control(GROUP, RM_CONTROL_GET_TIMESLICE, &slice_us, sizeof(slice_us)), RM_OK);
    CHECK_EQ(slice_us, 5000);
    stop();
}

/* Makes an event buffer as a reader of switches does; returns the status of its allocation. */
static uint32_t add_event_buffer(uint32_t attributes2)
{
    struct rm_event_buffer_params params = {.record_size = 32,
                                            .record_count = 128,
                                            .subdevice = BOARD,
                                            .header_memory = 0x400,
                                            .record_memory = 0x401};
    uint8_t memory[RM_MEMORY_PARAMS_SIZE] = {0};
    uint64_t bytes = 4096;

    memcpy(memory + RM_MEMORY_PARAMS_ATTRIBUTES2, &attributes2, sizeof(attributes2));
    memcpy(memory + RM_MEMORY_PARAMS_BYTES, &bytes, sizeof(bytes));
    CHECK_EQ(allocate(at.client, 0x400, RM_CLASS_USER_MEMORY, memory, sizeof(memory)), RM_OK);
    CHECK_EQ(allocate(at.client, 0x401, RM_CLASS_USER_MEMORY, memory, sizeof(memory)), RM_OK);
    return allocate(at.client, 0x402, RM_CLASS_EVENT_BUFFER, &params, sizeof(params));
}

static void bind_and_enable(void)
{
    struct rm_bind_switch_events bind = {
        .event_buffer = 0x402, .record_size = 24, .level_of_detail = 1, .is_all_users = 1};
    struct rm_buffer_enable enable = {.is_enabled = 1, .flags = 2};

    CHECK_EQ(control(BOARD, RM_CONTROL_BIND_SWITCH_EVENTS, &bind, sizeof(bind)), RM_OK);
    CHECK_EQ(control(0x402, RM_CONTROL_BUFFER_ENABLE, &enable, sizeof(enable)), RM_OK);
}

TEST(switch_records_reach_the_buffer_at_a_flush)
{
    const struct rm_buffer_header *header;
    const struct rm_switch_record *ring;
    struct queue *queue;

    start();
    CHECK_EQ(add_event_buffer(RM_MEMORY_ATTRIBUTE2_USER_READ_ONLY), RM_OK);
    bind_and_enable();
    header = map(0x400, 4096, false);
    ring = map(0x401, 4096, false);
    /* The program may not write there. */
    CHECK_EQ(kernel_mmap(at.gpu, &(struct kernel_mapping){.bytes = 4096, .is_writable = true}),
             -EACCES);
    queue = add_channel(GROUP, CHANNEL);
    submit(queue, 10 * MS, 0);
    pass(1 * MS);
    CHECK_EQ(header->put, 0);
    CHECK_EQ(control(0x402, RM_CONTROL_BUFFER_FLUSH, NULL, 0), RM_OK);
    CHECK(at.took_ns >= 20 * US && at.took_ns <= 104 * US);
    CHECK_EQ(header->put, 1);
    CHECK_EQ(header->record_count, 1);
    CHECK_EQ(ring[0].type, RM_RECORD_TYPE_SWITCH);
    CHECK_EQ(ring[0].tag, RM_RECORD_START);
    CHECK_EQ(ring[0].pid, PID);
    CHECK_NEAR(ring[0].time_ns, SECOND + 84 * US + 20 * US, 20 * US);
    stop();
}

TEST(other_users_are_a_sum_without_a_name_for_those_without_rights)
{
    const struct rm_switch_record *ring;
    struct queue *queue;

    start();
    queue = add_channel(GROUP, CHANNEL);
    at.uid = 65534;
    CHECK_EQ(allocate(0, 0, RM_CLASS_ROOT_CLIENT, NULL, 0), RM_OK);
    CHECK_EQ(allocate(at.client, DEVICE, RM_CLASS_DEVICE, (uint8_t[56]){0}, 56), RM_OK);
    CHECK_EQ(allocate(DEVICE, BOARD, RM_CLASS_SUBDEVICE, (uint8_t[4]){0}, 4), RM_OK);
    CHECK_EQ(add_event_buffer(RM_MEMORY_ATTRIBUTE2_USER_READ_ONLY), RM_OK);
    bind_and_enable();
    ring = map(0x401, 4096, false);
    submit(queue, 10 * MS, 0);
    pass(1 * MS);
    CHECK_EQ(control(0x402, RM_CONTROL_BUFFER_FLUSH, NULL, 0), RM_OK);
    CHECK_EQ(ring[0].tag, RM_RECORD_START);
    CHECK_EQ(ring[0].pid, 0);
    stop();
}

TEST(an_event_buffer_needs_memory_that_the_program_cannot_write)
{
    start();
    CHECK_EQ(add_event_buffer(0), RM_INVALID_ARGUMENT);
    stop();
}

TEST(faults_show)
{
    struct rm_disable_channels params = {.is_disable = 1, .count = 1};
    uint64_t slice_us = 5000;

    start();
    (void)munmap(add_channel(GROUP, CHANNEL), sizeof(struct queue));
    params.clients[0] = at.client;
    params.channels[0] = CHANNEL;
    CHECK_EQ(machine_set_fault(&at.machine, "disable-refused", NULL), 0);
    CHECK_EQ(control(BOARD, RM_CONTROL_DISABLE_CHANNELS, &params, sizeof(params)),
             RM_INSUFFICIENT_PERMISSIONS);
    CHECK_EQ(machine_set_fault(&at.machine, "disable-refused=off", NULL), 0);
    CHECK_EQ(machine_set_fault(&at.machine, "slow-controls=30", NULL), 0);
    CHECK_EQ(control(BOARD, RM_CONTROL_DISABLE_CHANNELS, &params, sizeof(params)), RM_OK);
    CHECK(at.took_ns > 30 * MS && at.took_ns < 31 * MS);
    CHECK_EQ(machine_set_fault(&at.machine, "no-records", NULL), 0);
    CHECK_EQ(add_event_buffer(RM_MEMORY_ATTRIBUTE2_USER_READ_ONLY), RM_NOT_SUPPORTED);
    CHECK_EQ(machine_set_fault(&at.machine, "gpu-lost", NULL), 0);
    CHECK_EQ(control(GROUP, RM_CONTROL_SET_TIMESLICE, &slice_us, sizeof(slice_us)), RM_GPU_LOST);
    CHECK_EQ(machine_set_fault(&at.machine, "gpu-found", NULL), -EINVAL);
    CHECK_EQ(release(at.client), RM_OK);
    stop();
}

TEST(nvml_counts_memory_by_process)
{
    struct wire_request request = {.query = WIRE_QUERY_PROCESSES};
    struct wire_reply reply = {0};
    struct wire_process rows[8];
    uint64_t bytes = 10 * MIB;

    start();
    CHECK_EQ(allocate_memory(1, RM_CLASS_VIDEO_MEMORY, &bytes, 0), RM_OK);
    CHECK_EQ(allocate_memory(2, RM_CLASS_VIDEO_MEMORY, &bytes, 0), RM_OK);
    service_answer(&at.machine, &request, &reply, rows, sizeof(rows));
    CHECK_EQ(reply.error, 0);
    CHECK_EQ(reply.count, 1);
    CHECK_EQ(rows[0].pid, PID);
    CHECK_EQ(rows[0].memory_bytes, 20 * MIB);
    CHECK_EQ(rows[0].is_compute, 0);
    stop();
}

/* The same sequence each time, so that a failure can be looked at. */
static uint32_t draw(void)
{
    static uint32_t state = 12345;

    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

TEST(garbage_does_no_harm)
{
    static const uint32_t numbers[] = {0x27, 0x29, 0x2A, 0x2B, 0x34, 0x4A, 0x4E, 200, 201, 210, 7};
    static const uint32_t classes[] = {0x40,   0x3E,   0x41,   0x80,   0x2080, 0xA06C,
                                       0xC86F, 0x90CD, 0x90CE, 0x0005, 0xFFFF};
    static const uint32_t commands[] = {0x214,      0x205,      0xA06C0103, 0x2080110B, 0x20801303,
                                        0x20801301, 0x20801238, 0x90CD0101, 0x90CD0104, 0x20800403};
    static const size_t sizes[] = {16, 32, 48, 28, 56, 184, 4, 72, 8, 0};

    start();
    for (int i = 0; i < 200000; i++) {
        uint8_t args[256], params[640];
        uint32_t word;

        for (size_t j = 0; j < sizeof(args); j += 4) {
            word = draw() % 3 ? draw() % 0x400 : draw() % 2 ? at.client : draw();
            memcpy(args + j, &word, 4);
        }
        for (size_t j = 0; j < sizeof(params); j += 4) {
            word = draw() % 2 ? draw() % 0x400 : draw();
            memcpy(params + j, &word, 4);
        }
        memcpy(args, &at.client, 4);
        word = draw() % 2 ? classes[draw() % 11] : commands[draw() % 10];
        memcpy(args + (draw() % 2 ? 8 : 12), &word, 4);
        set_params(params, draw() % 4 ? draw() % sizeof(params) : 536);
        (void)run(draw() % 2 ? at.control : at.gpu, numbers[draw() % 11], args, sizes[draw() % 10]);
        at.now_ns += 10 * US;
    }
    machine_advance(&at.machine, at.now_ns);
    stop();
}
