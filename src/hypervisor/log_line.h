#pragma once
/*
 * log_line - one event as one line: of text, logfmt or JSON. Whatever the message holds, the line
 * stays one, and what reads it back finds its fields: control characters are escaped, and bytes
 * that are no UTF-8 are escaped too (text) or replaced by U+FFFD (logfmt, JSON).
 */
#include "utils/log.h"
#include "utils/str.h"

#include <stdint.h>

/* In the order of the option `log_format`. */
enum log_line_format { LOG_LINE_TEXT, LOG_LINE_LOGFMT, LOG_LINE_JSON };

struct log_line {
    uint64_t unix_ms;
    enum log_level level;
    const char *source; /* as of utils/log.h */
    const char *message;
};

/* Enough for any message of utils/log.h in any format. */
#define LOG_LINE_SIZE (6 * LOG_MESSAGE_SIZE + 512)

/* Adds the line with its newline. */
void log_line_add(struct str *str, enum log_line_format format, const struct log_line *line);
