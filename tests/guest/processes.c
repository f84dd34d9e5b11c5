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
 *     processes exec COMMAND... has memory and becomes another program
 */
#include "driver.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB      ((size_t)1 << 20)
#define HELD     (100 * MIB)
#define FIRST_FD 3
#define LAST_FD  1023
#define CHILDREN 60
#define WAYS     5 /* of closing */
#define THREADS  4

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
    if (strcmp(mode, "exec") == 0 && argc > 2) {
        driver_start(0);
        take();
        (void)execv(argv[2], argv + 2);
        return 3;
    }
    fprintf(stderr, "usage: processes daemon|inherit FILE | children | steal | exec COMMAND...\n");
    return 2;
}
