#pragma once
/*
 * log - one line an event, to stderr with the prefix "vgpu: " (colour only on terminals) or to a
 * file (with time, level and pid). Silent in the preload libraries unless VGPU_LOG names a level.
 * Written with one write(2) a line, so that lines of several processes do not mix. A program with a
 * form of its own for its log (the daemon) sets a sink, which then gets all lines of all of them.
 */
#include "utils/attr.h"

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Sets what is written from now on; the default is warnings and worse to stderr. Any thread. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
/* "error", "warn", "info", "debug" */
const char *log_level_word(enum log_level level);

/* Lines go to `fd` (borrowed, open for good) in the file form; -1 goes back to stderr. */
void log_set_fd(int fd);

/*
 * Who takes the lines instead, on the thread that logs. `source` is where a line comes from: the
 * path of its source file, or what that file defined LOG_SOURCE to be. A message is without its
 * newline, at most LOG_MESSAGE_SIZE - 1 bytes, and may hold anything.
 */
#define LOG_MESSAGE_SIZE 1024
struct log_sink {
    bool (*wants)(enum log_level level,
                  const char *source); /* false: it is not even put together */
    void (*write)(enum log_level level, const char *source, const char *message);
};

/* From now on `sink` (borrowed, constant for good) decides on levels too; NULL: as before. */
void log_set_sink(const struct log_sink *sink);

void log_write(enum log_level level, const char *source, const char *format, ...) PRINTF_LIKE(3, 4);

/* A source file may define it before its includes, to log under another name than its own. */
#ifndef LOG_SOURCE
#define LOG_SOURCE __FILE__
#endif

#define log_error(...) log_write(LOG_LEVEL_ERROR, LOG_SOURCE, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_LEVEL_WARN, LOG_SOURCE, __VA_ARGS__)
#define log_info(...)  log_write(LOG_LEVEL_INFO, LOG_SOURCE, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, LOG_SOURCE, __VA_ARGS__)
