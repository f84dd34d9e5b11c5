#pragma once
/*
 * storage - memory that RM objects stand for: video memory, counted against its board, and the
 * host's. Several objects can hold one (duplicates); the last one gives it back. What is in it
 * exists only once somebody maps it or the GPU writes to it: then it is a memfd, of the full size
 * but sparse.
 */
#include "utils/attr.h"
#include "utils/list.h"

#include <stdbool.h>
#include <stdint.h>

struct board;

struct storage {
    struct list node; /* in its board, if video memory */
    struct board *board;
    uint32_t references;
    uint32_t pid; /* to which NVML counts it */
    uint64_t bytes;
    bool is_read_only; /* for programs */
    int fd;            /* -1: not yet */
    void *memory;      /* of fd, mapped writable */
};

/* How much is granted for a request, by the page size its attributes ask for. 0: too much. */
uint64_t storage_round(uint64_t bytes, uint32_t attributes);

/* Returns the RM's status; with RM_OK one reference. `bytes` is rounded already. */
uint32_t storage_new_video(struct storage **ret_storage, struct board *board, uint64_t bytes,
                           uint32_t pid) MUST_CHECK;
uint32_t storage_new_host(struct storage **ret_storage, uint64_t bytes, uint32_t pid) MUST_CHECK;
void storage_keep(struct storage *storage);
void storage_drop(struct storage *storage);

/* Makes the content exist. NULL if the host has no memory. */
void *storage_map(struct storage *storage);

/* The 64-bit word at an offset; NULL if it is not inside or not aligned. */
uint64_t *storage_word(struct storage *storage, uint64_t offset);
