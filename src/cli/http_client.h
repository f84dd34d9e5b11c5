#pragma once
/*
 * http_client - one GET of HTTP/1.1 on a unix socket: the daemon's API, as `vgpu events` reads it.
 */
#include "cli/answer_reader.h"
#include "utils/attr.h"
#include "utils/err.h"

struct http_client {
    int fd;
    struct answer_reader answer;
};

/*
 * Connects to the socket at `path` and asks for `target` ("/api/v1/..."), with the header lines of
 * `headers` ("Name: value\r\n"..., or ""). The body will go to the sink. -ENOENT and -ECONNREFUSED:
 * nobody listens there. The caller calls http_client_close() after success.
 */
int http_client_open(struct http_client *ret_client, const char *path, const char *target,
                     const char *headers, struct err *err) MUST_CHECK;
void http_client_close(struct http_client *client);

/* Where the body goes; to be said before anything is read. */
void http_client_set_sink(struct http_client *client, answer_reader_sink *sink, void *context);

/*
 * Reads what has come and gives the body to the sink; to be called when the descriptor is readable.
 * Returns 1, 0 at the answer's end, -EAGAIN where nothing has come, -EPROTO where it is no answer
 * or is cut off, -ECONNRESET, or what the sink returned.
 */
int http_client_read(struct http_client *client, struct err *err) MUST_CHECK;

/* Reads until status and headers are there; -ETIMEDOUT after so many milliseconds. */
int http_client_read_head(struct http_client *client, int timeout_ms, struct err *err) MUST_CHECK;
