#include "tests/harness.h"

#include "supervisor/process.h"
#include "utils/clock.h"
#include "utils/sock.h"
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
#include <sys/socket.h>
#include <sys/stat.h>
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

/* In the place of libc's: a kernel that knows a peer's number alone. */
static bool is_old_kernel;

int getsockopt(int fd, int level, int option, void *value, socklen_t *length)
{
    int (*next)(int, int, int, void *, socklen_t *);

    if (is_old_kernel) {
        errno = ENOPROTOOPT;
        return -1;
    }
    *(void **)&next = dlsym(RTLD_NEXT, "getsockopt");
    return next(fd, level, option, value, length);
}

/* Whom the next children belong to; 0: us. */
static uid_t child_uid;

/*
 * Says its word once it is what it is to be, and waits for its end: without executing anything,
 * which would hide it for a moment.
 */
static pid_t start_child(const char *name, bool has_exec, char **environment)
{
    int ready[2], stay[2];
    pid_t child;
    char byte;

    CHECK_EQ(pipe2(ready, 0), 0);
    child = fork();
    if (child == 0) {
        char *const arguments[] = {(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c",
                                   (char *)(uintptr_t) "echo; read x <&9", NULL};

        if (child_uid)
            CHECK_EQ(setresuid(child_uid, child_uid, child_uid), 0);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)prctl(PR_SET_NAME, name);
        if (has_exec) {
            CHECK_EQ(pipe(stay), 0);
            (void)dup2(ready[1], STDOUT_FILENO);
            (void)dup2(stay[0], 9); /* it has the other end itself: nothing ever comes */
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

/* Soon: while somebody else's process executes a program nobody can tell. */
static bool becomes_absent(const char *control)
{
    uint64_t end_ns = clock_now_ns() + 10 * NS_PER_SEC;
    enum process_presence presence;

    while ((presence = process_find_tenant(control)) == PROCESS_UNSURE && clock_now_ns() < end_ns)
        (void)usleep(1000);
    return presence == PROCESS_ABSENT;
}

TEST(a_tenant_s_processes_are_found_by_what_they_were_started_with)
{
    char control[64], variable[80], longer[80], *environment[3] = {NULL, variable, NULL};
    pid_t child;

    (void)str_format(control, sizeof(control), "/tmp/vgunit-%d/control", (int)getpid());
    (void)str_format(variable, sizeof(variable), PROCESS_CONTROL_VARIABLE "=%s", control);
    (void)str_format(longer, sizeof(longer), "X%s", variable);
    CHECK(becomes_absent(control));
    environment[0] = longer;
    child = start_child("child", true, environment);
    CHECK(process_has_tenant(control));
    (void)str_format(longer, sizeof(longer), "%s2", control);
    CHECK(becomes_absent(longer)); /* one whose name begins alike */
    CHECK_EQ(kill(child, SIGKILL), 0);
    while (waitid(P_PID, (id_t)child, NULL, WEXITED | WNOWAIT) < 0)
        CHECK_EQ(errno, EINTR);
    CHECK(becomes_absent(control)); /* a zombie has no work any more */
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
    CHECK(becomes_absent(control));
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
    CHECK(becomes_absent(control));
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
    process_signal_tenant(strchr(own, '=') + 1, getuid(), SIGTERM);
    CHECK_EQ(waitpid(first, &status, 0), first);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    CHECK_EQ(waitpid(second, &status, 0), second);
    CHECK_EQ(kill(stranger, 0), 0);
    CHECK_EQ(waitpid(stranger, &status, WNOHANG), 0);
    CHECK(process_has_tenant(strchr(other, '=') + 1));
    CHECK(becomes_absent(strchr(own, '=') + 1));
    end_child(stranger);
}

/* --- whose processes they are --- */

enum { SOMEBODY = 12345 };

/* The socket of a tenant of theirs. */
static void make_control(char *ret_control, size_t size, uid_t owner)
{
    (void)str_format(ret_control, size, "/tmp/vgunit-%d.control", (int)getpid());
    (void)unlink(ret_control);
    CHECK_EQ(mknod(ret_control, S_IFREG | 0600, 0), 0);
    CHECK_EQ(chown(ret_control, owner, (gid_t)-1), 0);
}

static pid_t start_member(const char *control, uid_t uid)
{
    char variable[128], *environment[] = {variable, NULL};
    pid_t child;

    (void)str_format(variable, sizeof(variable), PROCESS_CONTROL_VARIABLE "=%s", control);
    child_uid = uid;
    child = start_child("sh", true, environment);
    child_uid = 0;
    return child;
}

static bool has_ended_by(pid_t child, int number)
{
    int status;

    return waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == number;
}

TEST(a_stranger_s_word_makes_no_process_a_tenant_s)
{
    char control[64];
    pid_t stranger;
    uid_t uid;

    if (geteuid() != 0)
        return; /* nobody else's processes can be made */
    make_control(control, sizeof(control), 0);
    stranger = start_member(control, SOMEBODY);
    CHECK_EQ(process_user(stranger, &uid), 0);
    CHECK_EQ(uid, SOMEBODY);
    CHECK(becomes_absent(control));
    process_signal_tenant(control, 0, SIGTERM);
    CHECK_EQ(waitpid(stranger, NULL, WNOHANG), 0);
    make_control(control, sizeof(control), SOMEBODY); /* were it theirs */
    CHECK(process_has_tenant(control));
    process_signal_tenant(control, SOMEBODY, SIGTERM);
    CHECK(has_ended_by(stranger, SIGTERM));
    CHECK(becomes_absent(control));
    CHECK_EQ(unlink(control), 0);
}

TEST(root_s_process_in_a_user_s_tenant_counts_and_gets_no_signal)
{
    char control[64];
    pid_t member;
    int fd;

    if (geteuid() != 0)
        return;
    make_control(control, sizeof(control), SOMEBODY);
    member = start_member(control, 0);
    fd = process_open(member);
    CHECK(process_has_tenant(control));
    process_signal_tenant(control, SOMEBODY, SIGTERM);
    CHECK_EQ(process_signal_of(fd, member, SOMEBODY, SIGTERM), -EPERM);
    CHECK_EQ(waitpid(member, NULL, WNOHANG), 0);
    CHECK_EQ(process_signal_of(fd, member, 0, SIGTERM), 0);
    CHECK(has_ended_by(member, SIGTERM));
    CHECK_EQ(process_signal_of(fd, member, 0, SIGTERM), -EPERM);
    close(fd);
    CHECK_EQ(unlink(control), 0);
}

TEST(a_process_s_parent_is_known)
{
    pid_t child = start_child("a) Z 1 1", false, NULL);

    CHECK_EQ(process_parent(child), getpid());
    end_child(child);
    CHECK_EQ(process_parent(child), -ESRCH);
}

/* A child that connects, and ends when it is told to; returns our end of the connection. */
static int accept_child(pid_t *ret_child, struct sock_peer *ret_peer)
{
    char path[64];
    int listener, fd = -1;

    (void)str_format(path, sizeof(path), "/tmp/vgunit-%d.socket", (int)getpid());
    CHECK_EQ(sock_listen(&listener, path, NULL), 0);
    *ret_child = fork();
    if (!*ret_child) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)!sock_connect(&fd, path, 1000, NULL);
        for (;;)
            pause();
    }
    while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) < 0)
        CHECK_EQ(errno, EAGAIN);
    CHECK_EQ(sock_get_peer(ret_peer, fd, NULL), 0);
    CHECK_EQ(ret_peer->pid, *ret_child);
    close(listener);
    CHECK_EQ(unlink(path), 0);
    return fd;
}

