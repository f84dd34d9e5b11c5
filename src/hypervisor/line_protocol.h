#pragma once
/*
 * line_protocol - one measurement as a line: InfluxDB's line protocol, or a JSON object. What
 * existing collectors read: tags and fields sorted by name, whole numbers marked `i` or `u`,
 * `_empty=true` where there is no field, time in unix MILLIseconds (InfluxDB's own default is
 * nanoseconds: the collector has to be told).
 *
 *     tf_gpu_usage,node=a,pool=b,uuid=gpu-0 memory_bytes=1024u,temperature=61.5 1700000000000
 *     {"measure":"tf_gpu_usage","ts":1700000000000,"tag":{...},"field":{...}}
 *
 * Any bytes in names and values come out as valid UTF-8. Line protocol has no way to write some
 * things in a tag: control characters become blanks there and `\` becomes `/`; a tag with an empty
 * value, which it does not have either, is left out.
 */
#include "utils/attr.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define LINE_PROTOCOL_TAGS_MAX   24
#define LINE_PROTOCOL_FIELDS_MAX 16

enum line_protocol_format { LINE_PROTOCOL_INFLUX, LINE_PROTOCOL_JSON };

enum line_protocol_kind {
    LINE_PROTOCOL_FLOAT,
    LINE_PROTOCOL_INTEGER,  /* signed: `i` */
    LINE_PROTOCOL_UNSIGNED, /* `u` */
};

struct line_protocol_tag {
    const char *name, *value;
};

struct line_protocol_field {
    const char *name;
    enum line_protocol_kind kind;
    union {
        double number;
        int64_t integer;
        uint64_t count;
    };
};

/* A line before it is written. All texts are borrowed until then. */
struct line_protocol {
    const char *measurement;
    uint64_t unix_ms;
    struct line_protocol_tag tags[LINE_PROTOCOL_TAGS_MAX]; /* sorted */
    size_t tag_count;
    struct line_protocol_field fields[LINE_PROTOCOL_FIELDS_MAX]; /* sorted */
    size_t field_count;
};

void line_protocol_init(struct line_protocol *line, const char *measurement, uint64_t unix_ms);

/* More than there is room for is a mistake of ours (an assertion). */
void line_protocol_tag(struct line_protocol *line, const char *name, const char *value);
void line_protocol_float(struct line_protocol *line, const char *name, double value);
void line_protocol_integer(struct line_protocol *line, const char *name, int64_t value);
void line_protocol_unsigned(struct line_protocol *line, const char *name, uint64_t value);

/*
 * Writes the line and a newline. A float has up to six decimals; one that is no number (infinite,
 * NaN) is left out. The program's LC_NUMERIC is "C".
 */
void line_protocol_print(const struct line_protocol *line, enum line_protocol_format format,
                         FILE *file);
