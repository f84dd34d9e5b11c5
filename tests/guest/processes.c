/*
 * processes - a guest that makes processes in the ways that programs do, around its use of a GPU:
 *
 *     processes daemon FILE     a daemon: forks twice, a session of its own, everything closed;
 *                               then it has memory, writes its number to FILE and stays
 *     processes inherit FILE    has memory, forks a child that inherits everything, and ends; the
 *                               child writes its number to FILE and stays
 *     processes children        starts children by fork, vfork, posix_spawn and clone, beside
 *                               threads that allocate, and closes descriptors in all ways
 *     processes steal           puts other things where descriptors of a preloaded library may be
 *     processes cancel          has threads that are cancelled in the midst of calls
 *     processes early FILE      forks; the child takes 64 MiB on a client that it inherited, writes
 *                               its number to FILE and stays
 *     processes exec COMMAND... has memory and becomes another program
 */
#include "driver.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB       ((size_t)1 << 20)
#define HELD      (100 * MIB)
#define FIRST_FD  3
#define LAST_FD   1023
#define CHILDREN  60
#define WAYS      5 /* of closing */
#define THREADS   4
#define CANCELLED 60

static void must(int result, const char *what)
{
    if (result != 0) {
        fprintf(stderr, "guest: %s: %d\n", what, result);
        exit(3);
    }
}

static void take(void)
{
    uint64_t address;

    must(driver_alloc(&address, HELD), "alloc");
}

static void try_memory(const char *after)
{
    uint64_t address;

    must(driver_alloc(&address, MIB), after);
    driver_free(address);
    driver_launch();
    driver_synchronize();
}

static _Noreturn void stay(const char *path)
{
    FILE *file = fopen(path, "we");

    if (!file)
        exit(3);
    fprintf(file, "%d\n", (int)getpid());
    (void)fclose(file);
    for (;;)
        pause();
}

/* --- a daemon --------------------------------------------------------------------------------- */

static int run_daemon(const char *path)
{
    if (fork() != 0)
        return 0;
    (void)setsid();
    if (fork() != 0)
        _exit(0);
    (void)chdir("/");
    for (int fd = 0; fd <= LAST_FD; fd++)
        (void)close(fd);
    (void)open("/dev/null", O_RDWR); /* NOLINT: stdin, to be inherited, as daemons do */
    (void)dup2(0, 1);
    (void)dup2(0, 2);
    driver_start(0);
    take();
    stay(path);
}

static int run_inherit(const char *path)
{
    driver_start(0);
    take();
    if (fork() == 0)
        stay(path);
    while (access(path, F_OK) != 0)
        (void)usleep(1000);
    _exit(0);
}

/* --- children --------------------------------------------------------------------------------- */

static void expect_end(pid_t child, const char *how)
{
    int status = -1;

    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
        fprintf(stderr, "guest: a child by %s: status 0x%x\n", how, (unsigned int)status);
        exit(3);
    }
}

static _Noreturn void become_true(void)
{
    (void)execl("/bin/true", "true", (char *)NULL);
    _exit(99);
}

static void close_range_from(unsigned int first, unsigned int flags)
{
    (void)syscall(SYS_close_range, first, ~0U, flags); /* as a program without a wrapper does */
}

/* The ways in which a child gets rid of what it has inherited. */
static void close_all(int way)
{
    switch (way) {
    case 0:
        for (int fd = FIRST_FD; fd <= LAST_FD; fd++)
            (void)close(fd);
        break;
    case 1:
        (void)close_range(FIRST_FD, ~0U, 0);
        break;
    case 2:
        (void)close_range(FIRST_FD, ~0U, CLOSE_RANGE_CLOEXEC);
        break;
    case 3:
        close_range_from(FIRST_FD, 0);
        break;
    default:
        closefrom(FIRST_FD);
        break;
    }
}

static _Noreturn void be_child(int number)
{
    close_all(number / 2 % WAYS);
    if (number % 2)
        become_true();
    exit(0); /* with all that is registered for the end */
}

static void fork_children(void)
{
    for (int i = 0; i < 2 * WAYS; i++) {
        pid_t child = fork();

        if (child == 0)
            be_child(i);
        expect_end(child, "fork");
        try_memory("after a fork");
    }
}

static void spawn_children(void)
{
    char name[] = "/bin/true";
    char *arguments[] = {name, NULL};
    pid_t child;

    must(posix_spawn(&child, name, NULL, NULL, arguments, environ), "posix_spawn");
    expect_end(child, "posix_spawn");
    child = vfork(); /* NOLINT: what is tested */
    if (child == 0)
        become_true();
    expect_end(child, "vfork");
    child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (child == 0) {
        (void)close(open("/dev/null", O_RDONLY)); /* NOLINT: as a bare clone() might */
        become_true();
    }
    expect_end(child, "clone");
    try_memory("after other children");
}

