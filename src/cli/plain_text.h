#pragma once
/*
 * plain_text - text of anybody's making (a process's name), made safe to be shown: only characters
 * whose width every terminal agrees on, and none that moves the cursor, colours, combines with its
 * neighbour or turns the reading direction. What is left out becomes '?'.
 */
#include <stddef.h>
#include <stdint.h>

#define PLAIN_TEXT_BYTES_MAX 4 /* of one character */

/*
 * Takes one character off a NUL-terminated UTF-8 text and returns its code point, 0 at the end
 * (where nothing is taken). *ret_width is the number of columns that it takes: 1 or 2.
 */
uint32_t plain_text_next(const char **text, int *ret_width);

/* Writes the character's UTF-8 (without a NUL) and returns its length. */
size_t plain_text_encode(uint32_t code_point, char ret_bytes[PLAIN_TEXT_BYTES_MAX]);

/* Copies as much as fits whole, and ends it with NUL. */
void plain_text_copy(char *ret_text, size_t size, const char *text);
