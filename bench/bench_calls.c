/*
 * bench_calls - what the limiter adds to the calls of a program that runs: controls, an allocation
 * of memory and its free, and calls on files that are not the driver's, where the caches and the
 * branch predictors are as cold as a driver leaves them: a loop of warm calls hides most of it.
 *
 * This program is its own driver. Its `ioctl` comes after the limiter's in load order, which is
 * loaded when a supervisor's region waits for it; it runs through more code and memory than a
 * core's first caches hold before it answers. Calls through the limiter and calls past it take
 * turns. What is told are medians in ticks of the processor's counter: what passes from the call
 * until the driver has it, and from the driver's answer until the caller has it, less the same of
 * calls past the limiter.
 *
 *     bench_calls [LIBRARY]    another build's limiter, to compare with
 */
#include "abi/rm.h"
#include "ipc/ledger.h"
#include "ipc/message.h"
#include "ipc/region.h"
#include "utils/atomics.h"
#include "utils/attr.h"
#include "utils/clock.h"
#include "utils/shm.h"
#include "utils/sock.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROUNDS      4001
#define CLIENT      0xc1d00001u
#define DEVICE      0x5c000001u
#define SUBDEVICE   0x5c000002u
#define GROUP       0x5c000003u
#define MEMORY      0x5c000004u
#define BLOCK_BYTES (UINT64_C(8) << 20)
#define UVM_MAP     33u /* UVM_MAP_EXTERNAL_ALLOCATION: its requests are plain numbers */
#define LIMIT_BYTES (UINT64_C(8) << 30)
#define CARD_KIB    (UINT32_C(80) << 20)
#define PAIRS_MAX   128
#define SWEEP_BYTES (8u << 20)
#define DEPTH       48 /* more returns than any processor foresees */

typedef int call_driver(int fd, unsigned long request, ...);

static struct {
    uint64_t asked, answered; /* the counter, when the driver was called and when it returned */
    uint32_t sweep_bytes;     /* 0: it leaves everything as warm as it was */
    unsigned char swept[SWEEP_BYTES];
    uint32_t noise;
} machine;

static void die(const char *what)
{
    fprintf(stderr, "bench_calls: %s\n", what);
    exit(1);
}

static uint64_t ticks(void)
{
#if defined(__x86_64__)
    uint32_t low, high, core;

    __asm__ volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(core)::"memory");
    return (uint64_t)high << 32 | low;
#elif defined(__aarch64__)
    uint64_t count;

    __asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(count)::"memory");
    return count;
#else
    return clock_now_ns();
#endif
}

/* --- what a driver leaves behind -------------------------------------------------------------- */

/* Functions that differ and branch differently, as much code as the first cache holds. */
#define FUNCTION(name)                                                                             \
    __attribute__((noinline, aligned(64))) static uint32_t step_##name(uint32_t noise)             \
    {                                                                                              \
        noise = noise * 1664525u + 0x##name##u;                                                    \
        if (noise & 0x10000)                                                                       \
            noise ^= noise >> 13;                                                                  \
        if (noise & 0x400000)                                                                      \
            noise += machine.swept[noise % SWEEP_BYTES];                                           \
        return noise;                                                                              \
    }
