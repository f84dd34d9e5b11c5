#pragma once
/*
 * rfc3339 - instants as JSON has them: `2026-01-31T23:59:59.123Z`.
 */
#include <stdint.h>

#define RFC3339_SIZE 32 /* with its NUL */

/* Milliseconds since 1970; what is after the year 9999 becomes its last instant. */
void rfc3339_format(char ret_text[RFC3339_SIZE], uint64_t unix_ms);
