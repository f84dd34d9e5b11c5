#pragma once
/*
 * shm - memory shared by descriptor: sealed memfds, which nobody can shrink under a reader.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * Makes a memfd of `size` zero bytes, maps it writable for the caller and seals it against
 * shrinking and growing; with `is_read_only` also against future writable mappings
 * (F_SEAL_FUTURE_WRITE), so that only this mapping writes. Returns the
 * descriptor, which the caller closes; the caller unmaps the memory.
 */
int shm_create(void **ret_memory, const char *name, size_t size, bool is_read_only,
               struct err *err) MUST_CHECK;

/*
 * Maps a descriptor that somebody sent. -EPROTO unless it is a memfd of at least `size` bytes
 * sealed against shrinking. The caller unmaps it.
 */
int shm_map(void **ret_memory, int fd, size_t size, bool is_writable, struct err *err) MUST_CHECK;
void shm_unmap(void *memory, size_t size);
