#include "hypervisor/pid_namespace.h"

#include "tests/harness.h"
#include "utils/file.h"
#include "utils/str.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define OWN 4026531836u

/* --- a tree that looks like /proc ------------------------------------------------------------ */

static void make_tree(char *base)
{
    CHECK(mkdtemp(base) != NULL);
}

static void remove_tree(const char *base)
{
    char command[128];

    (void)snprintf(command, sizeof(command), "rm -r '%s'", base);
    CHECK_EQ(system(command), 0);
}

static void add_process(const char *base, const char *process, unsigned int identity,
                        const char *nspid)
{
    char path[128], text[256];
    struct err err;

    (void)snprintf(path, sizeof(path), "%s/%s", base, process);
    CHECK_EQ(mkdir(path, 0755), 0);
    (void)snprintf(path, sizeof(path), "%s/%s/ns", base, process);
    CHECK_EQ(mkdir(path, 0755), 0);
    (void)snprintf(path, sizeof(path), "%s/%s/ns/pid", base, process);
    (void)snprintf(text, sizeof(text), "pid:[%u]", identity);
    CHECK_EQ(symlink(text, path), 0);
    (void)snprintf(path, sizeof(path), "%s/%s/status", base, process);
    (void)snprintf(text, sizeof(text), "Name:\tNSpid:\\n\t9\nNStgid:\t1\nNSpid:\t%s\nNSsid:\t0\n",
                   nspid);
    CHECK_OK(file_write(path, text, strlen(text), &err), &err);
}

static int find(const char *base, int32_t container_pid, int32_t first, int32_t second)
{
    int32_t known[] = {first, second}, pid = 0;
    struct pid_namespace_query query = {
        .proc_path = base, .container_pid = container_pid, .known = known, .known_count = 2};
    int rc = pid_namespace_find(&query, &pid, NULL);

    return rc < 0 ? rc : pid;
}

TEST(a_process_is_found_in_the_namespace_of_one_that_is_known)
{
    char base[] = "/tmp/vgXXXXXX";

    make_tree(base);
    add_process(base, "self", OWN, "50");
    add_process(base, "100", 7, "100\t1");
    add_process(base, "101", 7, "101\t17");
    add_process(base, "200", 8, "200\t17"); /* another pod's, called the same */
    add_process(base, "17", OWN, "17");     /* and one of the machine */
    CHECK_EQ(find(base, 17, 100, 0), 101);
    CHECK_EQ(find(base, 1, 100, 0), 100); /* the known one itself */
    CHECK_EQ(find(base, 18, 100, 0), -ENOENT);
    CHECK_EQ(find(base, 17, 0, 0), -ENOENT);   /* nobody is known */
    CHECK_EQ(find(base, 17, 999, 0), -ENOENT); /* nor is who has ended */
    CHECK_EQ(find(base, 0, 100, 0), -EINVAL);
    CHECK_EQ(find(base, -5, 100, 0), -EINVAL);
    remove_tree(base);
}

TEST(one_that_is_deeper_or_elsewhere_is_not_taken_for_it)
{
    char base[] = "/tmp/vgXXXXXX";

    make_tree(base);
    add_process(base, "self", OWN, "50");
    add_process(base, "100", 7, "100\t1");
    add_process(base, "101", 9, "101\t30\t17"); /* a container within the container */
    CHECK_EQ(find(base, 17, 100, 0), -ENOENT);
    CHECK_EQ(find(base, 30, 100, 0), -ENOENT);
    add_process(base, "102", 7, "102\t30\tx"); /* no number */
    CHECK_EQ(find(base, 102, 100, 0), -ENOENT);
    remove_tree(base);
}

TEST(several_containers_with_one_are_said_to_be_several)
{
    char base[] = "/tmp/vgXXXXXX";

    make_tree(base);
    add_process(base, "self", OWN, "50");
    add_process(base, "100", 7, "100\t1");
    add_process(base, "101", 7, "101\t17");
    add_process(base, "200", 8, "200\t1");
    CHECK_EQ(find(base, 17, 100, 200), 101);
    CHECK_EQ(find(base, 1, 100, 200), -ENOTUNIQ);
    add_process(base, "201", 8, "201\t17");
    CHECK_EQ(find(base, 17, 100, 200), -ENOTUNIQ);
    CHECK_EQ(find(base, 17, 101, 200), -ENOTUNIQ); /* though the known one is called so */
    remove_tree(base);
}

