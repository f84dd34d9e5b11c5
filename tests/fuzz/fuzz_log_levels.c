/*
 * The libFuzzer target of hypervisor/log_levels and log_line: levels, a source and a message,
 * with a newline between. A line stays a line whatever they hold.
 */
#include "hypervisor/log_levels.h"
#include "hypervisor/log_line.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_line(enum log_line_format format, const char *source, const char *message)
{
    struct log_line line = {.level = LOG_LEVEL_INFO, .source = source, .message = message};
    char text[LOG_LINE_SIZE];
    struct str str;

    str_init(&str, text, sizeof(text));
    log_line_add(&str, format, &line);
    if (strcspn(text, "\n") + 1 != str.length || strchr(text, '\r') || strchr(text, '\033'))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *input = strndup((const char *)data, size), *source, *message, levels_text[2] = "";
    struct log_levels levels;

    if (!input)
        abort();
    source = strchr(input, '\n');
    if (source)
        *source++ = '\0';
    message = source ? strchr(source, '\n') : NULL;
    if (message)
        *message++ = '\0';
    if (log_levels_parse(&levels, input, NULL) == 0) {
        int highest = log_levels_highest(&levels);

        if (highest < LOG_LEVEL_DEBUG &&
            log_levels_want(&levels, (enum log_level)(highest + 1), source ? source : levels_text))
            abort(); /* what nobody wants is wanted */
    }
    if (message && strlen(message) < LOG_MESSAGE_SIZE)
        for (int format = LOG_LINE_TEXT; format <= LOG_LINE_JSON; format++)
            check_line((enum log_line_format)format, source, message);
    free(input);
    return 0;
}
