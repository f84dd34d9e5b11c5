#include "hypervisor/log_levels.h"

#include "utils/str.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

/* A part of a text, without the blanks around it. */
struct part {
    const char *text;
    size_t length;
};

static struct part trim(const char *text, size_t length)
{
    for (; length && isspace((unsigned char)*text); length--)
        text++;
    while (length && isspace((unsigned char)text[length - 1]))
        length--;
    return (struct part){text, length};
}

static bool equals(struct part part, const char *word)
{
    return strlen(word) == part.length && strncasecmp(part.text, word, part.length) == 0;
}

static int read_level(struct part part, int *ret_level, struct err *err)
{
    static const struct {
        const char *word;
        int level;
    } words[] = {
        {"off", LOG_LEVELS_OFF},     {"error", LOG_LEVEL_ERROR}, {"warn", LOG_LEVEL_WARN},
        {"warning", LOG_LEVEL_WARN}, {"info", LOG_LEVEL_INFO},   {"debug", LOG_LEVEL_DEBUG},
        {"trace", LOG_LEVEL_DEBUG},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        if (equals(part, words[i].word)) {
            *ret_level = words[i].level;
            return 0;
        }
    return err_say(err, EINVAL, "'%.*s' is no level: off, error, warn, info or debug",
                   (int)part.length, part.text);
}

static bool is_name(struct part part)
{
    for (size_t i = 0; i < part.length; i++)
        if (!isalnum((unsigned char)part.text[i]) && !strchr("_-.:/", part.text[i]))
            return false;
    return part.length > 0;
}

static int add_rule(struct log_levels *levels, struct part name, int level, struct err *err)
{
    size_t at = 0;

    if (!is_name(name) || name.length >= sizeof(levels->rules[0].name))
        return err_say(err, EINVAL, "'%.*s' is no component's name", (int)name.length, name.text);
    while (at < levels->count && !equals(name, levels->rules[at].name))
        at++;
    if (at == LOG_LEVELS_MAX)
        return err_say(err, EINVAL, "levels for more than %d components", LOG_LEVELS_MAX);
    memcpy(levels->rules[at].name, name.text, name.length);
    levels->rules[at].name[name.length] = '\0';
    levels->rules[at].level = level;
    if (at == levels->count)
        levels->count++;
    return 0;
}

static int read_rule(struct log_levels *levels, struct part part, struct err *err)
{
    const char *sign = memchr(part.text, '=', part.length);
    struct part word = part;
    int level = LOG_LEVELS_OFF, rc;

    if (sign)
        word = trim(sign + 1, part.length - (size_t)(sign + 1 - part.text));
    rc = read_level(word, &level, err);
    if (rc < 0)
        return rc;
    if (sign)
        return add_rule(levels, trim(part.text, (size_t)(sign - part.text)), level, err);
    levels->standard = level;
    return 0;
}

int log_levels_parse(struct log_levels *ret_levels, const char *text, struct err *err)
{
    struct log_levels levels = {.standard = LOG_LEVEL_INFO};

    if (!trim(text, strlen(text)).length) {
        *ret_levels = levels;
        return 0;
    }
    for (;;) {
        size_t length = strcspn(text, ",");
        int rc = read_rule(&levels, trim(text, length), err);

        if (rc < 0)
            return rc;
        if (!text[length])
            break;
        text += length + 1;
    }
    *ret_levels = levels;
    return 0;
}

void log_levels_drop_unknown(char *text, struct str *ret_dropped)
{
    struct log_levels levels = {.standard = LOG_LEVEL_INFO};
    size_t kept = 0, length;

    for (const char *at = text; at; at = at[length] ? at + length + 1 : NULL) {
        struct part part;

        length = strcspn(at, ",");
        part = trim(at, length);
        if (part.length && read_rule(&levels, part, NULL) == 0) {
            if (kept)
                text[kept++] = ',';
            memmove(text + kept, part.text, part.length);
            kept += part.length;
        } else if (part.length) {
            str_add(ret_dropped, "%s%.*s", ret_dropped->length ? " " : "", (int)part.length,
                    part.text);
        }
    }
    text[kept] = '\0';
}

static const char *level_word(int level)
{
    return level == LOG_LEVELS_OFF ? "off" : log_level_word((enum log_level)level);
}

void log_levels_print(const struct log_levels *levels, struct str *text)
{
    str_add(text, "%s", level_word(levels->standard));
    for (size_t i = 0; i < levels->count; i++)
        str_add(text, ",%s=%s", levels->rules[i].name, level_word(levels->rules[i].level));
}

const char *log_levels_component(const char *source, size_t *ret_length)
{
    const char *slash = strrchr(source, '/'), *name = slash ? slash + 1 : source;

    *ret_length = strcspn(name, ".");
    return name;
}

/* How much a rule says about where a line comes from; 0: it is about something else. */
static size_t rank(const char *rule, const char *source)
{
    size_t length, rule_length = strlen(rule);
    const char *name = log_levels_component(source, &length), *folder = name;

    if (rule_length <= length && strncasecmp(rule, name, rule_length) == 0 &&
        (rule_length == length || name[rule_length] == '_'))
        return 1 + rule_length;
    if (name - source < (ptrdiff_t)rule_length + 1)
        return 0;
    folder = name - 1 - rule_length;
    return strncasecmp(rule, folder, rule_length) == 0 && (folder == source || folder[-1] == '/');
}

bool log_levels_want(const struct log_levels *levels, enum log_level level, const char *source)
{
    int highest = levels->standard;
    size_t best = 0;

    for (size_t i = 0; i < levels->count; i++) {
        size_t found = rank(levels->rules[i].name, source);

        if (found > best) {
            best = found;
            highest = levels->rules[i].level;
        }
    }
    return (int)level <= highest;
}

int log_levels_highest(const struct log_levels *levels)
{
    int highest = levels->standard;

    for (size_t i = 0; i < levels->count; i++)
        if (levels->rules[i].level > highest)
            highest = levels->rules[i].level;
    return highest;
}
