#pragma once
/*
 * config_value - the kinds of value that a configuration has: read from what people write in a
 * file, the environment or on a command line, and written so that they are read back as the same.
 *
 * What an `argument` says is not only for the manual: an INTEGER's is its range (`1..1000`), a
 * CHOICE's its words (`ignore|adopt|stop`), whose number is the value.
 */
#include "utils/attr.h"
#include "utils/err.h"
#include "utils/str.h"

#include <stddef.h>

enum config_value_kind {
    CONFIG_VALUE_TEXT,     /* char[]: UTF-8 without control characters; may be empty */
    CONFIG_VALUE_PATH,     /* char[]: the same; empty: none */
    CONFIG_VALUE_LIST,     /* char[]: texts, none empty, with commas between; empty: none */
    CONFIG_VALUE_JSON,     /* char[]: a JSON object in one line; empty (`null`): none */
    CONFIG_VALUE_SIZE,     /* uint64_t: bytes */
    CONFIG_VALUE_MEMORY,   /* struct parse_size: bytes, or a part of the card */
    CONFIG_VALUE_DURATION, /* uint64_t: nanoseconds; `90`, `1.5s`, `1h 30m`, `500ms` */
    CONFIG_VALUE_BOOLEAN,  /* bool: true|on|yes|1, false|off|no|0 */
    CONFIG_VALUE_PERCENT,  /* uint32_t: thousandths of a percent, 1..100000 */
    CONFIG_VALUE_INTEGER,  /* uint32_t */
    CONFIG_VALUE_CHOICE,   /* int */
};

struct config_value_type {
    enum config_value_kind kind;
    size_t size;          /* of the member that holds it, in bytes */
    const char *argument; /* as in the manual */
};

/* -EINVAL, -ERANGE or -ENAMETOOLONG with words; `ret_value` is what the kind says. */
int config_value_read(const struct config_value_type *type, const char *text, void *ret_value,
                      struct err *err) MUST_CHECK;

/* As YAML in one line, which config_value_read() (for a LIST: a sequence of it) reads back. */
void config_value_write(struct str *str, const struct config_value_type *type, const void *value);

/* Whether two values are the same. */
bool config_value_equals(const struct config_value_type *type, const void *a, const void *b);
