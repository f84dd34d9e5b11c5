#pragma once
/*
 * wire_call - a process's calls to the simulator's server: one question, one answer. Those of
 * different threads go over different connections and do not wait for each other. They survive fork
 * (the child opens connections of its own), programs that close descriptors they do not know, and
 * the server's end.
 */
#include "sim/wire.h"
#include "utils/attr.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#define WIRE_CALL_PARTS_MAX 3

struct wire_call {
    struct wire_request request; /* kind and what it needs; magic, time and sizes are filled in */
    struct wire_reply reply;
    /* The blobs, in the caller's memory: sent from there, and their answers put there. */
    struct iovec parts[WIRE_CALL_PARTS_MAX];
    int part_count;
    /* What an answer is to be put into where it is not the parts: iov_len bytes at most. */
    struct iovec rows;
    int fd; /* received with the reply, -1 for none; the caller closes it */
};

/* There is a simulated machine around this process. */
bool wire_call_is_possible(void);

/*
 * Returns 0 with the reply filled in (whose `error` the caller judges), -ENODEV where the server is
 * gone, -EFAULT where a part cannot be read or written, -EMSGSIZE where the parts are too long.
 */
int wire_call_ask(struct wire_call *call) MUST_CHECK;

/* The rows of a query about a GPU; returns their number, -EMSGSIZE where `bytes` are too few. */
int wire_call_query(uint32_t query, uint32_t index, void *rows, size_t bytes) MUST_CHECK;

/* Brings shared memory up to now; failure is ignored, as a lost machine shows elsewhere. */
void wire_call_sync(uint32_t index);
