#pragma once
/*
 * utf8 - taking text of anybody's apart into characters, and telling those that a terminal or a
 * parser would act on from those that are only shown.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What stands for a byte that is not part of any character: U+FFFD. */
#define UTF8_REPLACEMENT "\xef\xbf\xbd"

/*
 * The length in bytes (1 to 4) of the well-formed character that a NUL-terminated text begins with,
 * and the character itself; 0 for bytes that are no UTF-8 (overlong forms, surrogates and what lies
 * above U+10FFFF are none), and at the text's end.
 */
size_t utf8_decode(const char *text, uint32_t *ret_character);

/* Its length alone. */
size_t utf8_character(const char *text);

/* Control characters, those of Unicode's second block too, and U+2028, U+2029, that end lines. */
bool utf8_is_control(uint32_t character);

/* Well-formed throughout, and without control characters. */
bool utf8_is_plain(const char *text);
