#pragma once
/*
 * http_answer - reads one answer of HTTP/1.1 as it comes in, byte by byte: status, the headers that
 * say how long the body is, and the body, with its chunks taken apart. Strict and bounded: what the
 * standard does not allow a server of our own to send is an error, not a guess.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_ANSWER_LINE_MAX    1024
#define HTTP_ANSWER_HEADERS_MAX 64
#define HTTP_ANSWER_CHUNK_MAX   (UINT64_C(1) << 30) /* bytes */

enum http_answer_state {
    HTTP_ANSWER_STATUS,
    HTTP_ANSWER_HEADER,
    HTTP_ANSWER_COUNTED,    /* a body with Content-Length */
    HTTP_ANSWER_UNTIL_END,  /* a body that ends with the connection */
    HTTP_ANSWER_CHUNK_SIZE, /* a line: the chunk's size */
    HTTP_ANSWER_CHUNK,
    HTTP_ANSWER_CHUNK_END, /* the empty line behind a chunk */
    HTTP_ANSWER_TRAILER,
    HTTP_ANSWER_DONE,
};

/* Where the body goes; returns 0, or a negative errno that ends the reading (with words in err). */
typedef int http_answer_sink(void *context, const char *bytes, size_t size, struct err *err);

struct http_answer {
    enum http_answer_state state;
    uint32_t status;      /* 200 and the like; 0 until it is known */
    bool is_event_stream; /* its Content-Type */
    http_answer_sink *sink;
    void *context;
    bool is_chunked, has_length;
    uint64_t left_bytes; /* of the body or chunk */
    uint32_t header_count;
    char line[HTTP_ANSWER_LINE_MAX];
    size_t line_length;
};

void http_answer_init(struct http_answer *answer, http_answer_sink *sink, void *context);

/* -EPROTO with words, or what the sink returned; then the answer is to be read no further. */
int http_answer_feed(struct http_answer *answer, const char *bytes, size_t size,
                     struct err *err) MUST_CHECK;

/* Whether status and headers are complete. */
bool http_answer_has_head(const struct http_answer *answer);
/* Whether the answer is complete where the connection ends now. */
bool http_answer_may_end(const struct http_answer *answer);
