#include "cli/plain_text.h"

#include "utils/attr.h"

#include <stdbool.h>
#include <string.h>

#define REPLACEMENT '?'

struct range {
    uint32_t first, last;
    int width;
};

/* Letters of scripts that are written from left to right without joining, and CJK. */
static const struct range shown[] = {
    {0x20, 0x7e, 1},       {0xa1, 0xac, 1},     {0xae, 0x2ff, 1},    {0x370, 0x482, 1},
    {0x48a, 0x52f, 1},     {0x531, 0x556, 1},   {0x561, 0x587, 1},   {0x1e00, 0x1fff, 1},
    {0x2010, 0x2015, 1},   {0x2018, 0x201f, 1}, {0x2020, 0x2022, 1}, {0x2026, 0x2026, 1},
    {0x2500, 0x259f, 1},   {0x2800, 0x28ff, 1}, {0x3001, 0x3029, 2}, {0x3041, 0x3096, 2},
    {0x30a0, 0x30ff, 2},   {0x3400, 0x4dbf, 2}, {0x4e00, 0x9fff, 2}, {0xac00, 0xd7a3, 2},
    {0xf900, 0xfaff, 2},   {0xff01, 0xff60, 2}, {0xffe0, 0xffe6, 2}, {0x20000, 0x2fffd, 2},
    {0x30000, 0x3fffd, 2},
};

/* Strict: no overlong forms, surrogates or what lies beyond U+10FFFF. Returns bytes taken, or 0. */
static size_t decode(const unsigned char *bytes, uint32_t *ret_code_point)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = bytes[0] < 0x80             ? 1
                    : (bytes[0] & 0xe0) == 0xc0 ? 2
                    : (bytes[0] & 0xf0) == 0xe0 ? 3
                    : (bytes[0] & 0xf8) == 0xf0 ? 4
                                                : 0;
    uint32_t value = length == 1 ? bytes[0] : bytes[0] & (0x7fu >> length);

    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (bytes[i] & 0x3fu);
    }
    if (!length || value < least[length] || (value >= 0xd800 && value <= 0xdfff) ||
        value > 0x10ffff)
        return 0;
    *ret_code_point = value;
    return length;
}

uint32_t plain_text_next(const char **text, int *ret_width)
{
    unsigned char bytes[PLAIN_TEXT_BYTES_MAX + 1] = {0};
    uint32_t code_point;
    size_t length;

    memcpy(bytes, *text, strnlen(*text, PLAIN_TEXT_BYTES_MAX));
    *ret_width = 1;
    if (!bytes[0])
        return 0;
    length = decode(bytes, &code_point);
    *text += length ? length : 1;
    for (size_t i = 0; length && i < ARRAY_LENGTH(shown); i++)
        if (code_point >= shown[i].first && code_point <= shown[i].last) {
            *ret_width = shown[i].width;
            return code_point;
        }
    return REPLACEMENT;
}

size_t plain_text_encode(uint32_t code_point, char ret_bytes[PLAIN_TEXT_BYTES_MAX])
{
    size_t length = code_point < 0x80 ? 1 : code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;

    for (size_t i = length - 1; i > 0; i--, code_point >>= 6)
        ret_bytes[i] = (char)(0x80u | (code_point & 0x3fu));
    ret_bytes[0] = (char)(length == 1 ? code_point : (0xf00u >> length & 0xf0u) | code_point);
    return length;
}

void plain_text_copy(char *ret_text, size_t size, const char *text)
{
    size_t length = 0;
    uint32_t code_point;
    int width;

    while ((code_point = plain_text_next(&text, &width)) != 0) {
        char bytes[PLAIN_TEXT_BYTES_MAX];
        size_t more = plain_text_encode(code_point, bytes);

        if (length + more >= size)
            break;
        memcpy(ret_text + length, bytes, more);
        length += more;
    }
    if (size)
        ret_text[length] = '\0';
}
