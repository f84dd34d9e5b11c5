#include "hypervisor/log_line.h"

#include "hypervisor/log_levels.h"
#include "utils/utf8.h"

#include <time.h>

#define COMPONENT_LENGTH_MAX 32

static const char *const level_words[] = {"error", "warn", "info", "debug"};

static void add_time(struct str *str, uint64_t unix_ms)
{
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm utc = {0};

    (void)gmtime_r(&seconds, &utc); /* fails for years that do not fit an int */
    str_add(str, "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ", utc.tm_year + 1900, utc.tm_mon + 1,
            utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, (unsigned int)(unix_ms % 1000));
}

/* One character that cannot stand as it is. */
static void add_escaped(struct str *str, uint32_t character, bool is_quoted)
{
    if (character == '\n')
        str_add(str, "\\n");
    else if (character == '\t')
        str_add(str, "\\t");
    else if (character == '\r')
        str_add(str, "\\r");
    else if (!is_quoted && character < 0x80)
        str_add(str, "\\x%02x", character);
    else
        str_add(str, "\\u%04x", character);
}

/* Between quotes of JSON and logfmt, or bare. */
static void add_message(struct str *str, const char *message, bool is_quoted)
{
    while (*message) {
        uint32_t character = 0;
        size_t length = utf8_decode(message, &character);

        if (!length && is_quoted)
            str_add(str, UTF8_REPLACEMENT);
        else if (!length)
            str_add(str, "\\x%02x", (unsigned char)*message);
        else if (is_quoted && (character == '"' || character == '\\'))
            str_add(str, "\\%c", (char)character);
        else if (utf8_is_control(character))
            add_escaped(str, character, is_quoted);
        else
            str_add(str, "%.*s", (int)length, message);
        message += length ? length : 1;
    }
}

/* Names of modules are plain words; what somebody else gives as a source is made one. */
static void add_component(struct str *str, const char *source)
{
    size_t length;
    const char *name = log_levels_component(source, &length);

    if (length > COMPONENT_LENGTH_MAX)
        length = COMPONENT_LENGTH_MAX;
    for (size_t i = 0; i < length; i++) {
        char c = name[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9') || c == '_' || c == '-';

        str_add(str, "%c", is_plain ? c : '_');
    }
    if (!length)
        str_add(str, "_");
}

static void add_text(struct str *str, const struct log_line *line)
{
    add_time(str, line->unix_ms);
    str_add(str, " %-5s ", level_words[line->level]);
    add_component(str, line->source);
    str_add(str, ": ");
    add_message(str, line->message, false);
}

static void add_logfmt(struct str *str, const struct log_line *line)
{
    str_add(str, "time=");
    add_time(str, line->unix_ms);
    str_add(str, " level=%s component=", level_words[line->level]);
    add_component(str, line->source);
    str_add(str, " message=\"");
    add_message(str, line->message, true);
    str_add(str, "\"");
}

static void add_json(struct str *str, const struct log_line *line)
{
    str_add(str, "{\"time\":\"");
    add_time(str, line->unix_ms);
    str_add(str, "\",\"level\":\"%s\",\"component\":\"", level_words[line->level]);
    add_component(str, line->source);
    str_add(str, "\",\"message\":\"");
    add_message(str, line->message, true);
    str_add(str, "\"}");
}

void log_line_add(struct str *str, enum log_line_format format, const struct log_line *line)
{
    if (format == LOG_LINE_JSON)
        add_json(str, line);
    else if (format == LOG_LINE_LOGFMT)
        add_logfmt(str, line);
    else
        add_text(str, line);
    str_add(str, "\n");
}
