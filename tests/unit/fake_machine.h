#pragma once
/*
 * fake_machine - the simulated machine (sim/machine.h) inside the test's own process: the linker
 * turns the open, ioctl, close and clock_now_ns of what is tested to here (fake_machine_dep in
 * meson.build). Time is a number that only driver calls and the test move on, or, for what has
 * threads of its own, the machine's real clock.
 */
#include "sim/machine.h"
#include "sim/queue.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define US     UINT64_C(1000)
#define MS     UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)

#define FAKE_SWITCHES_MAX 4096

/* What the driver was asked. */
struct fake_calls {
    uint32_t disables, enables, slices, flushes;
    uint32_t most_channels;               /* in one disable or enable */
    uint64_t times_ns[FAKE_SWITCHES_MAX]; /* of disables and enables, the first of them */
};

/* A program with one channel group and one channel on GPU 0. */
struct fake_program {
    pid_t pid;
    int fd, gpu_fd;
    uint32_t client, device, subdevice, group, channel, next_handle;
    struct queue *queue;
};

void fake_machine_start(uint32_t gpus, bool is_real_time);
void fake_machine_stop(void);
struct machine *fake_machine(void);
struct fake_calls *fake_machine_calls(void); /* for one thread alone */
uint32_t fake_machine_disables(void);        /* for any */
void fake_machine_set_fault(const char *text);

/* The number that clock_now_ns() gives, and where it goes on from. */
uint64_t fake_machine_now_ns(void);
void fake_machine_pass_until(uint64_t instant_ns);

/* Every disable and enable fails with this status from now on, RM_OK: no more. */
void fake_machine_refuse(uint32_t status);
/* Every flush of the switch records fails. */
void fake_machine_refuse_flush(bool is_refused);

struct fake_program fake_program_start(pid_t pid);
/* One more channel in its group; returns the handle. */
uint32_t fake_program_add_channel(struct fake_program *program);
void fake_program_free(struct fake_program *program, uint32_t object);
/* A kernel of so much running time, now or (submit_ns) later. */
void fake_program_submit(struct fake_program *program, uint64_t duration_ns, uint64_t submit_ns);
uint64_t fake_program_busy_ns(const struct fake_program *program);
void fake_program_end(struct fake_program *program);