TEST(in_the_machines_own_namespace_only_the_known_are_found)
{
    char base[] = "/tmp/vgXXXXXX";

    make_tree(base);
    add_process(base, "self", OWN, "50");
    add_process(base, "300", OWN, "300"); /* a pod with hostPID */
    add_process(base, "301", OWN, "301"); /* somebody else's */
    CHECK_EQ(find(base, 300, 300, 0), 300);
    CHECK_EQ(find(base, 301, 300, 0), -ENOENT);
    add_process(base, "400", 7, "400\t1");
    add_process(base, "401", 7, "401\t300");
    CHECK_EQ(find(base, 300, 300, 400), -ENOTUNIQ);
    remove_tree(base);
}

TEST(groups_by_the_hundred_before_the_line_do_not_hide_it)
{
    char base[] = "/tmp/vgXXXXXX", path[128], text[16384];
    struct err err;
    struct str str;

    make_tree(base);
    add_process(base, "self", OWN, "50");
    add_process(base, "100", 7, "100\t1");
    str_init(&str, text, sizeof(text));
    str_add(&str, "Name:\tx\nGroups:\t");
    for (unsigned int i = 0; i < 1000; i++)
        str_add(&str, "%u ", 100000 + i);
    str_add(&str, "\nNSpid:\t100\t5\n");
    (void)snprintf(path, sizeof(path), "%s/100/status", base);
    CHECK_OK(file_write(path, text, str.length, &err), &err);
    CHECK_EQ(find(base, 5, 100, 0), 100);
    remove_tree(base);
}

TEST(without_a_proc_nothing_is_found)
{
    CHECK(find("/nowhere", 1, 1, 0) < 0);
}

/* --- the kernel's ---------------------------------------------------------------------------- */

/* The first process of a new namespace, with a child: its second. Ends with its parent's pipe. */
static void be_init(int in_fd)
{
    pid_t child = fork();
    char byte;

    if (child < 0)
        _exit(1);
    if (!child)
        while (pause() < 0 && errno == EINTR)
            continue;
    (void)!read(in_fd, &byte, 1);
    _exit(0); /* and with it all of the namespace */
}

/* Who makes the namespace has to be a process of its own: its later children all go there. */
static void be_maker(int in_fd, int out_fd)
{
    int32_t pid;

    if (unshare(CLONE_NEWPID) < 0)
        _exit(77);
    pid = fork();
    if (!pid)
        be_init(in_fd);
    (void)!write(out_fd, &pid, sizeof(pid));
    (void)waitpid(pid, NULL, 0);
    _exit(0);
}

/* The first child of a process by /proc; 0: none yet, -1: this kernel does not say. */
static int32_t first_child(int32_t pid)
{
    char path[64], text[64];

    (void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
    return file_read(path, text, sizeof(text), NULL) < 0 ? -1 : (int32_t)strtol(text, NULL, 10);
}

TEST(a_process_in_a_real_namespace_is_found_from_its_init)
{
    int to_child[2], to_parent[2], status;
    int32_t init = 0, child;
    pid_t maker;

    CHECK_EQ(pipe(to_child), 0);
    CHECK_EQ(pipe(to_parent), 0);
    maker = fork();
    if (!maker) {
        (void)close(to_child[1]);
        (void)close(to_parent[0]);
        be_maker(to_child[0], to_parent[1]);
    }
    CHECK_EQ(close(to_child[0]), 0);
    CHECK_EQ(close(to_parent[1]), 0);
    if (read(to_parent[0], &init, sizeof(init)) != (ssize_t)sizeof(init) || init <= 0) {
        CHECK_EQ(waitpid(maker, &status, 0), maker);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 77);
        skip(); /* not allowed here */
    }
    while (!(child = first_child(init)))
        (void)sched_yield();
    if (child < 0)
        skip();
    CHECK_EQ(find("/proc", 2, init, 0), child);
    CHECK_EQ(find("/proc", 1, child, 0), init);
    CHECK_EQ(find("/proc", 3, init, 0), -ENOENT);
    CHECK_EQ(find("/proc", getpid(), init, 0), -ENOENT); /* it names nobody outside */
    CHECK_EQ(close(to_child[1]), 0);
    CHECK_EQ(close(to_parent[0]), 0);
    CHECK_EQ(waitpid(maker, NULL, 0), maker);
}
