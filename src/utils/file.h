#pragma once
/*
 * file - whole small files, and directories that are ours alone.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stddef.h>
#include <sys/types.h>

/* Reads at most size - 1 bytes of a file and ends them with NUL; returns their number. */
ssize_t file_read(const char *path, char *buffer, size_t size, struct err *err) MUST_CHECK;

/* Writes beside the file and renames: a reader sees the old content or the new. Mode 0600. */
int file_write(const char *path, const void *content, size_t size, struct err *err) MUST_CHECK;

/*
 * Removes the file, and what file_write() left beside it where its process was killed in it. A
 * failure is not told: what is not there need not be removed.
 */
void file_remove(const char *path);

/*
 * Makes the directory (not its parents) with this mode unless it is there; refuses one that is a
 * link, is not ours or that others may read or write (-EPERM). What is there keeps its mode.
 */
int file_make_own_dir(const char *path, mode_t mode, struct err *err) MUST_CHECK;

/* Writes all of it, however often that is cut short. Returns 0 or a negative errno. */
int file_write_all(int fd, const char *content, size_t size) MUST_CHECK;

/* Raises the number of descriptors that this process may have to the most that it may be. */
void file_allow_many(void);
