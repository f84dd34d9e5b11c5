#include "hypervisor/config_value.h"

#include "hypervisor/config_duration.h"
#include "utils/parse.h"
#include "utils/utf8.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define RANGE_PART_SIZE 24

static int read_text(const struct config_value_type *type, const char *text, char *ret_text,
                     struct err *err)
{
    if (!utf8_is_plain(text))
        return err_say(err, EINVAL,
                       "the value is no text: it has control characters, or is no UTF-8");
    if (strlen(text) >= type->size)
        return err_say(err, ENAMETOOLONG, "the value is longer than %zu bytes", type->size - 1);
    memcpy(ret_text, text, strlen(text) + 1);
    return 0;
}

/* As a sequence of the file has no empty part, its text has none: what is printed can be read. */
static int read_list(const struct config_value_type *type, const char *text, char *ret_text,
                     struct err *err)
{
    size_t length = strlen(text);

    if (length && (text[0] == ',' || text[length - 1] == ',' || strstr(text, ",,")))
        return err_say(err, EINVAL, "the list has an empty part");
    return read_text(type, text, ret_text, err);
}

static int read_json(const struct config_value_type *type, const char *text, char *ret_text,
                     struct err *err)
{
    json_error_t error;
    json_t *root;
    char *line;
    int rc = 0;

    if (!*text || str_equals(text, "null")) {
        *ret_text = '\0';
        return 0;
    }
    root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        return err_say(err, EINVAL, "not JSON: %s, column %d", error.text, error.column);
    line = json_is_object(root) ? json_dumps(root, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
    if (!json_is_object(root))
        rc = err_say(err, EINVAL, "not a JSON object");
    else if (!line)
        rc = err_set(err, ENOMEM, "read JSON");
    else
        rc = read_text(type, line, ret_text, err);
    free(line);
    json_decref(root);
    return rc;
}

static int read_bytes(const char *text, uint64_t *ret_bytes, struct err *err)
{
    struct parse_size size;
    int rc = parse_size(&size, text, err);

    if (rc < 0)
        return rc;
    if (size.milli_percent)
        return err_say(err, EINVAL, "'%s' is not a size such as '8GiB', '512MiB' or '8GB'", text);
    *ret_bytes = size.bytes;
    return 0;
}

static int read_boolean(const char *text, bool *ret_value, struct err *err)
{
    static const char *const words[][2] = {
        {"false", "true"}, {"off", "on"}, {"no", "yes"}, {"0", "1"}};

    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        for (int value = 0; value < 2; value++)
            if (strcasecmp(text, words[i][value]) == 0) {
                *ret_value = value;
                return 0;
            }
    return err_say(err, EINVAL, "'%s' is neither true nor false", text);
}

/* The range is the argument: `1..1000`. */
static int read_integer(const struct config_value_type *type, const char *text, uint32_t *ret_value,
                        struct err *err)
{
    const char *dots = strstr(type->argument, "..");
    uint64_t min = 0, max = UINT32_MAX, value;
    char first[RANGE_PART_SIZE];
    int rc = 0;

    if (dots) {
        (void)str_format(first, sizeof(first), "%.*s", (int)(dots - type->argument),
                         type->argument); /* rows of tables are short */
        rc = parse_u64(&min, first, 0, UINT32_MAX, err);
        if (!rc)
            rc = parse_u64(&max, dots + 2, min, UINT32_MAX, err);
    }
    if (!rc)
        rc = parse_u64(&value, text, min, max, err);
    if (!rc)
        *ret_value = (uint32_t)value;
    return rc;
}

static int read_choice(const struct config_value_type *type, const char *text, int *ret_value,
                       struct err *err)
{
    const char *word = type->argument;

