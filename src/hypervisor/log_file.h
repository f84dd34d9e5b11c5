#pragma once
/*
 * log_file - a file of whole lines that is replaced when it is too large or too old:
 * FILE is renamed to FILE.1, that to FILE.2 and so on, and the oldest goes.
 *
 * What it promises: a disk that is full, a folder that cannot be written or a file that somebody
 * took away cost lines at worst, never the program, and never half a line. What went wrong is said
 * once on stderr and is to be had from log_file_fault() for as long as it lasts.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct log_file_limits {
    uint64_t size_bytes; /* replaced before it would be larger; 0: never */
    uint64_t age_ms;     /* replaced when it is older; 0: never */
    unsigned int kept;   /* former files that are kept, 1 at least; others go with a replacement */
};

struct log_file {
    char path[PATH_MAX - 8];
    int fd;
    bool is_regular; /* a pipe, a terminal or a device is written as it is, and never replaced */
    struct log_file_limits limits;
    uint64_t length_bytes;
    uint64_t begun_unix_ms;      /* when the file was made */
    uint64_t rotation_due_bytes; /* after a failed try: not before it has this length */
    uint64_t rotation_due_ms;    /* and not before this */
    uint64_t lost_lines;         /* since the last that was written */
    bool is_rotation_failing;
    char fault[200]; /* empty: all is well */
};

/* Opens or makes it, mode 0640, and goes on where it ends. */
int log_file_open(struct log_file *ret_file, const char *path, const struct log_file_limits *limits,
                  uint64_t unix_ms, struct err *err) MUST_CHECK;
/* Takes a zeroed one too. */
void log_file_close(struct log_file *file);

/*
 * Writes one line, newline included, at that time of day; replaces the file first where due.
 * Returns false, and counts it in `lost_lines`, where it could not be written; one that could be
 * sets that to 0.
 */
bool log_file_write(struct log_file *file, const char *line, size_t length, uint64_t unix_ms);

/* Opens the path anew where something else lies there now (SIGHUP after somebody moved it). */
void log_file_reopen(struct log_file *file, uint64_t unix_ms);

/* What is wrong with it, NULL where nothing is. Belongs to `file`. */
const char *log_file_fault(const struct log_file *file);
