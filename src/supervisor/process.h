#pragma once
/*
 * process - what /proc and the kernel say of processes.
 */
#include "utils/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct sock_peer;

#define PROCESS_CONTROL_VARIABLE "VGPU_CONTROL"

/*
 * Field 22 of /proc/<pid>/stat: clock ticks since boot; tells a process from a later one with its
 * pid. -ESRCH where there is none.
 */
int process_start_time(pid_t pid, uint64_t *ret_ticks) MUST_CHECK;

/* The command's name, at most 15 characters; "?" where it cannot be read. */
void process_comm(pid_t pid, char *ret_comm, size_t size);

/* Whose it is: the real user id, which a program that is set to another user keeps. -ESRCH. */
int process_user(pid_t pid, uid_t *ret_uid) MUST_CHECK;

/* -ESRCH where there is no such process. */
pid_t process_parent(pid_t pid);

/* A pidfd, readable once the process has ended; -errno. */
int process_open(pid_t pid) MUST_CHECK;

/*
 * A pidfd of the process that connected, and no other that has its number since; -ESRCH where it
 * has ended. A kernel before 6.5 knows the number alone: then of one of the same user's.
 */
int process_open_peer(int socket_fd, const struct sock_peer *peer) MUST_CHECK;

bool process_has_ended(int pid_fd);

/* By a signal, and not continued; a debugger's stop is none. */
bool process_is_stopped(pid_t pid);

/* By a pidfd; a negative errno, -ESRCH where it has ended. */
int process_signal(int pid_fd, int number) MUST_CHECK;

/*
 * The same for a user, who might by himself: root's process signals none but his. -EPERM. `pid` is
 * the pidfd's.
 */
int process_signal_of(int pid_fd, pid_t pid, uid_t uid, int number) MUST_CHECK;

enum process_presence {
    PROCESS_ABSENT,
    PROCESS_PRESENT,
    PROCESS_UNSURE /* one is just executing a program, so that nobody can tell: ask again soon */
};

/*
 * Whether a process (not a zombie) was started with VGPU_CONTROL=<control>, by the user who has
 * that socket, or root, or us: anybody can set a variable.
 */
enum process_presence process_find_tenant(const char *control);

/* The same where a doubt is a yes. */
bool process_has_tenant(const char *control);

/* A signal to each of these that is the user's. */
void process_signal_tenant(const char *control, uid_t uid, int number);
