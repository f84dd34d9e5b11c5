#pragma once
/*
 * front - the parent of a tenant's command and of its supervisor: starts both, restarts a
 * supervisor that dies, forwards signals that a process sent, and ends with the command's status.
 * The supervisor of a tenant that the daemon keeps is the daemon's to start and restart.
 */
#include "supervisor/runtime.h"
#include "utils/attr.h"
#include "utils/err.h"

#include <signal.h>
#include <stdbool.h>

struct front {
    struct runtime runtime;
    const char *name;
    const char *log_path; /* NULL: none */
    const char *visible;  /* CUDA_VISIBLE_DEVICES for the command; NULL: as it is */
    bool is_closed;       /* --on-loss closed */
    bool is_verbose;      /* the supervisor says what it does */
    int lock_fd, listen_fd;
    int ledger_fd; /* -1: an adopted tenant's guests bring it */
    int kept_fd;   /* a socket to a supervisor that the daemon keeps; -1: it is ours to keep */
    const char *control_path; /* of a kept tenant */
    sigset_t mask, old_mask;
    struct sigaction old_child; /* of SIGCHLD */
};

/*
 * Before the tenant's name is claimed: from here on a signal does not end us, so that nothing is
 * left behind; those that come before the command runs are passed on to it.
 */
void front_block_signals(struct front *front);

/* Runs the command; returns the exit status. What goes wrong is said on stderr. */
int front_run(struct front *front, char **argv);

/* Starts a supervisor for a tenant whose processes run; returns when it serves. */
int front_adopt(struct front *front);
