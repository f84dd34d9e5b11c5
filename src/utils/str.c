#include "utils/str.h"

#include <limits.h>
#include <stdint.h>
#include <string.h>

/* One conversion of a format, taken apart. */
struct conversion {
    char kind;
    char length; /* 0, 'l', 'L' for ll, 'z' */
    bool is_left, is_zero;
    unsigned int width;
    int precision; /* -1: none given */
};

void str_init(struct str *str, char *buffer, size_t size)
{
    *str = (struct str){.text = buffer, .size = size};
    if (size)
        buffer[0] = '\0';
}

static void add_char(struct str *str, char c)
{
    if (str->length + 1 >= str->size) {
        str->is_cut = true;
        return;
    }
    str->text[str->length++] = c;
    str->text[str->length] = '\0';
}

static void add_padded(struct str *str, const struct conversion *conversion, const char *text,
                       size_t length)
{
    size_t padding = conversion->width > length ? conversion->width - length : 0;
    bool is_zero = conversion->is_zero && !conversion->is_left;

    if (is_zero && length && text[0] == '-') {
        add_char(str, '-');
        text++;
        length--;
    }
    for (; !conversion->is_left && padding; padding--)
        add_char(str, is_zero ? '0' : ' ');
    for (size_t i = 0; i < length; i++)
        add_char(str, text[i]);
    for (; padding; padding--)
        add_char(str, ' ');
}

/* Writes the digits backwards from `end`; returns their begin. */
static char *write_digits(char *end, uint64_t value, unsigned int base)
{
    do {
        *--end = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    return end;
}

static uint64_t read_unsigned(char length, va_list *args)
{
    switch (length) {
    case 'l':
        return va_arg(*args, unsigned long);
    case 'L':
        return va_arg(*args, unsigned long long);
    case 'z':
        return va_arg(*args, size_t);
    default:
        return va_arg(*args, unsigned int);
    }
}

static int64_t read_signed(char length, va_list *args)
{
    switch (length) {
    case 'l':
        return va_arg(*args, long);
    case 'L':
        return va_arg(*args, long long);
    case 'z':
        return (int64_t)va_arg(*args, size_t);
    default:
        return va_arg(*args, int);
    }
}

static void add_number(struct str *str, const struct conversion *conversion, va_list *args)
{
    char digits[32], *end = digits + sizeof(digits), *begin;

    if (conversion->kind == 'd' || conversion->kind == 'i') {
        int64_t value = read_signed(conversion->length, args);

        begin = write_digits(end, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10);
        if (value < 0)
            *--begin = '-';
    } else if (conversion->kind == 'p') {
        begin = write_digits(end, (uintptr_t)va_arg(*args, void *), 16);
        *--begin = 'x';
        *--begin = '0';
    } else {
        begin = write_digits(end, read_unsigned(conversion->length, args),
                             conversion->kind == 'x' || conversion->kind == 'X' ? 16 : 10);
        for (char *digit = begin; conversion->kind == 'X' && digit < end; digit++)
            *digit = *digit >= 'a' ? (char)(*digit - 'a' + 'A') : *digit;
    }
    add_padded(str, conversion, begin, (size_t)(end - begin));
}

static void add_text(struct str *str, const struct conversion *conversion, const char *text)
{
    size_t most = conversion->precision < 0 ? SIZE_MAX : (size_t)conversion->precision, length = 0;

    if (!text)
        text = "(null)";
    while (length < most && text[length])
        length++;
    add_padded(str, conversion, text, length);
}

/* Fixed point, for people: correct to the last shown digit for what fits 64 bits when scaled. */
static void add_fixed(struct str *str, const struct conversion *conversion, double value)
{
    int precision = conversion->precision < 0   ? 6
                    : conversion->precision > 9 ? 9
                                                : conversion->precision;
    char text[48], *end = text + sizeof(text), *begin = end;
    bool is_negative = value < 0;
    uint64_t scale = 1, scaled;

    for (int i = 0; i < precision; i++)
        scale *= 10;
    if (is_negative)
        value = -value;
    if (!(value * (double)scale < 1e19)) {
        add_padded(str, conversion, value == value ? "inf" : "nan", 3);
        return;
    }
    scaled = (uint64_t)(value * (double)scale + 0.5);
    for (int i = 0; i < precision; i++, scaled /= 10)
        *--begin = (char)('0' + scaled % 10);
    if (precision)
        *--begin = '.';
    begin = write_digits(begin, scaled, 10);
    if (is_negative)
        *--begin = '-';
    add_padded(str, conversion, begin, (size_t)(end - begin));
}

static const char *parse_number(const char *format, unsigned int *ret_value)
{
    unsigned int value = 0;

    for (; *format >= '0' && *format <= '9'; format++)
        if (value < INT_MAX / 16)
            value = value * 10 + (unsigned int)(*format - '0');
    *ret_value = value;
    return format;
}

static const char *parse_precision(const char *format, struct conversion *conversion, va_list *args)
{
    unsigned int value;

    if (*format != '.')
        return format;
    if (format[1] == '*') {
        conversion->precision = va_arg(*args, int);
        return format + 2;
    }
    format = parse_number(format + 1, &value);
    conversion->precision = (int)value;
    return format;
}

static const char *parse_conversion(const char *format, struct conversion *conversion,
                                    va_list *args)
{
    *conversion = (struct conversion){.precision = -1};
    for (; *format == '-' || *format == '0'; format++) {
        conversion->is_left |= *format == '-';
        conversion->is_zero |= *format == '0';
    }
    if (*format == '*') {
        int width = va_arg(*args, int);

        conversion->is_left |= width < 0;
        conversion->width = width < 0 ? 0 - (unsigned int)width : (unsigned int)width;
        format++;
    } else {
        format = parse_number(format, &conversion->width);
    }
    format = parse_precision(format, conversion, args);
    for (; *format == 'l' || *format == 'z' || *format == 'h'; format++)
        conversion->length = *format == 'l' && conversion->length == 'l' ? 'L' : *format;
    conversion->kind = *format;
    return *format ? format + 1 : format;
}

static void add_conversion(struct str *str, const struct conversion *conversion, va_list *args)
{
    switch (conversion->kind) {
    case 's':
        add_text(str, conversion, va_arg(*args, const char *));
        break;
    case 'c':
        add_char(str, (char)va_arg(*args, int));
        break;
    case 'f':
        add_fixed(str, conversion, va_arg(*args, double));
        break;
    case '%':
        add_char(str, '%');
        break;
    default:
        add_number(str, conversion, args);
        break;
    }
}

void str_add_list(struct str *str, const char *format, va_list list)
{
    va_list args;

    va_copy(args, list);
    while (*format) {
        struct conversion conversion;

        if (*format != '%') {
            add_char(str, *format++);
            continue;
        }
        format = parse_conversion(format + 1, &conversion, &args);
        add_conversion(str, &conversion, &args);
    }
    va_end(args);
}

void str_add(struct str *str, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    str_add_list(str, format, args);
    va_end(args);
}

bool str_format(char *buffer, size_t size, const char *format, ...)
{
    struct str str;
    va_list args;

    str_init(&str, buffer, size);
    va_start(args, format);
    str_add_list(&str, format, args);
    va_end(args);
    return !str.is_cut;
}

bool str_equals(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

bool str_starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}
