#pragma once
/*
 * log - one line an event, to stderr with the prefix "vgpu: " (colour only on terminals) or to a
 * file (with time, level and pid). Silent in the preload libraries unless VGPU_LOG names a level.
 * Written with one write(2) a line, so that lines of several processes do not mix.
 */
#include "utils/attr.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Sets what is written from now on; the default is warnings and worse to stderr. Any thread. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
/* "error", "warn", "info", "debug" */
const char *log_level_word(enum log_level level);

/* Lines go to `fd` (borrowed, open for good) in the file form; -1 goes back to stderr. */
void log_set_fd(int fd);

void log_write(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)
