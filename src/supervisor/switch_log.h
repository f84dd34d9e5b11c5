#pragma once
/*
 * switch_log - the ring of context-switch records of one GPU, as an RM client of our own that reads
 * it through plain RM calls: open, bind, fetch. Undone by closing. docs/design/gpu-time.md has the
 * calls in order and what was measured of them.
 */
#include "abi/rm.h"
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>
#include <stdint.h>

struct gpus_card;

struct switch_log {
    int control_fd; /* /dev/nvidiactl; holds the client */
    int device_fd;  /* /dev/nvidiaN: the RM gives a device only to who holds one */
    uint32_t client, device, subdevice, header_memory, record_memory, buffer;
    const struct rm_buffer_header *header; /* mapped read-only; written by the driver */
    const struct rm_switch_record *records;
    uint32_t next; /* index of the next record to read */
};

/* Says what failed and with which status; leaves nothing open then. */
int switch_log_open(struct switch_log *log, const struct gpus_card *card,
                    struct err *err) MUST_CHECK;
void switch_log_close(struct switch_log *log);

/* Drains the hardware's log into the ring now. */
int switch_log_flush(struct switch_log *log) MUST_CHECK;

/* The GPU's clock, in ns. */
int switch_log_time(struct switch_log *log, uint64_t *ret_gpu_ns) MUST_CHECK;

/* The next record, copied; false where there is none. */
bool switch_log_next(struct switch_log *log, struct rm_switch_record *ret_record);
