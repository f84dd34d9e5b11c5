#include "hypervisor/line_protocol.h"

#include "utils/utf8.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

void line_protocol_init(struct line_protocol *line, const char *measurement, uint64_t unix_ms)
{
    *line = (struct line_protocol){.measurement = measurement, .unix_ms = unix_ms};
}

void line_protocol_tag(struct line_protocol *line, const char *name, const char *value)
{
    size_t at = line->tag_count++;

    assert(at < LINE_PROTOCOL_TAGS_MAX);
    for (; at > 0 && strcmp(line->tags[at - 1].name, name) > 0; at--)
        line->tags[at] = line->tags[at - 1];
    line->tags[at] = (struct line_protocol_tag){.name = name, .value = value};
}

/* A place for a field, where the order wants it. */
static struct line_protocol_field *place(struct line_protocol *line, const char *name,
                                         enum line_protocol_kind kind)
{
    size_t at = line->field_count++;

    assert(at < LINE_PROTOCOL_FIELDS_MAX);
    for (; at > 0 && strcmp(line->fields[at - 1].name, name) > 0; at--)
        line->fields[at] = line->fields[at - 1];
    line->fields[at] = (struct line_protocol_field){.name = name, .kind = kind};
    return &line->fields[at];
}

void line_protocol_float(struct line_protocol *line, const char *name, double value)
{
    if (isfinite(value))
        place(line, name, LINE_PROTOCOL_FLOAT)->number = value;
}

void line_protocol_integer(struct line_protocol *line, const char *name, int64_t value)
{
    place(line, name, LINE_PROTOCOL_INTEGER)->integer = value;
}

void line_protocol_unsigned(struct line_protocol *line, const char *name, uint64_t value)
{
    place(line, name, LINE_PROTOCOL_UNSIGNED)->count = value;
}

/* Not in the shortest form with an exponent, which some collectors do not read. */
static void print_float(double value, FILE *file)
{
    char text[352]; /* the largest double has 309 digits */
    int length = snprintf(text, sizeof(text), "%.6f", value);

    while (length > 0 && text[length - 1] == '0')
        length--;
    if (length > 0 && text[length - 1] == '.')
        length--;
    fprintf(file, "%.*s", length, text);
}

/* --- line protocol --- */

/* `special` is what a backslash has to stand before. */
static void print_tag_text(const char *text, const char *special, FILE *file)
{
    size_t length;

    for (; *text; text += length ? length : 1) {
        char c = *text;

        length = utf8_character(text);
        if (!length) {
            fputs(UTF8_REPLACEMENT, file);
            continue;
        }
        if ((unsigned char)c < ' ' || c == 0x7f)
            c = ' ';
        if (c == '\\')
            c = '/';
        if (strchr(special, c))
            fputc('\\', file);
        fputc(c, file);
        fwrite(text + 1, 1, length - 1, file);
    }
}

static void print_influx_field(const struct line_protocol_field *field, FILE *file)
{
    print_tag_text(field->name, ",= ", file);
    fputc('=', file);
    switch (field->kind) {
    case LINE_PROTOCOL_FLOAT:
        print_float(field->number, file);
        break;
    case LINE_PROTOCOL_INTEGER:
        fprintf(file, "%" PRId64 "i", field->integer);
        break;
    case LINE_PROTOCOL_UNSIGNED:
        fprintf(file, "%" PRIu64 "u", field->count);
        break;
    }
}

static void print_influx(const struct line_protocol *line, FILE *file)
{
    print_tag_text(line->measurement, ", ", file);
    for (size_t i = 0; i < line->tag_count; i++) {
        if (!line->tags[i].value[0])
            continue;
        fputc(',', file);
        print_tag_text(line->tags[i].name, ",= ", file);
        fputc('=', file);
        print_tag_text(line->tags[i].value, ",= ", file);
    }
    for (size_t i = 0; i < line->field_count; i++) {
        fputc(i ? ',' : ' ', file);
        print_influx_field(&line->fields[i], file);
    }
    fprintf(file, "%s %" PRIu64 "\n", line->field_count ? "" : " _empty=true", line->unix_ms);
}

/* --- JSON --- */

static void print_json_text(const char *text, FILE *file)
{
    size_t length;

    fputc('"', file);
    for (; *text; text += length ? length : 1) {
        length = utf8_character(text);
        if (!length)
            fputs(UTF8_REPLACEMENT, file);
        else if (*text == '"' || *text == '\\')
            fprintf(file, "\\%c", *text);
        else if ((unsigned char)*text < ' ')
            fprintf(file, "\\u%04x", (unsigned int)*text);
        else
            fwrite(text, 1, length, file);
    }
    fputc('"', file);
}

static void print_json_field(const struct line_protocol_field *field, FILE *file)
{
    print_json_text(field->name, file);
    fputc(':', file);
    switch (field->kind) {
    case LINE_PROTOCOL_FLOAT:
        print_float(field->number, file);
        break;
    case LINE_PROTOCOL_INTEGER:
        fprintf(file, "%" PRId64, field->integer);
        break;
    case LINE_PROTOCOL_UNSIGNED:
        fprintf(file, "%" PRIu64, field->count);
        break;
    }
}

static void print_json(const struct line_protocol *line, FILE *file)
{
    fputs("{\"measure\":", file);
    print_json_text(line->measurement, file);
    fprintf(file, ",\"ts\":%" PRIu64 ",\"tag\":{", line->unix_ms);
    for (size_t i = 0; i < line->tag_count; i++) {
        fputs(i ? "," : "", file);
        print_json_text(line->tags[i].name, file);
        fputc(':', file);
        print_json_text(line->tags[i].value, file);
    }
    fputs("},\"field\":{", file);
    for (size_t i = 0; i < line->field_count; i++) {
        fputs(i ? "," : "", file);
        print_json_field(&line->fields[i], file);
    }
    fputs("}}\n", file);
}

void line_protocol_print(const struct line_protocol *line, enum line_protocol_format format,
                         FILE *file)
{
    if (format == LINE_PROTOCOL_JSON)
        print_json(line, file);
    else
        print_influx(line, file);
}
