#pragma once
/*
 * path_list - puts elements into a list of the kind of PATH, at its end and at its front.
 *
 * Pure text: nothing is allocated, no value is too long, and the work grows with the length of the
 * texts and not with its square.
 *
 *   - What is added is taken element by element. Its empty elements are dropped: in PATH such a one
 *     means the current directory, which nobody may get by a stray colon.
 *   - An element to append that is in the list already keeps its place there.
 *   - An element to prepend that is in the list already moves to the front.
 *   - Where an element is to be both, it was appended first and prepended then: it is in front.
 *   - The list's other elements stay as they are, empty and double ones too, with the separators
 *     before them.
 *
 * Doing the same again therefore changes nothing.
 */
#include "utils/attr.h"

#include <stdbool.h>
#include <stddef.h>

struct path_edit {
    const char *separators; /* two; either ends an element; what is added has ':' before it */
    const char *list;       /* NULL or "" is a list without elements */
    const char *append;     /* NULL or "" adds nothing */
    const char *prepend;    /* the same */
};

/* A place of the table of elements that the work needs. */
struct path_slot {
    const char *text; /* NULL: free */
    size_t length;
    bool is_prepended;
};

struct path_result {
    char *text;       /* where it is written, NULL for only measuring; not ended with NUL */
    size_t length;    /* in bytes */
    bool is_same;     /* it is what the list was */
    bool has_element; /* something was written, if only an empty element */
};

/* The longest that the result can get, in bytes. */
size_t path_list_bound(const struct path_edit *edit) MUST_CHECK;

/* How many slots path_list_edit() needs for this edit: a power of two, at least 1. */
size_t path_list_slots(const struct path_edit *edit) MUST_CHECK;

/*
 * Fills `ret_result`, and the text where text is not NULL. `slots` are `slot_count` of the
 * caller's, as many as path_list_slots() says; what is in them does not matter, before or after.
 */
void path_list_edit(const struct path_edit *edit, struct path_slot *slots, size_t slot_count,
                    char *text, struct path_result *ret_result);
