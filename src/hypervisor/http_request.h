#pragma once
/*
 * http_request - one request as its handler sees it, and how the handler answers.
 *
 * A handler runs on a thread of the HTTP server and never blocks. It answers once, by one of
 *
 *     http_reply(request, answer)       now
 *     http_reply_later(request, later)  when somebody else has done something
 *     http_reply_stream(request, ...)   with bytes that come over time
 *
 * and touches the request no more after that. One that answers in none of these ways is answered
 * for with 500.
 */
#include "hypervisor/request.h"
#include "hypervisor/token_file.h"
#include "utils/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define HTTP_BODY_MAX   (64 * 1024) /* bytes */
#define HTTP_WAKE_NEVER UINT64_MAX

struct http_answer;
struct http_request;

/* Who asks. */
struct http_caller {
    struct request_caller identity; /* as the loop's policy judges it */
    bool is_known;                  /* a local user's socket, or a token's bearer */
    bool may_change;                /* an operator, or a local user: then the policy decides */
    bool is_near;                   /* over a unix socket or a loopback address */
    char peer[64];                  /* "user 1000" of a unix socket, or the address; "": unknown */
    pid_t peer_pid;                 /* of a unix socket's peer, with a token too; 0: not known */
    bool has_grant;                 /* came with a token of the token file */
    struct token_grant grant;
    uint64_t token_generation; /* of the tokens that it was found in */
};

const struct http_caller *http_request_caller(const struct http_request *request);

/* What stood in the place of the path's i-th {placeholder}, decoded; "" beyond the last. */
const char *http_request_parameter(const struct http_request *request, size_t i);

/* A query parameter's value, decoded; NULL: not given. Only those of the route come this far. */
const char *http_request_query(const struct http_request *request, const char *name);

/* A header field's value; NULL: not sent. */
const char *http_request_field(const struct http_request *request, const char *name);

/* What stands behind `Authorization: Bearer `; NULL: none. */
const char *http_request_bearer(const struct http_request *request);

/* The body, with a NUL after it; empty where there was none. */
const char *http_request_body(const struct http_request *request, size_t *ret_size);

/* Takes the reference over. NULL (there was no memory) ends the connection. */
void http_reply(struct http_request *request, struct http_answer *answer);

/* A problem (problem.h) of that status; `type` may be NULL. */
void http_reply_problem(struct http_request *request, unsigned int status, const char *type,
                        const char *format, ...) PRINTF_LIKE(4, 5);

/* 503 with a Retry-After of some seconds. */
void http_reply_busy(struct http_request *request, const char *type, const char *detail);

/* What is waited for: the beginning of a struct of the handler's, which owns it. */
struct http_later {
    /* On the server's clock thread, after each http_server_kick(): short, takes no lock. */
    bool (*is_ready)(struct http_later *later);
    /* On the HTTP thread, when it is ready or (is_late) its time is over: answers. */
    void (*answer)(struct http_request *request, struct http_later *later, bool is_late);
    /* The server needs it no more; called exactly once, also where the connection broke. */
    void (*release)(struct http_later *later);
    /*
     * On the server's clock thread: its client has closed its end, and need not be waited for; it
     * is answered all the same. May be called again and again; NULL: nobody wants to know.
     */
    void (*abandon)(struct http_later *later);
};

void http_reply_later(struct http_request *request, struct http_later *later, uint64_t timeout_ns);

#define HTTP_STREAM_END     (-1)
#define HTTP_STREAM_DROPPED (-2) /* the end, because the reader fell behind: it is counted */

/* Bytes that come over time: the beginning of a struct of the handler's, which owns it. */
struct http_stream {
    /*
     * On the HTTP thread, whenever the connection can take bytes: their number, 0 (nothing now: ask
     * again at *ret_wake_ns of CLOCK_MONOTONIC, or after a kick), or one of HTTP_STREAM_*.
     */
    ssize_t (*read)(struct http_stream *stream, char *buffer, size_t size, uint64_t *ret_wake_ns);
    void (*release)(struct http_stream *stream); /* exactly once */
};

/* For HEAD, which arrives as GET, the stream is released at once. */
void http_reply_stream(struct http_request *request, const char *content_type,
                       struct http_stream *stream);

/* ---- For http_listener alone. ---- */

struct MHD_Connection;
struct http_connection;
struct http_server;

/* Of a request's first line; both lie in the library's buffer. */
struct http_request_line {
    const char *method, *version;
};

/* A request whose target was read (borrowed for as long as it lives); NULL: no memory. */
struct http_request *http_request_new(struct http_server *server, struct MHD_Connection *library,
                                      const char *target);
void http_request_free(struct http_request *request);

/* It ends because its client took nothing, or sent nothing, for the idle time. */
void http_request_tell_timeout(struct http_request *request);

/*
 * One call of the library's for it: first with the header, then for each piece of the body, at last
 * with none. Returns false where the connection has to be closed.
 */
bool http_request_step(struct http_request *request, struct http_connection *connection,
                       const struct http_request_line *line, const char *bytes,
                       size_t *size) MUST_CHECK;
