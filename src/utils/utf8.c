#include "utils/utf8.h"

#include <stdint.h>

size_t utf8_character(const char *text)
{
    static const uint32_t least[] = {0, 0x01, 0x80, 0x800, 0x10000}; /* by the number of bytes */
    unsigned char first = (unsigned char)text[0];
    size_t length = first < 0x80 ? 1 : first >> 5 == 6 ? 2 : first >> 4 == 14 ? 3 : 4;
    uint32_t point = length == 1 ? first : first & (0x7fu >> length);

    if (first >= 0xf8 || first >> 6 == 2)
        return 0;
    for (size_t i = 1; i < length; i++) {
        /* The NUL at the end is no continuation: nothing is read beyond it. */
        if ((unsigned char)text[i] >> 6 != 2)
            return 0;
        point = point << 6 | ((unsigned char)text[i] & 0x3fu);
    }
    if (point < least[length] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
        return 0;
    return length;
}
