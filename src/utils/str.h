#pragma once
/*
 * str - builds a string in a caller's buffer; never overruns it, always ends it with NUL, and
 * remembers whether something was cut. Its formatter is its own, so that the preload libraries need
 * no stdio: %s %.*s %c %d %i %u %x %X %p %% with l, ll, z, width, 0 and - flags; %f with precision
 * is for programs only (not built into the guest variant).
 */
#include "utils/attr.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct str {
    char *text;    /* borrowed; NUL-terminated */
    size_t size;   /* of the buffer, in bytes */
    size_t length; /* without the NUL */
    bool is_cut;   /* something did not fit */
};

void str_init(struct str *str, char *buffer, size_t size);
void str_add(struct str *str, const char *format, ...) PRINTF_LIKE(2, 3);
void str_add_list(struct str *str, const char *format, va_list args);

/* str_init() and str_add() in one; returns false if something was cut. */
bool str_format(char *buffer, size_t size, const char *format, ...) PRINTF_LIKE(3, 4);

bool str_equals(const char *a, const char *b);
bool str_starts_with(const char *text, const char *prefix);