TEST(a_peer_s_pidfd_is_of_the_process_that_connected_or_none)
{
    struct sock_peer peer;
    pid_t child;
    int fd = accept_child(&child, &peer), pid_fd = process_open_peer(fd, &peer);

    CHECK(pid_fd >= 0);
    CHECK(fcntl(pid_fd, F_GETFD) & FD_CLOEXEC);
    CHECK(!process_has_ended(pid_fd));
    end_child(child);
    CHECK(process_has_ended(pid_fd));
    close(pid_fd);
    CHECK(process_open_peer(fd, &peer) < 0);
    peer.pid = 0;
    CHECK_EQ(process_open_peer(fd, &peer), -ESRCH); /* of another pid namespace */
    close(fd);
}

/* What has the number now is a stranger's. */
TEST(without_the_kernel_s_help_a_peer_has_its_user_at_least)
{
    struct sock_peer peer;
    pid_t child;
    int fd = accept_child(&child, &peer), pid_fd;

    is_old_kernel = true;
    pid_fd = process_open_peer(fd, &peer);
    CHECK(pid_fd >= 0);
    close(pid_fd);
    peer.uid++;
    CHECK_EQ(process_open_peer(fd, &peer), -ESRCH);
    peer.uid--;
    end_child(child);
    CHECK_EQ(process_open_peer(fd, &peer), -ESRCH);
    is_old_kernel = false;
    close(fd);
}
