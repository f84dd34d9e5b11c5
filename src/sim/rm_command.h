#pragma once
/*
 * rm_command - the RM's controls, and how long the driver takes for each.
 */
#include "sim/kernel.h"

#include <stdint.h>

struct rm_command {
    struct client *client;
    struct object *object;
    uint32_t command;
    uint8_t *params; /* written back; NULL for none */
    uint32_t params_bytes;
};

/* Returns the RM's status; call->due_ns becomes when the driver returns. */
uint32_t rm_command_run(struct kernel_call *call, const struct rm_command *command);
