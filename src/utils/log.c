#include "utils/log.h"

#include "utils/atomics.h"
#include "utils/str.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#define LINE_SIZE LOG_MESSAGE_SIZE

static struct {
    _Atomic uint32_t level;      /* enum log_level; relaxed: it guards nothing */
    int fd;                      /* -1: stderr, in the form for people */
    const struct log_sink *sink; /* NULL: none */
} state = {.level = LOG_LEVEL_WARN, .fd = -1};

static const char *const level_names[] = {"error", "warn", "info", "debug"};

void log_set_level(enum log_level level)
{
    store_relaxed(&state.level, level);
}

enum log_level log_get_level(void)
{
    return load_relaxed(&state.level);
}

const char *log_level_word(enum log_level level)
{
    return level_names[level];
}

void log_set_fd(int fd)
{
    state.fd = fd;
}

void log_set_sink(const struct log_sink *sink)
{
    state.sink = sink;
}

static void add_prefix(struct str *str, enum log_level level)
{
    struct timespec now = {0};
    struct tm utc;

    if (state.fd < 0) {
        bool is_colour = isatty(STDERR_FILENO) && level <= LOG_LEVEL_WARN;

        if (is_colour)
            str_add(str, "\033[1;%dmvgpu:\033[0m ", level == LOG_LEVEL_ERROR ? 31 : 33);
        else
            str_add(str, "vgpu: ");
        return;
    }
    (void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail for this clock */
    if (gmtime_r(&now.tv_sec, &utc))
        str_add(str, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ ", utc.tm_year + 1900, utc.tm_mon + 1,
                utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, (int)(now.tv_nsec / 1000000));
    str_add(str, "%s [%d] ", level_names[level], (int)getpid());
}

static void write_line(enum log_level level, const char *format, va_list args)
{
    char line[LINE_SIZE];
    struct str str;

    str_init(&str, line, sizeof(line) - 1); /* room for the newline */
    add_prefix(&str, level);
    str_add_list(&str, format, args);
    line[str.length] = '\n';
    /* A log that cannot be written has nobody to tell. */
    if (write(state.fd < 0 ? STDERR_FILENO : state.fd, line, str.length + 1) < 0)
        return;
}

static void hand_over(enum log_level level, const char *source, const char *format, va_list args)
{
    char message[LOG_MESSAGE_SIZE];
    struct str str;

    str_init(&str, message, sizeof(message));
    str_add_list(&str, format, args);
    state.sink->write(level, source, message);
}

void log_write(enum log_level level, const char *source, const char *format, ...)
{
    int saved = errno;
    bool is_wanted = state.sink ? state.sink->wants(level, source)
                                : (uint32_t)level <= load_relaxed(&state.level);
    va_list args;

    if (is_wanted) {
        va_start(args, format);
        if (state.sink)
            hand_over(level, source, format, args);
        else
            write_line(level, format, args);
        va_end(args);
    }
    errno = saved;
}
