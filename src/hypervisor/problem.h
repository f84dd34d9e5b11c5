#pragma once
/*
 * problem - what went wrong, as RFC 9457 says it: {"type","title","status","detail"}.
 */
#include "utils/attr.h"

#include <jansson.h>

#define PROBLEM_CONTENT_TYPE "application/problem+json"

struct problem {
    unsigned int status; /* of HTTP */
    const char *type;    /* after `urn:vgpu:problem:`; NULL: the status says it all */
    const char *detail;  /* a sentence for a person; NULL: none */
};

/* The words of a status, "Not Found"; never NULL. */
const char *problem_title(unsigned int status);

/* The object, which the caller owns and may add members to; NULL: no memory. */
json_t *problem_json(const struct problem *problem);

/* Its text, which the caller frees; NULL: no memory. */
char *problem_text(const struct problem *problem);

/* What the loop's answer (request.h: a negative errno) is in HTTP; `detail` is borrowed. */
struct problem problem_of_status(int status, const char *detail);
