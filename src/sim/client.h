#pragma once
/*
 * client - a process's connections to the simulator's server: one question, one answer. Calls of
 * different threads go over different connections and do not wait for each other. It survives fork
 * (the child opens connections of its own), programs that close descriptors they do not know, and
 * the server's end.
 */
#include "sim/wire.h"
#include "utils/attr.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#define CLIENT_PARTS_MAX 3

struct client_call {
    struct wire_request request; /* kind and what it needs; magic, time and sizes are filled in */
    struct wire_reply reply;
    /* The blobs, in the caller's memory: sent from there, and their answers put there. */
    struct iovec parts[CLIENT_PARTS_MAX];
    int part_count;
    /* What an answer is to be put into where it is not the parts: iov_len bytes at most. */
    struct iovec rows;
    int fd; /* received with the reply, -1 for none; the caller closes it */
};

/* There is a simulated machine around this process. */
bool client_is_simulated(void);

/*
 * Returns 0 with the reply filled in (whose `error` the caller judges), -ENODEV where the server is
 * gone, -EFAULT where a part cannot be read or written, -EMSGSIZE where the parts are too long.
 */
int client_ask(struct client_call *call) MUST_CHECK;

/* The rows of a query about a GPU; returns their number, -EMSGSIZE where `bytes` are too few. */
int client_query(uint32_t query, uint32_t index, void *rows, size_t bytes) MUST_CHECK;

/* Brings shared memory up to now; failure is ignored, as a lost machine shows elsewhere. */
void client_sync(uint32_t index);
