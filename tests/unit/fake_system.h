#pragma once
/*
 * fake_system - processes that are not there, for those who decide about them: who they are, what
 * signals they got, what was told of them.
 */
#include "hypervisor/event_log.h"
#include "hypervisor/foreign.h"

#define FAKE_PROCESSES 1024
#define FAKE_EVENTS    1024

struct fake_process {
    bool is_there;
    struct foreign_process process;
    int signal_count, last_signal;
    int signal_status; /* what a signal is answered with */
};

struct fake_system {
    struct fake_process processes[FAKE_PROCESSES]; /* by pid */
    struct event events[FAKE_EVENTS];
    int event_count;
    int describe_count;
    const char *own_cgroup; /* ours; NULL: not known */
};

/* The system that is made of it; it is cleared. */
struct foreign_system fake_system_prepare(struct fake_system *fake);

/* A process begins; the start time is that of no other. */
void fake_system_start(struct fake_system *fake, int pid, const char *comm, const char *cgroup);
void fake_system_end(struct fake_system *fake, int pid);
