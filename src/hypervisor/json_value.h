#pragma once
/*
 * json_value - the values of our JSON: what is not known is null, percents have three decimals at
 * most, and text from elsewhere (a program's name, words of a request) is made UTF-8.
 */
#include <jansson.h>

#include <stdbool.h>
#include <stdint.h>

/* All return a new reference; NULL: no memory. */

/* SNAPSHOT_UNKNOWN and REGION_NO_LIMIT (both the greatest number) are null. */
json_t *json_value_count(uint64_t count);

/* Thousandths as a number; the greatest number is null. */
json_t *json_value_thousandths(uint64_t thousandths);

/* Bytes that are no UTF-8 become `?`. */
json_t *json_value_text(const char *text);

/* Empty text is null. */
json_t *json_value_text_or_null(const char *text);

/* Numbers with at most three decimals, no spaces; the caller frees it. NULL: no memory. */
char *json_value_write(const json_t *value);
