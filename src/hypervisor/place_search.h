#pragma once
/*
 * place_search - finds the tenants of other users' `vgpu run` in runtime directories that are those
 * users' own, and connects to them. What lies there may be anything: no link is followed, no file
 * is read, a socket is its user's or left alone, and a full backlog is nobody at home. It may take
 * as long as the file systems do on which it looks: not for the loop's thread.
 *
 * One user cannot use up what there is for all: each has bounds of its own, and a socket at which
 * nobody answered is tried again after one second, then two, ... up to a minute.
 */
#include "supervisor/runtime.h"
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PLACE_SEARCH_TRIES      32 /* connections of one search */
#define PLACE_SEARCH_USER_TRIES 8  /* ... to one user's */
#define PLACE_SEARCH_TENANTS    32 /* of one user */

struct place_search;

/* A tenant that is connected to. */
struct place_known {
    char path[RUNTIME_PATH_MAX]; /* its directory */
    uid_t uid;
    bool answers;
};

/* One that was found: the connection is non-blocking, and its other end is that user's. */
struct place_found {
    char path[RUNTIME_PATH_MAX], name[64];
    uid_t uid;
    int fd; /* the caller's */
};

struct place_search_input {
    const char *patterns; /* a shell's, commas between them */
    const char *own_base; /* left out */
    const struct place_known *known;
    size_t known_count;
    uint64_t now_ns;
};

int place_search_new(struct place_search **ret_search, struct err *err) MUST_CHECK;
/* NULL is fine. */
void place_search_free(struct place_search *search);

/* Returns how many were found, of PLACE_SEARCH_TRIES at most. */
size_t place_search_look(struct place_search *search, const struct place_search_input *input,
                         struct place_found *ret_found);
