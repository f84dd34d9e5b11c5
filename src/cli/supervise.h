#pragma once
/*
 * supervise - a tenant's supervisor, in the process that the front forked for it. It does not
 * execute anything: that would cost a tenant's start some 2 ms, and the program may have been
 * replaced since.
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
