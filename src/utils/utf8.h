#pragma once
/*
 * utf8 - whether bytes are text. Names of processes are any bytes that somebody chose; JSON and
 * metrics carry UTF-8 alone, and one wrong byte makes a reader refuse the whole of it.
 */
#include <stddef.h>

/* What stands for a byte that is not part of any character: U+FFFD. */
#define UTF8_REPLACEMENT "\xef\xbf\xbd"

/*
 * How many bytes the character has that begins at `text` (NUL-terminated): 1 to 4; 0 at the end,
 * and where no character begins: a stray or missing continuation, a form longer than needed, a
 * surrogate, or above U+10FFFF.
 */
size_t utf8_character(const char *text);
