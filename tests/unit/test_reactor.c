#include "tests/harness.h"

#include "abi/rm.h"
#include "sim/queue.h"
#include "sim/reactor.h"
#include "sim/wire.h"
#include "utils/clock.h"
#include "utils/shm.h"
#include "utils/sock.h"

#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEVICE  0x100u
#define BOARD   0x101u
#define GROUP   0x200u
#define CHANNEL 0x201u
#define MIB     (UINT64_C(1) << 20)
#define US      UINT64_C(1000)

/* What a program on the machine has; it runs in a child, and ends with 0 where all went well. */
static struct {
    char path[128];
    int connection;
    int control, gpu;
    uint64_t control_inode, gpu_inode;
    uint32_t client;
    struct wire_reply reply;
} program;

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                                \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

/* Sends a request with one blob of args, and gets the reply, its args and its descriptor back. */
static int ask(struct wire_request *request, void *args)
{
    uint8_t message[4096];
    struct sock_fds fds = {.count = 1};
    ssize_t size;

    request->magic = WIRE_MAGIC;
    request->sent_ns = clock_now_ns();
    memcpy(message, request, sizeof(*request));
    if (args)
        memcpy(message + sizeof(*request), args, request->args_bytes + request->params_bytes);
    size = (ssize_t)(sizeof(*request) + request->args_bytes + request->params_bytes);
    MUST(sock_send(program.connection, message, (size_t)size, NULL, 0) >= 0);
    size = sock_receive(program.connection, message, sizeof(message), &fds, -1);
    MUST(size >= (ssize_t)sizeof(program.reply));
    memcpy(&program.reply, message, sizeof(program.reply));
    if (args)
        memcpy(args, message + sizeof(program.reply), (size_t)size - sizeof(program.reply));
    return fds.count > 0 ? fds.values[0] : -1;
}

static int open_node(enum wire_node node, uint64_t *ret_inode)
{
    struct wire_request request = {.kind = WIRE_OPEN, .node = node};
    int fd = ask(&request, NULL);
    struct stat status;

    MUST(program.reply.error == 0 && fd >= 0 && fstat(fd, &status) == 0);
    *ret_inode = status.st_ino;
    return fd;
}

static void call(uint32_t nr, void *args, size_t size, size_t params_size)
{
    struct wire_request request = {
        .kind = WIRE_IOCTL,
        .file = program.control_inode,
        .other_file = program.gpu_inode,
        .request = (uint32_t)RM_REQUEST(nr, size),
        .args_bytes = (uint32_t)size,
        .params_bytes = (uint32_t)params_size,
    };

    if (nr == RM_NR_REGISTER_FD) {
        request.file = program.gpu_inode;
        request.other_file = program.control_inode;
    }
    MUST(ask(&request, args) < 0);
    MUST(program.reply.error == 0);
}

static uint32_t allocate(uint32_t parent, uint32_t object, uint32_t class, size_t params_size)
{
    struct {
        struct rm_alloc_48 args;
        uint32_t params[32];
    } blobs = {.args = {.client = program.client,
                        .parent = parent,
                        .object = object,
                        .class = class,
                        .status = ~0u}};

    if (class == RM_CLASS_CHANNEL_GROUP)
        blobs.params[RM_GROUP_PARAMS_ENGINE / 4] = RM_ENGINE_GRAPHICS;
    if (class == RM_CLASS_VIDEO_MEMORY)
        blobs.params[RM_MEMORY_PARAMS_BYTES / 4] = 16 * MIB;
    call(RM_NR_ALLOC, &blobs, sizeof(blobs.args), params_size);
    if (class == RM_CLASS_ROOT_CLIENT)
        program.client = blobs.args.object;
    return blobs.args.status;
}

static void connect_program(void)
{
    int32_t fd = 0;

    MUST(sock_connect(&program.connection, program.path, 1000, NULL) == 0);
    program.control = open_node(WIRE_NODE_CONTROL, &program.control_inode);
    program.gpu = open_node(WIRE_NODE_GPU, &program.gpu_inode);
    call(RM_NR_REGISTER_FD, &fd, sizeof(fd), 0);
    MUST(allocate(0, 0, RM_CLASS_ROOT_CLIENT, 0) == RM_OK);
    MUST(allocate(program.client, DEVICE, RM_CLASS_DEVICE, RM_DEVICE_PARAMS_SIZE) == RM_OK);
    MUST(allocate(DEVICE, BOARD, RM_CLASS_SUBDEVICE, 4) == RM_OK);
}

