#pragma once
/*
 * preload_list - the text of /etc/ld.so.preload: libraries separated by blanks, colons and line
 * ends, comments from '#' to the end of a line. Pure text.
 */
#include "utils/attr.h"

#include <stddef.h>

/* The libraries that we ever name: `<folder>/<one of names>`. */
struct preload_list_ours {
    const char *folder;       /* absolute, without any of the list's separators in it */
    const char *const *names; /* ended by NULL */
};

/*
 * The text with those of our libraries that are `wanted` (full paths, ended by NULL), and no other
 * of ours. What is foreign keeps its place, lines that are foreign altogether every byte. Where
 * ours stand in the text as wanted already it comes back as it is; else they come last, one a line.
 * Returns memory that the caller frees, NULL where there is none.
 */
char *preload_list_edit(const char *text, const struct preload_list_ours *ours,
                        const char *const *wanted) MUST_CHECK;
