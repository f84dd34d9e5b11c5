#pragma once
/*
 * slow_file - a descriptor whose last close takes long: a TCP connection with unsent bytes that is
 * told to linger. A stranger can send one to whoever takes descriptors.
 */
#include <stdint.h>

#define SLOW_FILE_NS (UINT64_C(20) * 1000000000) /* so long, unless it is let go */

struct slow_file {
    int fd;     /* the test closes it where it has sent it */
    int reader; /* its other end, which reads nothing */
};

struct slow_file slow_file_make(void);

/* Whoever is in its close comes back. */
void slow_file_let_go(struct slow_file *file);
