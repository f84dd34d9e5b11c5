#include "tests/harness.h"

#include "supervisor/process.h"
#include "utils/str.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* A child that forks another and ends once /proc has been listed, but not yet looked through. */
static struct {
    pid_t parent;
    int go;
} late;

/* In the place of libc's: the kernel lists /proc at the first call. */
struct dirent *readdir(DIR *directory)
{
    struct dirent *(*next)(DIR *);
    struct dirent *entry;

    *(void **)&next = dlsym(RTLD_NEXT, "readdir64");
    entry = next(directory);
    if (late.parent) {
        CHECK_EQ(write(late.go, "\n", 1), 1);
        CHECK_EQ(waitpid(late.parent, NULL, 0), late.parent);
        late.parent = 0;
    }
    return entry;
}

/* Says its word once it is what it is to be, and waits for its end. */
static pid_t start_child(const char *name, bool has_exec, char **environment)
{
    int ready[2];
    pid_t child;
    char byte;

    CHECK_EQ(pipe2(ready, 0), 0);
    child = fork();
    if (child == 0) {
        char *const arguments[] = {(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c",
                                   (char *)(uintptr_t) "echo; exec cat /proc/self/fd/9", NULL};

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)prctl(PR_SET_NAME, name);
        if (has_exec) {
            (void)dup2(ready[1], STDOUT_FILENO);
            (void)dup2(ready[0], 9);
            (void)execve("/bin/sh", arguments, environment);
        }
        (void)!write(ready[1], "x", 1);
        for (;;)
            pause();
    }
    CHECK(child > 0);
    CHECK_EQ(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return child;
}

static void end_child(pid_t child)
{
    CHECK_EQ(kill(child, SIGKILL), 0);
    CHECK_EQ(waitpid(child, NULL, 0), child);
}

TEST(a_process_is_told_from_a_later_one_by_its_start)
{
    uint64_t own, again, child_start;
    pid_t child;

    CHECK_EQ(process_start_time(getpid(), &own), 0);
    CHECK_EQ(process_start_time(getpid(), &again), 0);
    CHECK_EQ(own, again);
    child = start_child("child", false, NULL);
    CHECK_EQ(process_start_time(child, &child_start), 0);
    CHECK(child_start >= own && own > 0);
    end_child(child);
    CHECK_EQ(process_start_time(child, &child_start), -ESRCH);
}

TEST(pids_that_are_none_are_none)
{
    static const pid_t pids[] = {0, -1, INT32_MIN, INT32_MAX};
    uint64_t ticks = 7;
    char comm[16];

    for (size_t i = 0; i < 4; i++) {
        CHECK_EQ(process_start_time(pids[i], &ticks), -ESRCH);
        CHECK_EQ(ticks, 7);
        CHECK(process_open(pids[i]) < 0);
        process_comm(pids[i], comm, sizeof(comm));
        CHECK_STR_EQ(comm, "?");
    }
}

TEST(a_name_made_to_look_like_more_fields_deceives_nobody)
{
    static const char *const names[] = {") Z 1 1 1", "a) R (b", "((((", "))))", " ", "x y z 1 2 3"};
    uint64_t usual, ticks;

    CHECK_EQ(process_start_time(getpid(), &usual), 0);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        pid_t child = start_child(names[i], false, NULL);
        char comm[16];

        CHECK_EQ(process_start_time(child, &ticks), 0);
        CHECK(ticks >= usual && ticks < usual + 100000);
        process_comm(child, comm, sizeof(comm));
        CHECK_STR_EQ(comm, names[i]);
        end_child(child);
    }
}

TEST(a_pidfd_is_readable_at_the_end)
{
    pid_t child = start_child("child", false, NULL);
    struct pollfd end = {.fd = process_open(child), .events = POLLIN};

    CHECK(end.fd >= 0);
    CHECK_EQ(poll(&end, 1, 0), 0);
    end_child(child);
    CHECK_EQ(poll(&end, 1, 0), 1);
    close(end.fd);
}

TEST(a_tenant_s_processes_are_found_by_what_they_were_started_with)
{
    char control[64], variable[80], longer[80], *environment[3] = {NULL, variable, NULL};
    pid_t child;

    (void)str_format(control, sizeof(control), "/tmp/vgunit-%d/control", (int)getpid());
    (void)str_format(variable, sizeof(variable), PROCESS_CONTROL_VARIABLE "=%s", control);
    (void)str_format(longer, sizeof(longer), "X%s", variable);
    CHECK(!process_has_tenant(control));
    environment[0] = longer;
    child = start_child("child", true, environment);
    CHECK(process_has_tenant(control));
    (void)str_format(longer, sizeof(longer), "%s2", control);
    CHECK(!process_has_tenant(longer)); /* one whose name begins alike */
    CHECK_EQ(kill(child, SIGKILL), 0);
    while (waitid(P_PID, (id_t)child, NULL, WEXITED | WNOWAIT) < 0)
        CHECK_EQ(errno, EINTR);
    CHECK(!process_has_tenant(control)); /* a zombie has no work any more */
    CHECK_EQ(waitpid(child, NULL, 0), child);
}

