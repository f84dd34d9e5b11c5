#pragma once
/*
 * metrics_file - a file that collectors follow: a new one each day (UTC), of which the newest three
 * are kept.
 *
 * `PATH.2026-01-31` beside PATH; where PATH is a directory, `metrics.log.2026-01-31` in it. Only
 * files of exactly that form are removed; a file that somebody else removed is made again. Lines
 * are whole: where a disk is full, what was written of them is taken back, they are lost and
 * counted, and the log says so once, and once more when writing works again.
 *
 * Writing may wait for the disk: whoever may not, puts a metrics_writer before it. One thread.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stddef.h>
#include <stdint.h>

#define METRICS_FILE_KEPT 3

struct metrics_file;

/*
 * `path` as above, or "-" for standard output, which is not renewed. Opens (or continues) the file
 * of the day of `unix_ms`, mode 0644, and removes old ones. A negative errno where it cannot: no
 * directory, no permission; a link in the file's place is refused (-ELOOP).
 */
int metrics_file_new(struct metrics_file **ret_file, const char *path, uint64_t unix_ms,
                     struct err *err) MUST_CHECK;
void metrics_file_free(struct metrics_file *file);

/*
 * Appends lines to the file of the day of `unix_ms`. Returns how many of them were lost: 0, or all.
 */
uint64_t metrics_file_write(struct metrics_file *file, const char *lines, size_t length,
                            uint64_t unix_ms);

/* How many lines a text has: its newlines. */
uint64_t metrics_file_count_lines(const char *lines, size_t length);
