#pragma once
/*
 * web_assets - the files of the web view, built into the program: what `/` shows needs no folder on
 * the machine. They are constant; any thread may read them.
 */
#include <stddef.h>

struct web_asset {
    const char *path;           /* of the URL: "/", "/app.js", ... */
    const char *content_type;   /* the header's value, with its charset */
    const unsigned char *bytes; /* the file, `length` of them, without a NUL */
    size_t length;
    const char *etag; /* strong, in its quotes: another one wherever the bytes are others */
};

/* What is served for a path of a URL (without its query); NULL: nothing is. */
const struct web_asset *web_assets_find(const char *path);

/* The asset number `index`, from 0; NULL beyond the last. */
const struct web_asset *web_assets_at(size_t index);
