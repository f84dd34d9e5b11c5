#pragma once
/*
 * version - the version of a library, as its ELF note says (utils/version_note.h), and which of two
 * is newer.
 */
#include "utils/attr.h"

#include <stdbool.h>

#define VERSION_TEXT_MAX 64 /* with its NUL */

/*
 * Reads the version of an open file by position; false where it has none: no 64-bit little-endian
 * ELF file, no note of ours, or a note that is not one version. The file may hold anything.
 */
bool version_read(int fd, char ret_text[VERSION_TEXT_MAX]) MUST_CHECK;

/* `1.2.3`, numbers of any length, with a `-rc1` or a `+build` behind them or without. */
bool version_is_valid(const char *text);

/*
 * Below, equal to or above 0 as `a` is older than, as old as or newer than `b`; both are valid. A
 * number that one lacks is 0, `-rc1` comes before the release, what is behind `+` does not count.
 */
int version_compare(const char *a, const char *b) MUST_CHECK;