static struct queue *map_queue(void)
{
    struct rm_map_memory args = {.client = program.client,
                                 .device = DEVICE,
                                 .memory = CHANNEL,
                                 .length = sizeof(struct queue),
                                 .status = ~0u};
    struct wire_request request = {.kind = WIRE_MMAP,
                                   .file = program.gpu_inode,
                                   .length = sizeof(struct queue),
                                   .is_writable = 1};
    struct queue *queue;
    int fd;

    MUST(allocate(DEVICE, GROUP, RM_CLASS_CHANNEL_GROUP, 20) == RM_OK);
    MUST(allocate(GROUP, CHANNEL, RM_CLASS_CHANNEL_HOPPER, 0) == RM_OK);
    call(RM_NR_MAP_MEMORY, &args, sizeof(args), 0);
    MUST(args.status == RM_OK);
    fd = ask(&request, NULL);
    MUST(fd >= 0);
    queue = mmap(NULL, sizeof(*queue), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                 (off_t)program.reply.value);
    MUST(queue != MAP_FAILED);
    return queue;
}

static void ring(void)
{
    (void)send(program.gpu, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void submit(struct queue *queue, uint64_t duration_ns)
{
    struct queue_item *item = &queue->items[queue->put % QUEUE_ITEMS];

    *item = (struct queue_item){.duration_ns = duration_ns, .kind = QUEUE_KERNEL};
    item->submit_ns = clock_now_ns();
    atomic_fetch_add(&queue->put, 1);
    if (atomic_load(&queue->is_asleep) && atomic_exchange(&queue->is_asleep, 0))
        ring();
}

/* As the header of sim/queue.h has it. */
static void wait_for(struct queue *queue, uint64_t number)
{
    for (;;) {
        uint32_t word = atomic_load(&queue->wake_word);
        uint64_t wanted = atomic_load(&queue->wanted);

        if (atomic_load(&queue->completed) >= number || atomic_load(&queue->state) != QUEUE_ALIVE)
            return;
        while (wanted > number && !atomic_compare_exchange_strong(&queue->wanted, &wanted, number))
            ;
        ring();
        (void)syscall(SYS_futex, &queue->wake_word, FUTEX_WAIT, word, NULL, NULL, 0);
    }
}

static struct machine machine;

/* Runs `body` as the command of a machine with one GPU of 1 GiB; returns its exit status. */
static int run_program(void (*body)(void))
{
    struct machine_options options = {.gpus = 1, .memory_bytes = 1024 * MIB, .model = "test"};
    char directory[] = "/tmp/test-reactor-XXXXXX";
    struct reactor *reactor;
    sigset_t before;
    int status;
    pid_t pid;

    CHECK(mkdtemp(directory));
    (void)snprintf(program.path, sizeof(program.path), "%s/socket", directory);
    options.now_ns = options.now_unix_ns = clock_now_ns();
    CHECK_EQ(machine_init(&machine, &options), 0);
    reactor_block_signals(&before);
    CHECK_EQ(reactor_new(&reactor, &machine, program.path, NULL), 0);
    pid = fork();
    if (pid == 0) {
        (void)alarm(30);
        (void)sigprocmask(SIG_SETMASK, &before, NULL);
        body();
        _exit(0);
    }
    status = reactor_run(reactor, pid);
    reactor_free(reactor);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    CHECK_EQ(machine.boards[0]->used_bytes, 0);
    machine_fini(&machine);
    CHECK_EQ(unlink(program.path), 0);
    CHECK_EQ(rmdir(directory), 0);
    return status;
}

static void run_kernels(void)
{
    struct queue *queue;
    uint64_t begun_ns;

    connect_program();
    queue = map_queue();
    begun_ns = clock_now_ns();
    for (int i = 0; i < 1000; i++)
        submit(queue, 100 * US);
    wait_for(queue, 1000);
    MUST(clock_now_ns() - begun_ns >= 1000 * 100 * US);
    for (int i = 1; i < 1000; i++) /* where it was there in time */
        if (queue->items[i].submit_ns <= queue->finished_ns[i - 1])
            MUST(queue->finished_ns[i] - queue->finished_ns[i - 1] < 110 * US);
    for (uint64_t i = 1; i <= 20; i++) {
        submit(queue, 200 * US);
        wait_for(queue, 1000 + i);
        MUST(atomic_load(&queue->completed) == 1000 + i);
    }
}

TEST(kernels_run_for_their_time_and_wake_who_waits)
{
    CHECK_EQ(run_program(run_kernels), 0);
}

static void switch_channels(void)
{
    struct {
        struct rm_control args;
        struct rm_disable_channels params;
    } blobs = {.args = {.object = BOARD, .command = RM_CONTROL_DISABLE_CHANNELS},
               .params = {.is_disable = 1, .count = 1, .channels = {CHANNEL}}};
    struct queue *queue;
    uint64_t begun_ns, took_ns, disabled_ns;

    connect_program();
    queue = map_queue();
    blobs.args.client = blobs.params.clients[0] = program.client;
    submit(queue, 200000 * US); /* long enough that the call comes before its end */
    begun_ns = clock_now_ns();
    call(RM_NR_CONTROL, &blobs, sizeof(blobs.args), sizeof(blobs.params));
    took_ns = clock_now_ns() - begun_ns;
    MUST(blobs.args.status == RM_OK);
    MUST(took_ns >= 440 * US);
    disabled_ns = clock_now_ns();
    clock_sleep_until_ns(disabled_ns + 250000 * US);
    MUST(atomic_load(&queue->completed) == 0);
    blobs.params.is_disable = 0;
    call(RM_NR_CONTROL, &blobs, sizeof(blobs.args), sizeof(blobs.params));
    wait_for(queue, 1);
    MUST(queue->finished_ns[0] > disabled_ns + 250000 * US);
}

TEST(a_disabled_channel_does_not_finish_and_the_call_takes_its_time)
{
    CHECK_EQ(run_program(switch_channels), 0);
}

/* A duplicate in another process keeps the client alive after its maker has died. */
static void outlive(void)
{
    struct wire_request query = {.kind = WIRE_QUERY, .query = WIRE_QUERY_GPUS};
    uint8_t rows[4000];
    struct wire_gpu gpu;
    int pair[2];
    pid_t pid;

    MUST(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
    pid = fork();
    if (pid == 0) {
        connect_program();
        MUST(allocate(DEVICE, 0x300, RM_CLASS_VIDEO_MEMORY, RM_MEMORY_PARAMS_SIZE) == RM_OK);
        MUST(sock_send(pair[1], "", 1, &program.control, 1) >= 0);
        (void)kill(getpid(), SIGKILL);
    }
    MUST(waitpid(pid, NULL, 0) == pid);
    MUST(sock_connect(&program.connection, program.path, 1000, NULL) == 0);
    (void)ask(&query, rows);
    memcpy(&gpu, rows, sizeof(gpu));
    MUST(program.reply.count == 1 && gpu.memory_used_bytes == 16 * MIB);
    /* In flight still; received and closed by the end of this process. */
    MUST(close(pair[0]) == 0 && close(pair[1]) == 0);
    for (int i = 0; i < 1000 && gpu.memory_used_bytes > 0; i++) {
        clock_sleep_until_ns(clock_now_ns() + 100 * US);
        query.args_bytes = 0;
        (void)ask(&query, rows);
        memcpy(&gpu, rows, sizeof(gpu));
    }
    MUST(gpu.memory_used_bytes == 0);
}

TEST(memory_lives_until_the_last_duplicate_of_the_file_is_closed)
{
    CHECK_EQ(run_program(outlive), 0);
}

static void send_garbage(void)
{
    uint32_t state = 1;

    for (int i = 0; i < 2000; i++) {
        uint32_t words[64];
        struct wire_request request = {.magic = WIRE_MAGIC};
        int fd;

        MUST(sock_connect(&fd, program.path, 1000, NULL) == 0);
        for (size_t j = 0; j < ARRAY_LENGTH(words); j++)
            words[j] = (state = state * 1664525u + 1013904223u) >> 7;
        request.kind = words[0] % 8;
        request.args_bytes = words[1] % 300;
        request.node = words[2] % 4;
        request.query = words[3] % 6;
        memcpy(words, &request, i % 3 ? sizeof(request) : 4);
        MUST(sock_send(fd, words, (i * 7) % sizeof(words), NULL, 0) >= 0 || i % 256 == 0);
        MUST(close(fd) == 0);
    }
    connect_program();
}

TEST(garbage_on_the_socket_does_not_end_the_machine)
{
    CHECK_EQ(run_program(send_garbage), 0);
}