#define EIGHT(make, name)                                                                          \
    make(name##0) make(name##1) make(name##2) make(name##3) make(name##4) make(name##5)            \
        make(name##6) make(name##7)
#define EIGHT_ROWS(make, name)                                                                     \
    make(name##0) make(name##1) make(name##2) make(name##3) make(name##4) make(name##5)            \
        make(name##6) make(name##7)
#define ROW(name)      EIGHT(FUNCTION, name)
#define POINTER(name)  step_##name,
#define POINTERS(name) EIGHT(POINTER, name)

EIGHT_ROWS(ROW, 0)
EIGHT_ROWS(ROW, 1)
EIGHT_ROWS(ROW, 2)
EIGHT_ROWS(ROW, 3)
EIGHT_ROWS(ROW, 4)
EIGHT_ROWS(ROW, 5)
EIGHT_ROWS(ROW, 6)
EIGHT_ROWS(ROW, 7)
EIGHT_ROWS(ROW, 8)
EIGHT_ROWS(ROW, 9)
EIGHT_ROWS(ROW, a)
EIGHT_ROWS(ROW, b)
EIGHT_ROWS(ROW, c)
EIGHT_ROWS(ROW, d)
EIGHT_ROWS(ROW, e)
EIGHT_ROWS(ROW, f)

static uint32_t (*const steps[])(uint32_t) = {
    EIGHT_ROWS(POINTERS, 0) EIGHT_ROWS(POINTERS, 1) EIGHT_ROWS(POINTERS, 2) EIGHT_ROWS(POINTERS, 3)
        EIGHT_ROWS(POINTERS, 4) EIGHT_ROWS(POINTERS, 5) EIGHT_ROWS(POINTERS, 6)
            EIGHT_ROWS(POINTERS, 7) EIGHT_ROWS(POINTERS, 8) EIGHT_ROWS(POINTERS, 9)
                EIGHT_ROWS(POINTERS, a) EIGHT_ROWS(POINTERS, b) EIGHT_ROWS(POINTERS, c)
                    EIGHT_ROWS(POINTERS, d) EIGHT_ROWS(POINTERS, e) EIGHT_ROWS(POINTERS, f)};

__attribute__((noinline)) static uint32_t descend(uint32_t noise, int depth)
{
    if (!depth)
        return (uint32_t)syscall(SYS_getppid) + noise;
    return descend(noise ^ (uint32_t)depth, depth - 1) + 1;
}

static void make_cold(void)
{
    uint32_t noise = machine.noise;

    for (size_t i = 0; i < 2 * ARRAY_LENGTH(steps); i++)
        noise = steps[(noise >> 8) % ARRAY_LENGTH(steps)](noise);
    for (size_t i = 0; i < machine.sweep_bytes; i += 64)
        machine.swept[i] = (unsigned char)(machine.swept[i] + noise);
    machine.noise = noise;
}

/* --- the driver ------------------------------------------------------------------------------- */

static void answer_control(struct rm_control *control)
{
    uint32_t *params = (uint32_t *)(uintptr_t)control->params; /* NOLINT: a call's pointer */

    control->status = RM_OK;
    if (control->command != RM_CONTROL_FB_GET_INFO_V2)
        return;
    for (uint32_t i = 0; i < params[0]; i++)
        params[2 + 2 * i] = CARD_KIB;
}

EXPORTED int ioctl(int fd, unsigned long request, ...)
{
    va_list args;
    void *argument;

    va_start(args, request);
    argument = va_arg(args, void *);
    va_end(args);
    machine.asked = ticks();
    if (machine.sweep_bytes)
        make_cold();
    if (_IOC_NR(request) == RM_NR_CONTROL)
        answer_control(argument);
    if (machine.sweep_bytes)
        machine.noise = descend(machine.noise, DEPTH);
    machine.answered = ticks();
    return 0;
}

/* --- the supervisor --------------------------------------------------------------------------- */

static int make_region(void **ret_control, int *ret_ledger_fd, struct ledger_row *ret_row)
{
    struct region_control *control;
    void *memory = NULL;
    int fd = shm_create(&memory, "control", sizeof(*control), true, NULL);

    if (fd < 0)
        die("no control page");
    control = memory;
    control->magic = REGION_MAGIC;
    control->version = REGION_VERSION;
    control->length = sizeof(*control);
    control->gpu_count = 1;
    control->gpus[0].is_allowed = 1;
    store_relaxed(&control->gpus[0].memory_limit_bytes, LIMIT_BYTES);
    *ret_control = control;
    *ret_ledger_fd = shm_create(&memory, "ledger", ledger_size(), false, NULL);
    if (*ret_ledger_fd < 0 || ledger_attach(ledger_init(memory), getpid(), 1, ret_row) < 0)
        die("no ledger");
    return fd;
}

/* Welcomes one guest and stays until it is gone. */
static void supervise(int listen_fd)
{
    struct pollfd waiting = {.fd = listen_fd, .events = POLLIN};
    struct message_welcome welcome = {0};
    struct ledger_row row;
    void *control;
    char message[MESSAGE_SIZE_MAX];
    int fds[2], fd;

    fds[0] = make_region(&control, &fds[1], &row);
    if (poll(&waiting, 1, -1) != 1)
        die("nobody came");
    fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
    welcome.row = row.index;
    welcome.pid_stamp = row.stamp;
    message_init(&welcome, MESSAGE_WELCOME, sizeof(welcome));
    if (fd < 0 || sock_receive(fd, message, sizeof(message), NULL, -1) <= 0 ||
        sock_send(fd, &welcome, sizeof(welcome), fds, 2) < 0)
        die("no welcome");
    while (sock_receive(fd, message, sizeof(message), NULL, -1) > 0)
        ;
}

static void start_supervisor(void)
{
    char path[64];
    int fd = -1;

    (void)snprintf(path, sizeof(path), "/tmp/bench_calls.%d", (int)getpid());
    if (sock_listen(&fd, path, NULL) < 0)
        die("no socket");
    if (fork() == 0) {
        supervise(fd);
        (void)unlink(path); /* a name that nobody needs */
        _exit(0);
    }
    (void)close(fd); /* the other process has it */
    if (setenv("VGPU_CONTROL", path, 1) < 0)
        die("no environment");
}

/* --- calls ------------------------------------------------------------------------------------ */

static int driver_fd, other_fd;

static void allocate(call_driver *call, uint32_t parent, uint32_t object, uint32_t class)
{
    struct rm_alloc_48 alloc = {
        .client = CLIENT, .parent = parent, .object = object, .class = class};

    if (call(driver_fd, RM_REQUEST(RM_NR_ALLOC, sizeof(alloc)), &alloc) < 0)
        die("an allocation failed");
}

static call_driver *load_limiter(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    void *found = library ? dlsym(library, "ioctl") : NULL;
    call_driver *call;

    if (!found)
        die("no limiter");
    memcpy(&call, &found, sizeof(call));
    driver_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    other_fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
    allocate(call, CLIENT, CLIENT, RM_CLASS_ROOT_CLIENT);
    allocate(call, CLIENT, DEVICE, RM_CLASS_DEVICE);
    allocate(call, DEVICE, SUBDEVICE, RM_CLASS_SUBDEVICE);
    allocate(call, DEVICE, GROUP, RM_CLASS_CHANNEL_GROUP); /* from here on there is a guard */
    return call;
}

/* How much of its memory the driver goes through before it answers. */
static const struct temperature {
    const char *name;
    uint32_t sweep_bytes;
} temperatures[] = {
    {"warm", 0},
    {"cold", 512u << 10},    /* what a core's first cache holds, and more */
    {"frozen", SWEEP_BYTES}, /* the second one as well */
};

struct question;

/* One call that is timed, and what it takes besides. */
typedef void question_ask(call_driver *call, const struct question *question);

struct question {
    const char *name;
    question_ask *ask;
    uint32_t command, pairs; /* of a control */
};

struct times {
    uint64_t before[ROUNDS], after[ROUNDS];
};

/* Of the call that was timed last. */
static uint64_t before, after;

static void time_call(call_driver *call, int fd, unsigned long request, void *argument)
{
    uint64_t started = ticks();
    int rc = call(fd, request, argument);

    after = ticks() - machine.answered;
    before = machine.asked - started;
    if (rc < 0)
        die("a call failed");
}

static void ask_control(call_driver *call, const struct question *question)
{
    static uint32_t params[1 + 2 * PAIRS_MAX];
    struct rm_control control = {.client = CLIENT,
                                 .object = SUBDEVICE,
                                 .command = question->command,
                                 .params = (uintptr_t)params,
                                 .params_size = sizeof(params)};

    params[0] = question->pairs;
    for (uint32_t i = 0; i < question->pairs; i++)
        params[1 + 2 * i] = i == 0   ? RM_FB_HEAP
                            : i == 1 ? RM_FB_HEAP_START
                            : i == 2 ? RM_FB_FREE
                                     : 0;
    time_call(call, driver_fd, RM_REQUEST(RM_NR_CONTROL, sizeof(control)), &control);
    if (call != ioctl && question->pairs && params[2] != LIMIT_BYTES / 1024)
        die("the limiter does nothing");
}

/* A block of memory, or its end; the one that is not asked about is not timed. */
static void ask_memory(call_driver *call, const struct question *question)
{
    unsigned char params[RM_MEMORY_PARAMS_SIZE] = {0};
    struct rm_alloc_48 alloc = {.client = CLIENT,
                                .parent = DEVICE,
                                .object = MEMORY,
                                .class = RM_CLASS_VIDEO_MEMORY,
                                .params = (uintptr_t)params,
                                .params_size = sizeof(params)};
    struct rm_free end = {.client = CLIENT, .parent = DEVICE, .object = MEMORY};
    uint64_t size = BLOCK_BYTES, before_free, after_free;

    memcpy(params + RM_MEMORY_PARAMS_BYTES, &size, sizeof(size));
    time_call(call, driver_fd, RM_REQUEST(RM_NR_ALLOC, sizeof(alloc)), &alloc);
    before_free = before;
    after_free = after;
    time_call(call, driver_fd, RM_REQUEST(RM_NR_FREE, sizeof(end)), &end);
    if (question->command == RM_NR_FREE)
        return;
    before = before_free;
    after = after_free;
}

static void ask_other_file(call_driver *call, const struct question *question)
{
    uint64_t params[8] = {0};

    time_call(call, other_fd, question->command, params);
}

static void ask(call_driver *call, const struct question *question, struct times *times, int round)
{
    question->ask(call, question);
    times->before[round] = before;
    times->after[round] = after;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static long median(uint64_t *values)
{
    qsort(values, ROUNDS, sizeof(*values), compare);
    return (long)values[ROUNDS / 2];
}

static void measure(call_driver *limited, const struct question *question,
                    const struct temperature *temperature)
{
    static struct times ours, theirs;

    machine.sweep_bytes = temperature->sweep_bytes;
    for (int round = 0; round < ROUNDS; round++) {
        ask(ioctl, question, &theirs, round);
        ask(limited, question, &ours, round);
    }
    printf("\"%s_%s_before\": %ld, ", question->name, temperature->name,
           median(ours.before) - median(theirs.before));
    printf("\"%s_%s_after\": %ld, ", question->name, temperature->name,
           median(ours.after) - median(theirs.after));
}

int main(int argc, char **argv)
{
    static const struct question questions[] = {
        {"other", ask_control, RM_CONTROL_GET_TIME, 0},
        {"sizes", ask_control, RM_CONTROL_FB_GET_INFO_V2, 3},
        {"long_list", ask_control, RM_CONTROL_FB_GET_INFO_V2, PAIRS_MAX},
        {"alloc", ask_memory, RM_NR_ALLOC, 0},
        {"free", ask_memory, RM_NR_FREE, 0},
        {"other_file", ask_other_file, UVM_MAP, 0},
    };
    call_driver *limited;
    uint64_t started_ns, started;

    start_supervisor();
    limited = load_limiter(argc > 1 ? argv[1] : LIMITER);
    started_ns = clock_now_ns();
    started = ticks();
    printf("{");
    for (size_t i = 0; i < ARRAY_LENGTH(questions); i++) {
        for (size_t j = 0; j < ARRAY_LENGTH(temperatures); j++)
            measure(limited, &questions[i], &temperatures[j]);
    }
    printf("\"ticks_per_us\": %.1f}\n",
           (double)(ticks() - started) * 1e3 / (double)(clock_now_ns() - started_ns));
    return 0;
}
