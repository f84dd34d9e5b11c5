#include "utils/utf8.h"

size_t utf8_decode(const char *text, uint32_t *ret_character)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char first = (unsigned char)text[0];
    size_t length = first < 0x80 ? 1 : first < 0xc0 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    uint32_t character = length == 1 ? first : first & (0xffu >> (length + 1));

    if (!first || !length || first > 0xf7)
        return 0;
    for (size_t i = 1; i < length; i++) {
        unsigned char next = (unsigned char)text[i];

        if ((next & 0xc0) != 0x80) /* the text's end is none of these either */
            return 0;
        character = character << 6 | (next & 0x3f);
    }
    if (character < least[length] || character > 0x10ffff ||
        (character >= 0xd800 && character < 0xe000))
        return 0;
    *ret_character = character;
    return length;
}

size_t utf8_character(const char *text)
{
    uint32_t character;

    return utf8_decode(text, &character);
}

bool utf8_is_control(uint32_t character)
{
    return character < 0x20 || (character >= 0x7f && character < 0xa0) || character == 0x2028 ||
           character == 0x2029;
}

bool utf8_is_plain(const char *text)
{
    while (*text) {
        uint32_t character;
        size_t length = utf8_decode(text, &character);

        if (!length || utf8_is_control(character))
            return false;
        text += length;
    }
    return true;
}
