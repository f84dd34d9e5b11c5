#pragma once
/*
 * http_answer - one finished answer: status, fields and bytes. It is changed until it is handed to
 * http_reply() and never again, so that one answer serves many requests of many threads.
 *
 * Each has Content-Type, nosniff, a Content-Security-Policy and a Cache-Control: answers of the API
 * are not to be stored, pages are to be asked for anew (by their ETag).
 */
#include "utils/attr.h"

#include <stdbool.h>
#include <stddef.h>

struct MHD_Response;
struct problem;

enum http_answer_kind {
    HTTP_ANSWER_DATA,
    HTTP_ANSWER_PAGE, /* scripts, styles and pictures of our own, nothing inline, in no frame */
};

struct http_answer_content {
    unsigned int status;
    enum http_answer_kind kind;
    const char *type; /* of the bytes: "application/json" */
    const void *bytes;
    size_t size;
};

struct http_answer;

/* Copies the bytes; the caller has the one reference. NULL: no memory. */
struct http_answer *http_answer_new(const struct http_answer_content *content);

/* JSON text that was allocated and is freed here; NULL in, NULL out. */
struct http_answer *http_answer_new_json(unsigned int status, char *text);

struct http_answer *http_answer_new_problem(const struct problem *problem);

/* Without a body: 204. */
struct http_answer *http_answer_new_empty(unsigned int status);

/*
 * 304, with the tag of the answer that the client has, and its Cache-Control: another one would
 * replace that of the stored answer.
 */
struct http_answer *http_answer_new_unchanged(const struct http_answer *answer);

struct http_answer *http_answer_hold(struct http_answer *answer);
/* NULL is fine. */
void http_answer_release(struct http_answer *answer);

/* Adds a field ("Location"); NULL is fine. What does not fit into memory is left out. */
void http_answer_add(struct http_answer *answer, const char *name, const char *value);

/*
 * The tag, quotes and all: a request whose If-None-Match names it is answered with 304. At most 63
 * characters.
 */
void http_answer_set_tag(struct http_answer *answer, const char *tag);

unsigned int http_answer_status(const struct http_answer *answer);
/* Whether it is what an If-None-Match names: `*`, or a list of tags, weak ones as well. */
bool http_answer_is_known(const struct http_answer *answer, const char *if_none_match);
/* The library's; borrowed. */
struct MHD_Response *http_answer_response(const struct http_answer *answer);
