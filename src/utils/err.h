#pragma once
/*
 * err - words for a failure, filled where it happened. Nothing is allocated; callers may pass NULL.
 */
#include "utils/attr.h"

struct err {
    int code;       /* positive errno of the failure; 0 while there was none */
    char text[240]; /* one line, lower case, no full stop; cut where too long */
};

/*
 * Fills `err` with the formatted words, ": " and the errno's own words, and
 * returns -code. Formats are those of str_add().
 */
int err_set(struct err *err, int code, const char *format, ...) PRINTF_LIKE(3, 4);

/* As err_set() without the errno's words: for failures that the words say completely. */
int err_say(struct err *err, int code, const char *format, ...) PRINTF_LIKE(3, 4);

/*
 * Puts the formatted words and ": " before what `err` says; returns -err->code (-EINVAL if NULL).
 */
int err_wrap(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);