/* A shell of the tenant's with what it is to do, and two descriptors at 8 and 9. */
static pid_t start_shell(const char *control, const char *script, int eight, int nine)
{
    char variable[80], text[80];
    char *const environment[] = {text, variable, NULL};
    char *const arguments[] = {(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c",
                               (char *)(uintptr_t)script, NULL};
    pid_t child;

    (void)str_format(variable, sizeof(variable), PROCESS_CONTROL_VARIABLE "=%s", control);
    (void)str_format(text, sizeof(text), "X=%s", script);
    child = fork();
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)dup2(eight, 8);
        (void)dup2(nine, 9);
        (void)execve("/bin/sh", arguments, environment);
        _exit(99);
    }
    CHECK(child > 0);
    return child;
}

TEST(a_process_that_becomes_a_daemon_while_one_looks_is_found)
{
    int go[2], stay[2];
    char control[64];

    (void)str_format(control, sizeof(control), "/tmp/vgunit-%d/daemon", (int)getpid());
    CHECK_EQ(pipe2(go, O_CLOEXEC), 0);
    CHECK_EQ(pipe2(stay, O_CLOEXEC), 0);
    late.go = go[1];
    late.parent = start_shell(control, "read x <&9; cat <&8 9<&- >/dev/null &", stay[0], go[0]);
    CHECK(process_has_tenant(control));
    CHECK_EQ(late.parent, 0);
    close(stay[1]);
    close(stay[0]);
    while (process_has_tenant(control))
        (void)usleep(1000);
    close(go[0]);
    close(go[1]);
}

TEST(a_process_that_executes_one_program_after_another_is_there_all_the_time)
{
    char control[64];
    pid_t child;

    (void)str_format(control, sizeof(control), "/tmp/vgunit-%d/exec", (int)getpid());
    child = start_shell(control, "exec /bin/sh -c \"$X\"", STDIN_FILENO, STDIN_FILENO);
    while (!process_has_tenant(control))
        (void)usleep(1000);
    for (int i = 0; i < 300; i++)
        CHECK(process_has_tenant(control));
    end_child(child);
    CHECK(!process_has_tenant(control));
}

TEST(a_tenant_s_word_is_found_behind_a_megabyte_of_others)
{
    enum { COUNT = 12, SIZE = 100 * 1024 };
    char control[64], variable[80], *environment[COUNT + 2] = {NULL};
    pid_t child;

    (void)str_format(control, sizeof(control), "/tmp/vgunit-%d/large", (int)getpid());
    (void)str_format(variable, sizeof(variable), PROCESS_CONTROL_VARIABLE "=%s", control);
    for (int i = 0; i < COUNT; i++) {
        environment[i] = malloc(SIZE);
        CHECK(environment[i]);
        memset(environment[i], 'x', SIZE);
        environment[i][1] = '=';
        environment[i][SIZE - 1] = '\0';
    }
    environment[COUNT] = variable;
    child = start_child("child", true, environment);
    CHECK(process_has_tenant(control));
    end_child(child);
    for (int i = 0; i < COUNT; i++)
        free(environment[i]);
}

TEST(a_control_path_too_long_is_nobody_s)
{
    char control[300];

    memset(control, 'c', sizeof(control) - 1);
    control[sizeof(control) - 1] = '\0';
    CHECK(!process_has_tenant(control));
}

/* --- signals for a tenant --- */

TEST(a_signal_reaches_the_processes_of_one_tenant_alone)
{
    char own[64], other[64], *mine[] = {own, NULL}, *others[] = {other, NULL};
    pid_t first, second, stranger;
    int status;

    (void)str_format(own, sizeof(own), "VGPU_CONTROL=/run/vgunit-%d/a", (int)getpid());
    (void)str_format(other, sizeof(other), "VGPU_CONTROL=/run/vgunit-%d/ab", (int)getpid());
    first = start_child("sh", true, mine);
    second = start_child("sh", true, mine);
    stranger = start_child("sh", true, others);
    process_signal_tenant(strchr(own, '=') + 1, SIGTERM);
    CHECK_EQ(waitpid(first, &status, 0), first);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    CHECK_EQ(waitpid(second, &status, 0), second);
    CHECK_EQ(kill(stranger, 0), 0);
    CHECK_EQ(waitpid(stranger, &status, WNOHANG), 0);
    CHECK(process_has_tenant(strchr(other, '=') + 1));
    CHECK(!process_has_tenant(strchr(own, '=') + 1));
    end_child(stranger);
}
