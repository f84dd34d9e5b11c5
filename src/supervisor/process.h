#pragma once
/*
 * process - what /proc and the kernel say of processes.
 */
#include "utils/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PROCESS_CONTROL_VARIABLE "VGPU_CONTROL"

/*
 * Field 22 of /proc/<pid>/stat: clock ticks since boot; tells a process from a later one with its
 * pid. -ESRCH where there is none.
 */
int process_start_time(pid_t pid, uint64_t *ret_ticks) MUST_CHECK;

/* The command's name, at most 15 characters; "?" where it cannot be read. */
void process_comm(pid_t pid, char *ret_comm, size_t size);

/* A pidfd, readable once the process has ended; -errno. */
int process_open(pid_t pid) MUST_CHECK;

/* By a signal, and not continued; a debugger's stop is none. */
bool process_is_stopped(pid_t pid);

/* By a pidfd; a negative errno, -ESRCH where it has ended. */
int process_signal(int pid_fd, int number) MUST_CHECK;

/*
 * Whether a process (not a zombie) was started with VGPU_CONTROL=<control>. True as well where one
 * is just executing a program, so that nobody can tell: ask again later.
 */
bool process_has_tenant(const char *control);

/* A signal to each of these. */
void process_signal_tenant(const char *control, int number);