static atomic_bool is_over;

static void *allocate_for_ever(void *context)
{
    driver_use_context();
    while (!atomic_load(&is_over)) {
        uint64_t address;

        must(driver_alloc(&address, MIB), "alloc beside a fork");
        driver_free(address);
    }
    return context;
}

static void fork_beside_threads(void)
{
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        must(pthread_create(&threads[i], NULL, allocate_for_ever, NULL), "thread");
    for (int i = 0; i < CHILDREN; i++) {
        pid_t child = fork();

        if (child == 0)
            be_child(i);
        expect_end(child, "fork beside threads");
    }
    atomic_store(&is_over, true);
    for (int i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
}

static _Noreturn void run_children(void)
{
    /* Before the driver: whatever a preloaded library has open by then, it has to live without. */
    close_all(1);
    driver_start(0);
    take();
    fork_children();
    spawn_children();
    fork_beside_threads();
    try_memory("at the end");
    puts("ready");
    (void)fflush(stdout);
    for (;;)
        pause();
}

/* --- descriptors of others -------------------------------------------------------------------- */

static _Noreturn void run_steal(void)
{
    int null_fd;

    driver_start(0);
    take();
    null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 400; fd <= LAST_FD; fd++)
        if (fcntl(fd, F_GETFD) >= 0) {
            if (fd % 2)
                (void)close(fd);
            (void)dup2(null_fd, fd);
        }
    try_memory("with descriptors gone");
    puts("ready");
    (void)fflush(stdout);
    for (;;)
        pause();
}

/* --- threads that are cancelled --------------------------------------------------------------- */

/*
 * Calls to the driver itself: libcuda has cancellation points, ioctl has none, and so nothing that
 * stands in front of it may have one. Numbers and layout are the resource manager's.
 */
struct rm_alloc {
    uint32_t client, parent, object, class;
    uint64_t params, rights;
    uint32_t params_size, flags, status, reserved;
};

struct rm_free {
    uint32_t client, parent, object, status;
};

#define RM_ALLOC              _IOC(_IOC_READ | _IOC_WRITE, 'F', 0x2b, sizeof(struct rm_alloc))
#define RM_FREE               _IOC(_IOC_READ | _IOC_WRITE, 'F', 0x29, sizeof(struct rm_free))
#define RM_REGISTER_FD        _IOC(_IOC_READ | _IOC_WRITE, 'F', 201, sizeof(int))
#define ROOT_CLASS            0x41u
#define DEVICE_CLASS          0x80u
#define SUBDEVICE_CLASS       0x2080u
#define MEMORY_CLASS          0x40u
#define CHILD_HELD            (64 * MIB)
#define MEMORY_PARAMS_BYTES   128
#define MEMORY_PARAMS_SIZE_AT 64
#define GROUP_CLASS           0xa06cu
#define GROUP_PARAMS_BYTES    20
#define FIRST_HANDLE          0x5c000001u

static int rm_fd;
static atomic_int round_count;
static __thread bool is_calling;

static void call_rm(unsigned long request, void *argument, const uint32_t *status, const char *what)
{
    int rc;

    is_calling = true;
    rc = ioctl(rm_fd, request, argument);
    is_calling = false;
    must(rc < 0 ? errno : (int)*status, what);
}

static uint32_t rm_alloc(uint32_t client, uint32_t parent, uint32_t object, uint32_t class)
{
    union {
        uint32_t words[MEMORY_PARAMS_BYTES / sizeof(uint32_t)];
        uint64_t longs[MEMORY_PARAMS_BYTES / sizeof(uint64_t)];
    } params = {{0}}; /* of a group: engine 0, as all else */
    struct rm_alloc alloc = {.client = client, .parent = parent, .object = object, .class = class};

    if (class == MEMORY_CLASS)
        params.longs[MEMORY_PARAMS_SIZE_AT / sizeof(uint64_t)] = CHILD_HELD;
    if (class == GROUP_CLASS || class == MEMORY_CLASS) {
        alloc.params = (uintptr_t)&params;
        alloc.params_size = class == GROUP_CLASS ? GROUP_PARAMS_BYTES : MEMORY_PARAMS_BYTES;
    }
    call_rm(RM_ALLOC, &alloc, &alloc.status, "an object");
    return alloc.object;
}

static uint32_t rm_alloc_device(uint32_t *ret_client)
{
    uint32_t client = rm_alloc(0, 0, 0, ROOT_CLASS);

    *ret_client = client;
    return rm_alloc(client, client, FIRST_HANDLE, DEVICE_CLASS);
}

static void rm_free(uint32_t client, uint32_t parent, uint32_t object)
{
    struct rm_free end = {.client = client, .parent = parent, .object = object};

    call_rm(RM_FREE, &end, &end.status, "an object's end");
}

