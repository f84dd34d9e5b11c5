#pragma once
/*
 * supervise - the life of a process that is a tenant's supervisor. The front of `vgpu run` forks it
 * and executes nothing, which would cost a tenant's start some 2 ms; the daemon has threads and
 * executes a program for it (supervisor_main.c).
 */
#include "supervisor/server.h"

#include <stdbool.h>

struct supervise {
    const struct runtime *runtime;
    const char *name;
    const char *log_path;                         /* NULL: none */
    int listen_fd, ledger_fd, front_fd, words_fd; /* words_fd: where stderr goes */
    bool is_successor, is_verbose;
};

/* Serves until the tenant is gone; returns the exit status. */
int supervise(const struct supervise *supervise);
