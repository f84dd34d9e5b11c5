#pragma once
/*
 * metrics_writer - a metrics_file that nobody waits for: lines are handed over, and a thread of its
 * own writes them. A disk that does not answer costs lines, never the loop: at most
 * METRICS_WRITER_PENDING_MAX bytes wait, what comes then is lost and counted.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stddef.h>
#include <stdint.h>

#define METRICS_WRITER_PENDING_MAX (4u << 20) /* bytes */

struct metrics_file;
struct metrics_writer;

/* Takes `file` over, also where it fails (-ENOMEM, -EAGAIN). Signals are blocked in its thread. */
int metrics_writer_new(struct metrics_writer **ret_writer, struct metrics_file *file,
                       struct err *err) MUST_CHECK;

/* Waits until what was handed over is written, and ends the thread. NULL is fine. */
void metrics_writer_free(struct metrics_writer *writer);

/* Whole lines, copied. Never waits for the disk. Any thread. */
void metrics_writer_add(struct metrics_writer *writer, const char *lines, size_t length);

/* Lines that could not be written or taken since the beginning. Any thread. */
uint64_t metrics_writer_lost(const struct metrics_writer *writer);
