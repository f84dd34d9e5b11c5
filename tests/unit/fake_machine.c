#include "tests/unit/fake_machine.h"

#include "abi/rm.h"
#include "rm/control.h"
#include "sim/channel.h"
#include "sim/kernel.h"
#include "tests/harness.h"
#include "utils/attr.h"
#include "utils/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEMORY_BYTES (UINT64_C(1) << 30)
#define FILES_MAX    256
#define TICK_NS      100 /* of each look at the clock: what polls for an instant comes there */
#define NODE         "/dev/nvidia"

/* What the linker calls instead, and what was there. */
int __wrap_open(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_close(int fd);
uint64_t __wrap_clock_now_ns(void);
int __real_open(const char *path, int flags, ...);
int __real_ioctl(int fd, unsigned long request, ...);
int __real_close(int fd);
uint64_t __real_clock_now_ns(void);

static struct {
    bool is_there, is_real_time;
    struct machine machine;
    pthread_mutex_t lock;
    int fds[FILES_MAX]; /* the first descriptor of each open file, for its last close */
    struct open_file *files[FILES_MAX];
    uint64_t now_ns;
    uint32_t pid; /* of whoever calls */
    uint32_t refusal;
    bool is_flush_refused;
    struct fake_calls calls;
} state = {.lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP}; /* the machine itself maps memory */

/* --- time --- */

uint64_t __wrap_clock_now_ns(void)
{
    uint64_t now_ns;

    if (!state.is_there || state.is_real_time)
        return __real_clock_now_ns();
    (void)pthread_mutex_lock(&state.lock);
    now_ns = state.now_ns += TICK_NS;
    (void)pthread_mutex_unlock(&state.lock);
    return now_ns;
}

uint64_t fake_machine_now_ns(void)
{
    return state.is_real_time ? __real_clock_now_ns() : state.now_ns;
}

void fake_machine_pass_until(uint64_t instant_ns)
{
    if (instant_ns > state.now_ns)
        state.now_ns = instant_ns;
    machine_advance(&state.machine, state.now_ns);
}

/* --- files --- */

static struct open_file *find(int fd)
{
    struct stat status;

    if (!state.is_there || fd < 0 || fstat(fd, &status) < 0)
        return NULL;
    for (size_t i = 0; i < FILES_MAX; i++)
        if (state.files[i] && state.files[i]->inode == status.st_ino)
            return state.files[i];
    return NULL;
}

static int open_node(const char *name)
{
    struct open_file file = {.pid = state.pid, .kind = MACHINE_GPU};
    CLEANUP_CLOSE int fd = memfd_create("node", MFD_CLOEXEC);
    struct stat status;

    if (strcmp(name, "ctl") == 0) {
        file.kind = MACHINE_CONTROL;
    } else {
        file.board = (uint32_t)(name[0] - '0');
        if (name[1] || !machine_board(&state.machine, file.board)) {
            errno = ENODEV;
            return -1;
        }
    }
    CHECK(fd >= 0 && fstat(fd, &status) == 0);
    file.inode = status.st_ino;
    for (size_t i = 0; i < FILES_MAX; i++) {
        if (state.files[i])
            continue;
        CHECK_EQ(machine_add_file(&state.machine, &state.files[i], &file), 0);
        state.fds[i] = fd;
        return TAKE_FD(fd);
    }
    errno = EMFILE;
    return -1;
}

static int open_any(const char *path, int flags, mode_t mode)
{
    int fd;

    if (!state.is_there || strncmp(path, NODE, strlen(NODE)) != 0)
        return __real_open(path, flags, mode); /* close-on-exec as the caller says */
    (void)pthread_mutex_lock(&state.lock);
    fd = open_node(path + strlen(NODE));
    (void)pthread_mutex_unlock(&state.lock);
    return fd;
}

static mode_t read_mode(va_list arguments, int flags)
{
    return flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
}

int __wrap_open(const char *path, int flags, ...)
{
    va_list arguments;
    mode_t mode;

    va_start(arguments, flags);
    mode = read_mode(arguments, flags);
    va_end(arguments);
    return open_any(path, flags, mode);
}

int __wrap_open64(const char *path, int flags, ...)
{
    va_list arguments;
    mode_t mode;

    va_start(arguments, flags);
    mode = read_mode(arguments, flags);
    va_end(arguments);
    return open_any(path, flags, mode);
}

int __wrap_close(int fd)
{
    (void)pthread_mutex_lock(&state.lock);
    for (size_t i = 0; state.is_there && i < FILES_MAX; i++) {
        if (!state.files[i] || state.fds[i] != fd)
            continue;
        machine_advance(&state.machine, fake_machine_now_ns());
        machine_close_file(&state.machine, state.files[i]);
        state.files[i] = NULL;
    }
    (void)pthread_mutex_unlock(&state.lock);
    return __real_close(fd);
}

/* --- calls --- */

static void point_at_params(struct kernel_call *call)
{
    if (call->nr == RM_NR_CONTROL) {
        const struct rm_control *args = (const void *)call->args;

        call->params = (uint8_t *)(uintptr_t)args->params;
        call->params_bytes = args->params_size;
    } else if (call->nr == RM_NR_ALLOC) {
        const struct rm_alloc_48 *args = (const void *)call->args;

        call->params = (uint8_t *)(uintptr_t)args->params;
        call->params_bytes = args->params_size;
    } else if (call->nr == RM_NR_REGISTER_FD) {
        int fd;

        memcpy(&fd, call->args, sizeof(fd));
        call->other = find(fd);
    } else if (call->nr == RM_NR_MAP_MEMORY) {
        const struct rm_map_memory *args = (const void *)call->args;

        call->other = find(args->fd);
    }
}

static void note_switch(const struct rm_disable_channels *params, uint64_t now_ns)
{
    struct fake_calls *calls = &state.calls;
    uint32_t number = calls->disables + calls->enables;

    if (number < FAKE_SWITCHES_MAX)
        calls->times_ns[number] = now_ns;
    if (params->is_disable)
        calls->disables++;
    else
        calls->enables++;
    if (params->count > calls->most_channels)
        calls->most_channels = params->count;
}

/* Returns true where the call is answered already. */
static bool note_control(struct kernel_call *call)
{
    struct rm_control *args = (void *)call->args;

    if (call->nr != RM_NR_CONTROL)
        return false;
    state.calls.slices += args->command == RM_CONTROL_SET_TIMESLICE;
    state.calls.flushes += args->command == RM_CONTROL_BUFFER_FLUSH;
    if (args->command == RM_CONTROL_BUFFER_FLUSH && state.is_flush_refused) {
        args->status = RM_INVALID_ARGUMENT;
        return true;
    }
    if (args->command != RM_CONTROL_DISABLE_CHANNELS)
        return false;
    note_switch((const void *)call->params, call->now_ns);
    args->status = state.refusal;
    return state.refusal != RM_OK;
}

/* The descriptor that a mapping is made with becomes the memory itself. */
static void prepare_mapping(const struct kernel_call *call)
{
    const struct rm_map_memory *args = (const void *)call->args;
    struct kernel_mapping mapping = {.bytes = 0};
    int memory;

    if (call->nr != RM_NR_MAP_MEMORY || call->error || args->status != RM_OK)
        return;
    mapping.bytes = args->length;
    memory = kernel_mmap(call->other, &mapping);
    CHECK(memory >= 0 && mapping.offset == 0);
    CHECK_EQ(dup3(memory, args->fd, O_CLOEXEC), args->fd);
}

static int call_driver(struct open_file *file, unsigned long request, void *argument)
{
    uint64_t now_ns = fake_machine_now_ns();
    struct kernel_call call = {
        .machine = &state.machine,
        .file = file,
        .pid = state.pid,
        .when_ns = now_ns,
        .now_ns = now_ns,
        .nr = _IOC_NR(request),
        .args = argument,
        .args_bytes = _IOC_SIZE(request),
    };

    point_at_params(&call);
    machine_advance(&state.machine, now_ns);
    call.due_ns = now_ns;
    if (!note_control(&call))
        kernel_ioctl(&call);
    prepare_mapping(&call);
    if (!state.is_real_time)
        fake_machine_pass_until(call.due_ns);
    errno = (int)call.error;
    return call.error ? -1 : 0;
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
    struct open_file *file;
    va_list arguments;
    void *argument;
    int rc;

    va_start(arguments, request);
    argument = va_arg(arguments, void *);
    va_end(arguments);
    (void)pthread_mutex_lock(&state.lock);
    file = find(fd);
    rc = file ? call_driver(file, request, argument) : __real_ioctl(fd, request, argument);
    (void)pthread_mutex_unlock(&state.lock);
    return rc;
}

/* --- the machine --- */

void fake_machine_start(uint32_t gpus, bool is_real_time)
{
    struct machine_options options = {
        .gpus = gpus, .memory_bytes = MEMORY_BYTES, .model = "test", .now_unix_ns = 1000 * SECOND};

    memset(&state.calls, 0, sizeof(state.calls));
    memset(state.files, 0, sizeof(state.files));
    state.is_real_time = is_real_time;
    state.now_ns = 10 * SECOND;
    state.refusal = RM_OK;
    state.is_flush_refused = false;
    state.pid = (uint32_t)getpid();
    options.now_ns = fake_machine_now_ns();
    CHECK_EQ(machine_init(&state.machine, &options), 0);
    state.is_there = true;
}

void fake_machine_stop(void)
{
    state.is_there = false;
    machine_fini(&state.machine);
}

struct machine *fake_machine(void)
{
    return &state.machine;
}

struct fake_calls *fake_machine_calls(void)
{
    return &state.calls;
}

uint32_t fake_machine_disables(void)
{
    uint32_t count;

    (void)pthread_mutex_lock(&state.lock);
    count = state.calls.disables;
    (void)pthread_mutex_unlock(&state.lock);
    return count;
}

void fake_machine_set_fault(const char *text)
{
    struct err err;

    (void)pthread_mutex_lock(&state.lock);
    CHECK_OK(machine_set_fault(&state.machine, text, &err), &err);
    (void)pthread_mutex_unlock(&state.lock);
}

void fake_machine_refuse(uint32_t status)
{
    (void)pthread_mutex_lock(&state.lock);
    state.refusal = status;
    (void)pthread_mutex_unlock(&state.lock);
}

void fake_machine_refuse_flush(bool is_refused)
{
    (void)pthread_mutex_lock(&state.lock);
    state.is_flush_refused = is_refused;
    (void)pthread_mutex_unlock(&state.lock);
}

/* --- programs --- */

static uint32_t allocate(const struct fake_program *program, uint32_t parent,
                         struct control_object object)
{
    struct control_at at = {program->fd, program->client, parent};

    CHECK_EQ(control_alloc(&at, &object, NULL), 0);
    return object.handle;
}

static struct queue *map_queue(const struct fake_program *program)
{
    CLEANUP_CLOSE int fd = open_any(NODE "0", O_RDWR | O_CLOEXEC, 0);
    struct rm_map_memory args = {
        .client = program->client,
        .device = program->device,
        .memory = program->channel,
        .length = sizeof(struct queue),
        .fd = fd,
    };
    void *queue;

    CHECK_EQ(__wrap_ioctl(program->fd, RM_REQUEST(RM_NR_MAP_MEMORY, sizeof(args)), &args), 0);
    CHECK_EQ(args.status, RM_OK);
    queue = mmap(NULL, sizeof(struct queue), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(queue != MAP_FAILED);
    return queue;
}

struct fake_program fake_program_start(pid_t pid)
{
    struct fake_program program = {.pid = pid, .next_handle = 0x1000};
    uint8_t device[RM_DEVICE_PARAMS_SIZE] = {0};
    uint32_t subdevice = 0, group[RM_GROUP_PARAMS_SIZE / 4] = {0}, own = state.pid;

    state.pid = (uint32_t)pid;
    program.fd = open_any(NODE "ctl", O_RDWR | O_CLOEXEC, 0);
    program.gpu_fd = open_any(NODE "0", O_RDWR | O_CLOEXEC, 0);
    CHECK(program.fd >= 0 && program.gpu_fd >= 0);
    CHECK_EQ(__wrap_ioctl(program.gpu_fd, RM_REQUEST(RM_NR_REGISTER_FD, sizeof(int)), &program.fd),
             0);
    group[RM_GROUP_PARAMS_ENGINE / 4] = RM_ENGINE_GRAPHICS;
    program.client =
        allocate(&program, 0, (struct control_object){0, RM_CLASS_ROOT_CLIENT, NULL, 0});
    program.device =
        allocate(&program, program.client,
                 (struct control_object){0x10, RM_CLASS_DEVICE, device, sizeof(device)});
    program.subdevice =
        allocate(&program, program.device,
                 (struct control_object){0x11, RM_CLASS_SUBDEVICE, &subdevice, sizeof(subdevice)});
    program.group =
        allocate(&program, program.device,
                 (struct control_object){0x12, RM_CLASS_CHANNEL_GROUP, group, sizeof(group)});
    program.channel = fake_program_add_channel(&program);
    program.queue = map_queue(&program);
    state.pid = own;
    return program;
}

uint32_t fake_program_add_channel(struct fake_program *program)
{
    return allocate(
        program, program->group,
        (struct control_object){program->next_handle++, RM_CLASS_CHANNEL_HOPPER, NULL, 0});
}

void fake_program_free(struct fake_program *program, uint32_t object)
{
    CHECK_EQ(control_free(program->fd, program->client, object, NULL), 0);
}

void fake_program_submit(struct fake_program *program, uint64_t duration_ns, uint64_t submit_ns)
{
    struct queue *queue = program->queue;
    uint64_t put = atomic_load(&queue->put);

    (void)pthread_mutex_lock(&state.lock);
    queue->items[put % QUEUE_ITEMS] = (struct queue_item){
        .submit_ns = submit_ns, .duration_ns = duration_ns, .kind = QUEUE_KERNEL};
    atomic_store(&queue->put, put + 1);
    (void)pthread_mutex_unlock(&state.lock);
}

uint64_t fake_program_busy_ns(const struct fake_program *program)
{
    struct client *client = objects_find_client(&state.machine.objects, program->client);
    const struct object *object = objects_find(client, program->channel);
    const struct channel *channel = object->content;

    return channel->gpu_channel.group->busy_ns;
}

void fake_program_end(struct fake_program *program)
{
    (void)munmap(program->queue, sizeof(struct queue));
    (void)__wrap_close(program->gpu_fd);
    (void)__wrap_close(program->fd);
}
