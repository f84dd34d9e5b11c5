#include "sim/ptx.h"

#include "utils/err.h"
#include "utils/str.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define CONTRACT     "//! sim"
#define CONTRACT_MAX 512
#define PS_PER_NS    UINT64_C(1000)
#define FACTOR_MAX   UINT64_C(1000000000000)

/* Where the reader stands, and the contract that it has last met outside an entry's body. */
struct reader {
    const char *at;
    char contract[CONTRACT_MAX];
    struct err *err;
};

static void keep_contract(struct reader *reader, const char *line, size_t length)
{
    size_t skip = sizeof(CONTRACT) - 1;

    if (length < skip || strncmp(line, CONTRACT, skip) != 0)
        return;
    (void)str_format(reader->contract, sizeof(reader->contract), "%.*s", (int)(length - skip),
                     line + skip); /* a line too long is found out when it is read */
}

/* Comments are blanks but for a contract, which is kept. */
static void skip_blanks(struct reader *reader)
{
    for (;;) {
        const char *at = reader->at;

        if (isspace((unsigned char)*at)) {
            reader->at++;
        } else if (str_starts_with(at, "//")) {
            size_t length = strcspn(at, "\n");

            keep_contract(reader, at, length);
            reader->at += length;
        } else if (str_starts_with(at, "/*")) {
            const char *end = strstr(at + 2, "*/");

            reader->at = end ? end + 2 : at + strlen(at);
        } else {
            return;
        }
    }
}

static bool is_word_part(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$' || c == '%' || c == '.';
}

/* A word, or one other character, or nothing at the end; NULL where it is too long. */
static const char *next_token(struct reader *reader, char token[PTX_NAME_MAX])
{
    size_t length = 0;

    skip_blanks(reader);
    while (is_word_part(reader->at[length]))
        length++;
    if (length == 0 && *reader->at)
        length = 1;
    if (length >= PTX_NAME_MAX)
        return NULL;
    memcpy(token, reader->at, length);
    token[length] = '\0';
    reader->at += length;
    return token;
}

/* The bytes of a type, 0 for what is none. */
static uint32_t type_bytes(const char *token)
{
    static const struct {
        const char *name;
        uint32_t bytes;
    } types[] = {
        {".u8", 1},  {".s8", 1},  {".b8", 1},  {".u16", 2},   {".s16", 2}, {".b16", 2},
        {".f16", 2}, {".u32", 4}, {".s32", 4}, {".b32", 4},   {".f32", 4}, {".u64", 8},
        {".s64", 8}, {".b64", 8}, {".f64", 8}, {".b128", 16},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        if (str_equals(types[i].name, token))
            return types[i].bytes;
    }
    return 0;
}

static uint32_t to_number(const char *token)
{
    uint32_t number = 0;

    for (; isdigit((unsigned char)*token) && number < UINT32_MAX / 16; token++)
        number = number * 10 + (uint32_t)(*token - '0');
    return number;
}

static int add_parameter(struct reader *reader, struct ptx_entry *entry,
                         struct ptx_parameter *parameter, uint32_t alignment)
{
    const struct ptx_parameter *before;
    uint32_t end = 0;

    if (entry->parameter_count == PTX_PARAMETERS_MAX)
        return err_say(reader->err, EINVAL, "entry '%s' has too many parameters", entry->name);
    if (parameter->bytes == 0 || !parameter->name[0] || alignment == 0)
        return err_say(reader->err, EINVAL, "a parameter of entry '%s' is not understood",
                       entry->name);
    if (entry->parameter_count > 0) {
        before = &entry->parameters[entry->parameter_count - 1];
        end = before->offset + before->bytes;
    }
    parameter->offset = (end + alignment - 1) / alignment * alignment;
    entry->parameters[entry->parameter_count++] = *parameter;
    return 0;
}

/*
 * One parameter up to the comma or parenthesis behind it, as in
 * `.param .u64 .ptr .global .align 8 name` or `.param .align 4 .b8 name[12]`.
 */
static int read_parameter(struct reader *reader, struct ptx_entry *entry, char end[PTX_NAME_MAX])
{
    struct ptx_parameter parameter = {0};
    uint32_t alignment = 0, count = 1;
    bool is_pointer = false;
    char token[PTX_NAME_MAX];

    while (next_token(reader, token) && *token && *token != ',' && *token != ')') {
        uint32_t bytes = type_bytes(token);

        if (bytes > 0) {
            parameter.bytes = bytes;
        } else if (str_equals(token, ".align") && next_token(reader, token)) {
            /* Behind .ptr it is what the pointer points to that is aligned. */
            alignment = is_pointer ? alignment : to_number(token);
        } else if (*token == '[' && next_token(reader, token)) {
            count = to_number(token);
        } else if (*token == '.') {
            is_pointer = is_pointer || str_equals(token, ".ptr");
        } else if (*token != ']') {
            memcpy(parameter.name, token, sizeof(token));
        }
    }
    memcpy(end, token, sizeof(token));
    if (alignment == 0)
        alignment = parameter.bytes;
    parameter.bytes *= count;
    return add_parameter(reader, entry, &parameter, alignment);
}

static int read_parameters(struct reader *reader, struct ptx_entry *entry)
{
    char token[PTX_NAME_MAX] = {0};

    skip_blanks(reader);
    if (*reader->at != '(')
        return 0;
    reader->at++;
    skip_blanks(reader);
    if (*reader->at == ')') {
        reader->at++;
        return 0;
    }
    do {
        int rc = read_parameter(reader, entry, token);

        if (rc < 0)
            return rc;
    } while (*token == ',');
    return 0;
}