typedef int open_function(const char *path, int flags, ...);

/* As if they had come from another process: nobody who stands in front of open() sees them. */
static void open_rm(bool is_unseen)
{
    void *simulator = dlopen("libvgpu_sim.so", RTLD_NOW | RTLD_NOLOAD);
    void *found = is_unseen && simulator ? dlsym(simulator, "open") : NULL;
    open_function *open_it = open;
    int gpu_fd;

    if (found)
        memcpy(&open_it, &found, sizeof(open_it));
    gpu_fd = open_it("/dev/nvidia0", O_RDWR | O_CLOEXEC);
    rm_fd = open_it("/dev/nvidiactl", O_RDWR | O_CLOEXEC);
    must(rm_fd < 0 || ioctl(gpu_fd, RM_REGISTER_FD, &rm_fd) < 0, "the driver's files");
}

/* A thread that was cancelled in a call, where there is no cancellation point. */
static void complain(void *context)
{
    if (is_calling) {
        fprintf(stderr, "guest: cancelled within a call\n");
        _exit(3);
    }
}

/* Groups come and go, of which a supervisor is told. */
static void *call_for_ever(void *context)
{
    uint32_t client, device;

    pthread_cleanup_push(complain, NULL);
    device = rm_alloc_device(&client);
    (void)rm_alloc(client, device, FIRST_HANDLE + 1, SUBDEVICE_CLASS);
    for (;;) {
        rm_free(client, device, rm_alloc(client, device, FIRST_HANDLE + 2, GROUP_CLASS));
        (void)atomic_fetch_add(&round_count, 1);
        pthread_testcancel();
    }
    pthread_cleanup_pop(0);
    return context;
}

/* The process's first calls of all, by a thread whose cancellation waits for a point. */
static void *call_first(void *context)
{
    uint32_t client, device;

    pthread_cleanup_push(complain, NULL);
    must(pthread_cancel(pthread_self()), "cancel");
    device = rm_alloc_device(&client);
    (void)rm_alloc(client, device, FIRST_HANDLE + 1, SUBDEVICE_CLASS);
    rm_free(client, device, rm_alloc(client, device, FIRST_HANDLE + 2, GROUP_CLASS));
    rm_free(client, client, client);
    atomic_store(&round_count, 1);
    pthread_testcancel();
    pthread_cleanup_pop(0);
    return context;
}

static _Noreturn void run_cancel(void)
{
    pthread_t thread;
    void *result;

    open_rm(true);
    must(pthread_create(&thread, NULL, call_first, NULL), "thread");
    must(pthread_join(thread, &result), "join");
    must(result != PTHREAD_CANCELED || !atomic_load(&round_count), "the first calls");
    driver_start(0);
    take();
    for (int i = 0; i < CANCELLED; i++) {
        int wanted = atomic_load(&round_count) + 2;

        must(pthread_create(&thread, NULL, call_for_ever, NULL), "thread");
        while (atomic_load(&round_count) < wanted)
            (void)sched_yield();
        for (int spin = 0; spin < i * 1000; spin++)
            (void)atomic_load(&round_count); /* anywhere in a round */
        must(pthread_cancel(thread), "cancel");
        must(pthread_join(thread, &result), "join");
        must(result != PTHREAD_CANCELED, "the thread's end");
    }
    try_memory("after threads were cancelled");
    puts("ready");
    (void)fflush(stdout);
    for (;;)
        pause();
}

/* --- a child whose first handler is another library's ---------------------------------------- */

static int run_early(const char *path)
{
    uint32_t client, device;
    pid_t child;

    open_rm(false);
    device = rm_alloc_device(&client);
    child = fork();
    if (child)
        return child < 0 || waitpid(child, NULL, 0) != child;
    (void)rm_alloc(client, device, FIRST_HANDLE + 3, MEMORY_CLASS);
    stay(path);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";

    if (strcmp(mode, "daemon") == 0 && argc == 3)
        return run_daemon(argv[2]);
    if (strcmp(mode, "inherit") == 0 && argc == 3)
        return run_inherit(argv[2]);
    if (strcmp(mode, "children") == 0)
        run_children();
    if (strcmp(mode, "steal") == 0)
        run_steal();
    if (strcmp(mode, "cancel") == 0)
        run_cancel();
    if (strcmp(mode, "early") == 0 && argc == 3)
        return run_early(argv[2]);
    if (strcmp(mode, "exec") == 0 && argc > 2) {
        driver_start(0);
        take();
        (void)execv(argv[2], argv + 2);
        return 3;
    }
    fprintf(stderr, "usage: processes daemon|inherit|early FILE | children | steal | cancel |\n"
                    "       processes exec COMMAND...\n");
    return 2;
}
