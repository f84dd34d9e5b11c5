#pragma once
/*
 * service - what NVML is told about the simulated GPUs.
 */
#include "sim/machine.h"
#include "sim/wire.h"

#include <stddef.h>
#include <stdint.h>

/*
 * Answers a WIRE_QUERY with rows at `rows`, of at most `size` bytes. Sets error, count and
 * args_bytes of the reply.
 */
void service_answer(struct machine *machine, const struct wire_request *request,
                    struct wire_reply *reply, void *rows, size_t size);