/* --- the contract ----------------------------------------------------------------------------- */

static int find_parameter(const struct ptx_entry *entry, const char *name)
{
    for (uint32_t i = 0; i < entry->parameter_count; i++) {
        if (str_equals(entry->parameters[i].name, name))
            return (int)i;
    }
    return PTX_NONE;
}

/* A decimal number of nanoseconds, in picoseconds; false for anything else. */
static bool parse_factor(const char *text, uint64_t *ret_ps)
{
    uint64_t ps = 0, digit_ps = PS_PER_NS;
    bool is_fraction = false;

    if (!isdigit((unsigned char)*text))
        return false;
    for (; *text; text++) {
        if (*text == '.' && !is_fraction) {
            is_fraction = true;
            continue;
        }
        if (!isdigit((unsigned char)*text) || ps > FACTOR_MAX)
            return false;
        digit_ps = is_fraction ? digit_ps / 10 : digit_ps;
        ps = is_fraction ? ps + (uint64_t)(*text - '0') * digit_ps
                         : ps * 10 + (uint64_t)(*text - '0') * PS_PER_NS;
    }
    *ret_ps = ps;
    return true;
}

static int read_duration_factor(struct reader *line, struct ptx_entry *entry)
{
    char token[PTX_NAME_MAX];

    entry->unit_ps = PS_PER_NS;
    skip_blanks(line);
    if (*line->at != '*')
        return 0;
    line->at++;
    if (!next_token(line, token) || !parse_factor(token, &entry->unit_ps))
        return err_say(line->err, EINVAL, "'%s' is no number of nanoseconds", token);
    return 0;
}

static int read_contract_part(struct reader *line, struct ptx_entry *entry, const char *key)
{
    char name[PTX_NAME_MAX];
    int index;

    if (!next_token(line, name) || *name != '=' || !next_token(line, name))
        return err_say(line->err, EINVAL, "the contract of '%s' lacks '%s='", entry->name, key);
    index = find_parameter(entry, name);
    if (index == PTX_NONE)
        return err_say(line->err, EINVAL, "entry '%s' has no parameter '%s'", entry->name, name);
    if (str_equals(key, "progress"))
        entry->progress = index;
    else if (str_equals(key, "clock"))
        entry->clock = index;
    else if (str_equals(key, "duration_ns"))
        entry->duration = index;
    else
        return err_say(line->err, EINVAL, "the simulator knows no '%s='", key);
    return str_equals(key, "duration_ns") ? read_duration_factor(line, entry) : 0;
}

static int read_contract(struct reader *reader, struct ptx_entry *entry)
{
    struct reader line = {.at = reader->contract, .err = reader->err};
    char key[PTX_NAME_MAX];
    int rc = 0;

    while (rc == 0 && next_token(&line, key) && *key)
        rc = read_contract_part(&line, entry, key);
    reader->contract[0] = '\0';
    return rc;
}

/* --- entries ---------------------------------------------------------------------------------- */

/* Strings do not occur in bodies but in debug sections, where braces come in pairs all the same. */
static int skip_body(struct reader *reader, const struct ptx_entry *entry)
{
    int depth = 0;

    do {
        skip_blanks(reader);
        if (!*reader->at)
            return err_say(reader->err, EINVAL, "entry '%s' has no end", entry->name);
        depth += *reader->at == '{';
        depth -= *reader->at == '}';
        reader->at++;
        /* Directives such as .maxntid come between the parameters and the body. */
    } while (depth > 0 || (reader->at[-1] != '}' && reader->at[-1] != ';'));
    return 0;
}

static int read_entry(struct reader *reader, struct ptx_entry **ret_entry)
{
    struct ptx_entry *entry = calloc(1, sizeof(*entry));
    int rc;

    if (!entry)
        return err_set(reader->err, ENOMEM, "allocate an entry");
    entry->duration = entry->progress = entry->clock = PTX_NONE;
    if (!next_token(reader, entry->name) || !entry->name[0])
        rc = err_say(reader->err, EINVAL, "an entry has no name");
    else
        rc = read_parameters(reader, entry);
    if (rc == 0)
        rc = skip_body(reader, entry);
    if (rc == 0)
        rc = read_contract(reader, entry);
    if (rc < 0) {
        free(entry);
        return rc;
    }
    *ret_entry = entry;
    return 0;
}

static int read_entries(struct reader *reader, struct ptx_entry **ret_entries)
{
    struct ptx_entry **last = ret_entries;
    char token[PTX_NAME_MAX];
    bool is_ptx = false;

    for (;;) {
        int rc;

        if (!next_token(reader, token))
            return err_say(reader->err, EINVAL, "a word is too long for PTX");
        if (!*token)
            return is_ptx ? 0 : err_say(reader->err, EINVAL, "this is no PTX text");
        is_ptx = is_ptx || str_equals(token, ".version");
        if (!str_equals(token, ".entry"))
            continue;
        rc = read_entry(reader, last);
        if (rc < 0)
            return rc;
        last = &(*last)->next;
    }
}

int ptx_parse(struct ptx_entry **ret_entries, const char *text, struct err *err)
{
    struct reader reader = {.at = text, .err = err};
    struct ptx_entry *entries = NULL;
    int rc = read_entries(&reader, &entries);

    if (rc < 0) {
        ptx_free(entries);
        return rc;
    }
    *ret_entries = entries;
    return 0;
}

void ptx_free(struct ptx_entry *entries)
{
    while (entries) {
        struct ptx_entry *next = entries->next;

        free(entries);
        entries = next;
    }
}
