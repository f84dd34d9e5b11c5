#pragma once
/*
 * roff - text in man pages, for the programs that make them while vgpu is built.
 */
#include <stdio.h>

/* The text as it is: a hyphen that is typed must not become a typographic one. */
void roff_print(FILE *file, const char *text);

/* `before`, which is roff, then the text as it is and the line's end. */
void roff_line(FILE *file, const char *before, const char *text);