    for (int i = 0;; i++) {
        size_t length = strcspn(word, "|");

        if (strlen(text) == length && strncasecmp(text, word, length) == 0) {
            *ret_value = i;
            return 0;
        }
        if (!word[length])
            return err_say(err, EINVAL, "'%s' is none of %s", text, type->argument);
        word += length + 1;
    }
}

int config_value_read(const struct config_value_type *type, const char *text, void *ret_value,
                      struct err *err)
{
    switch (type->kind) {
    case CONFIG_VALUE_JSON:
        return read_json(type, text, ret_value, err);
    case CONFIG_VALUE_SIZE:
        return read_bytes(text, ret_value, err);
    case CONFIG_VALUE_MEMORY:
        return parse_size(ret_value, text, err);
    case CONFIG_VALUE_DURATION:
        return config_duration_read(ret_value, text, err);
    case CONFIG_VALUE_BOOLEAN:
        return read_boolean(text, ret_value, err);
    case CONFIG_VALUE_PERCENT:
        return parse_percent(ret_value, text, err);
    case CONFIG_VALUE_INTEGER:
        return read_integer(type, text, ret_value, err);
    case CONFIG_VALUE_CHOICE:
        return read_choice(type, text, ret_value, err);
    case CONFIG_VALUE_LIST:
        return read_list(type, text, ret_value, err);
    case CONFIG_VALUE_TEXT:
    case CONFIG_VALUE_PATH:
        break;
    }
    return read_text(type, text, ret_value, err);
}

/* --- writing --- */

/* `text` is plain (utf8_is_plain()): only what ends the quotes needs care. */
static void write_quoted(struct str *str, const char *text, size_t length)
{
    str_add(str, "\"");
    for (size_t i = 0; i < length; i++)
        str_add(str, text[i] == '"' || text[i] == '\\' ? "\\%c" : "%c", text[i]);
    str_add(str, "\"");
}

static void write_list(struct str *str, const char *text)
{
    str_add(str, "[");
    while (*text) {
        size_t length = strcspn(text, ",");

        write_quoted(str, text, length);
        text += length + (text[length] == ',');
        if (*text)
            str_add(str, ", ");
    }
    str_add(str, "]");
}

static void write_bytes(struct str *str, uint64_t bytes)
{
    static const char *const units[] = {"", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;

    for (; unit + 1 < ARRAY_LENGTH(units) && bytes && bytes % 1024 == 0; unit++)
        bytes /= 1024;
    str_add(str, "%llu%s", (unsigned long long)bytes, units[unit]);
}

static void write_percent(struct str *str, uint32_t milli_percent)
{
    uint32_t fraction = milli_percent % 1000;
    int digits = 3;

    str_add(str, "%u", milli_percent / 1000);
    for (; fraction && fraction % 10 == 0; digits--)
        fraction /= 10;
    if (fraction)
        str_add(str, ".%0*u", digits, fraction);
    str_add(str, "%%");
}

static void write_memory(struct str *str, const struct parse_size *size)
{
    if (size->milli_percent)
        write_percent(str, size->milli_percent);
    else
        write_bytes(str, size->bytes);
}

static void write_choice(struct str *str, const char *words, int value)
{
    for (; value; value--)
        words += strcspn(words, "|") + 1;
    str_add(str, "\"%.*s\"", (int)strcspn(words, "|"), words);
}

void config_value_write(struct str *str, const struct config_value_type *type, const void *value)
{
    switch (type->kind) {
    case CONFIG_VALUE_TEXT:
    case CONFIG_VALUE_PATH:
    case CONFIG_VALUE_JSON:
        write_quoted(str, value, strlen(value));
        break;
    case CONFIG_VALUE_LIST:
        write_list(str, value);
        break;
    case CONFIG_VALUE_SIZE:
        write_bytes(str, *(const uint64_t *)value);
        break;
    case CONFIG_VALUE_MEMORY:
        write_memory(str, value);
        break;
    case CONFIG_VALUE_DURATION:
        config_duration_write(str, *(const uint64_t *)value);
        break;
    case CONFIG_VALUE_BOOLEAN:
        str_add(str, "%s", *(const bool *)value ? "true" : "false");
        break;
    case CONFIG_VALUE_PERCENT:
        write_percent(str, *(const uint32_t *)value);
        break;
    case CONFIG_VALUE_INTEGER:
        str_add(str, "%u", *(const uint32_t *)value);
        break;
    case CONFIG_VALUE_CHOICE:
        write_choice(str, type->argument, *(const int *)value);
        break;
    }
}

bool config_value_equals(const struct config_value_type *type, const void *a, const void *b)
{
    if (type->kind <= CONFIG_VALUE_JSON)
        return str_equals(a, b);
    if (type->kind == CONFIG_VALUE_MEMORY) {
        const struct parse_size *one = a, *other = b;

        return one->bytes == other->bytes && one->milli_percent == other->milli_percent;
    }
    return memcmp(a, b, type->size) == 0; /* numbers without holes */
}
