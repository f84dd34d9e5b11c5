#pragma once
/*
 * answer_reader - reads one answer of HTTP/1.1 as it comes in, byte by byte: status, the headers
 * that say how long the body is, and the body, with its chunks taken apart. Strict and bounded:
 * what the standard does not allow a server of our own to send is an error, not a guess.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ANSWER_READER_LINE_MAX    1024
#define ANSWER_READER_HEADERS_MAX 64
#define ANSWER_READER_CHUNK_MAX   (UINT64_C(1) << 30) /* bytes */

enum answer_reader_state {
    ANSWER_READER_STATUS,
    ANSWER_READER_HEADER,
    ANSWER_READER_COUNTED,    /* a body with Content-Length */
    ANSWER_READER_UNTIL_END,  /* a body that ends with the connection */
    ANSWER_READER_CHUNK_SIZE, /* a line: the chunk's size */
    ANSWER_READER_CHUNK,
    ANSWER_READER_CHUNK_END, /* the empty line behind a chunk */
    ANSWER_READER_TRAILER,
    ANSWER_READER_DONE,
};

/* Where the body goes; returns 0, or a negative errno that ends the reading (with words in err). */
typedef int answer_reader_sink(void *context, const char *bytes, size_t size, struct err *err);

struct answer_reader {
    enum answer_reader_state state;
    uint32_t status;      /* 200 and the like; 0 until it is known */
    bool is_event_stream; /* its Content-Type */
    answer_reader_sink *sink;
    void *context;
    bool is_chunked, has_length;
    uint64_t left_bytes; /* of the body or chunk */
    uint32_t header_count;
    char line[ANSWER_READER_LINE_MAX];
    size_t line_length;
};

void answer_reader_init(struct answer_reader *answer, answer_reader_sink *sink, void *context);

/* -EPROTO with words, or what the sink returned; then the answer is to be read no further. */
int answer_reader_feed(struct answer_reader *answer, const char *bytes, size_t size,
                       struct err *err) MUST_CHECK;

/* Whether status and headers are complete. */
bool answer_reader_has_head(const struct answer_reader *answer);
/* Whether the answer is complete where the connection ends now. */
bool answer_reader_may_end(const struct answer_reader *answer);
