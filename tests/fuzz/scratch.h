#pragma once
/*
 * scratch - a folder of a fuzz target's own for what its parsers read by a path. It is removed with
 * what lies in it when the target ends well; tools/fuzz removes what one that broke has left.
 */
#include <stddef.h>
#include <stdint.h>

/* Its path, short enough for sockets in it. Made at the first call; aborts where that fails. */
const char *scratch_folder(void);

/* `<folder>/<name>`, for good; there is room for 16 of them, those below among them. */
const char *scratch_path(const char *name);

/* Makes a folder in it. */
void scratch_make(const char *name);

/* A file in it, open for scratch_fill(). */
int scratch_open(const char *name);

/* The file holds these bytes and no others. */
void scratch_fill(int fd, const uint8_t *bytes, size_t size);
