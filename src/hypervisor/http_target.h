#pragma once
/*
 * http_target - the target of a request, taken apart: the segments of its path and its query, each
 * percent-decoded once and after it was split, so that an encoded slash is a part of a name and no
 * border. Nothing is guessed: what is not visible ASCII, a broken escape, an escape for a control
 * character, a fragment, and what is beyond the bounds, is refused.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stddef.h>

#define HTTP_TARGET_MAX          2000 /* characters */
#define HTTP_TARGET_SEGMENTS_MAX 16
#define HTTP_TARGET_QUERY_MAX    16

struct http_query {
    const char *name, *value; /* the value is empty where there is none */
};

struct http_target {
    char text[HTTP_TARGET_MAX + 1]; /* what the pointers point into */
    const char *authority;          /* of `http://AUTHORITY/path`; NULL: of no other form */
    const char *segments[HTTP_TARGET_SEGMENTS_MAX]; /* none for `/` */
    size_t segment_count;
    struct http_query query[HTTP_TARGET_QUERY_MAX];
    size_t query_count;
};

/* -EINVAL: not understood; -ENAMETOOLONG: longer than HTTP_TARGET_MAX. */
int http_target_parse(struct http_target *ret_target, const char *text, struct err *err) MUST_CHECK;

/* The value, NULL where it was not given. */
const char *http_target_query(const struct http_target *target, const char *name);
