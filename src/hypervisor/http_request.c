#include "hypervisor/http_request.h"

#include "hypervisor/http_answer.h"
#include "hypervisor/http_caller.h"
#include "hypervisor/http_clock.h"
#include "hypervisor/http_guard.h"
#include "hypervisor/http_header.h"
#include "hypervisor/http_listener.h"
#include "hypervisor/http_routes.h"
#include "hypervisor/http_server.h"
#include "hypervisor/http_target.h"
#include "hypervisor/problem.h"
#include "utils/clock.h"
#include "utils/parse.h"
#include "utils/str.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* An answer has to be taken within this time. */
#define ANSWER_NS          (60 * NS_PER_SEC)
#define STREAM_BLOCK       4096
#define BUSY_RETRY_SECONDS "5"
/* How long at most a stream is not asked whether its token is still good. */
#define TOKEN_LOOK_NS (3600 * NS_PER_SEC)

/*
 * The states of a request, all on its listener's thread:
 *
 *   1. HEADER   nothing was looked at; http_request_step() judges the header: to BODY or ANSWERED
 *   2. BODY     pieces come; with the last the handler runs: to WAITING or ANSWERED
 *   3. WAITING  suspended for `later`; the clock resumes it: to ANSWERED
 *   4. ANSWERED the library has the response
 */
enum state { STATE_HEADER, STATE_BODY, STATE_WAITING, STATE_ANSWERED };

struct http_request {
    struct http_server *server;
    struct MHD_Connection *library;
    struct http_connection *connection;
    enum state state;
    const char *raw_target; /* the library's */
    size_t raw_length;
    struct http_target target;
    int target_rc;
    struct err target_err;
    struct http_match match;
    bool is_head;
    struct http_caller caller;
    char *body; /* NULL: none yet */
    size_t body_size, body_room;
    /* What the handler answered with: one of these. */
    struct http_answer *answer;
    struct http_later *later;
    uint64_t later_ns;
    struct MHD_Response *stream;
    bool is_streaming; /* it was answered by one, whose reader was not dropped yet */
};

/* The library's hold on a stream. */
struct stream_body {
    struct http_request *request; /* for read_stream(): the response may be later than its end */
    struct http_server *server;   /* it ends all streams before its own end */
    struct http_stream *stream;
    struct http_connection *connection;
    struct http_clock *clock;
    bool has_grant; /* it lives no longer than the token that it was asked for with */
    uint64_t expires_unix_ms, token_generation;
};

struct http_request *http_request_new(struct http_server *server, struct MHD_Connection *library,
                                      const char *target)
{
    struct http_request *request = calloc(1, sizeof(*request));

    if (!request)
        return NULL;
    request->server = server;
    request->library = library;
    request->raw_target = target;
    request->raw_length = strlen(target);
    request->target_rc = http_target_parse(&request->target, target, &request->target_err);
    return request;
}

void http_request_free(struct http_request *request)
{
    if (!request)
        return;
    if (request->later)
        request->later->release(request->later);
    if (request->stream)
        MHD_destroy_response(request->stream);
    http_answer_release(request->answer);
    free(request->body);
    free(request);
}

/* Once: one that fell behind may not take its end either. */
static void count_dropped(struct http_request *request)
{
    if (request->is_streaming)
        http_server_count_dropped(request->server);
    request->is_streaming = false;
}

void http_request_tell_timeout(struct http_request *request)
{
    count_dropped(request);
}

const struct http_caller *http_request_caller(const struct http_request *request)
{
    return &request->caller;
}

const char *http_request_parameter(const struct http_request *request, size_t i)
{
    for (size_t known = 0; known <= i; known++)
        if (!request->match.parameters[known])
            return "";
    return request->match.parameters[i];
}

const char *http_request_query(const struct http_request *request, const char *name)
{
    return http_target_query(&request->target, name);
}

const char *http_request_field(const struct http_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->library, MHD_HEADER_KIND, name);
}

const char *http_request_bearer(const struct http_request *request)
{
    static const char scheme[] = "Bearer ";
    const char *value = http_request_field(request, MHD_HTTP_HEADER_AUTHORIZATION);

    if (!value || strncasecmp(value, scheme, strlen(scheme)) != 0)
        return NULL;
    return value + strlen(scheme);
}

const char *http_request_body(const struct http_request *request, size_t *ret_size)
{
    *ret_size = request->body_size;
    return request->body ? request->body : "";
}

void http_reply(struct http_request *request, struct http_answer *answer)
{
    const char *known = http_request_field(request, MHD_HTTP_HEADER_IF_NONE_MATCH);

    http_answer_release(request->answer);
    request->answer = answer;
    if (!answer || !known || !http_answer_is_known(answer, known))
        return;
    request->answer = http_answer_new_unchanged(answer);
    http_answer_release(answer);
}

static struct http_answer *new_problem(unsigned int status, const char *type, const char *detail)
{
    return http_answer_new_problem(
        &(struct problem){.status = status, .type = type, .detail = detail});
}

void http_reply_problem(struct http_request *request, unsigned int status, const char *type,
                        const char *format, ...)
{
    char detail[512];
    struct str str;
    va_list args;

    str_init(&str, detail, sizeof(detail));
    va_start(args, format);
    str_add_list(&str, format, args);
    va_end(args);
    http_reply(request, new_problem(status, type, detail));
}

void http_reply_busy(struct http_request *request, const char *type, const char *detail)
{
    struct http_answer *answer = new_problem(MHD_HTTP_SERVICE_UNAVAILABLE, type, detail);

    http_answer_add(answer, MHD_HTTP_HEADER_RETRY_AFTER, BUSY_RETRY_SECONDS);
    http_reply(request, answer);
}

void http_reply_later(struct http_request *request, struct http_later *later, uint64_t timeout_ns)
{
    request->later = later;
    request->later_ns = timeout_ns;
}

/*
 * How long the token that the stream was asked for with is good, in ns; 0: not any more. Longer
 * than an hour is an hour: it is looked at again before.
 */
static uint64_t token_left_ns(const struct stream_body *body)
{
    uint64_t now_unix_ms = clock_unix_ms(), left_ms;

    if (!body->has_grant)
        return TOKEN_LOOK_NS;
    if (now_unix_ms >= body->expires_unix_ms ||
        body->token_generation != http_server_token_generation(body->server))
        return 0;
    left_ms = body->expires_unix_ms - now_unix_ms;
    return left_ms < TOKEN_LOOK_NS / NS_PER_MS ? left_ms * NS_PER_MS : TOKEN_LOOK_NS;
}

static ssize_t read_stream(void *context, uint64_t position, char *buffer, size_t size)
{
    struct stream_body *body = context;
    uint64_t wake_ns = HTTP_WAKE_NEVER, left_ns, end_ns;
    uint64_t kicks = http_clock_kicks(body->clock);
    ssize_t got;

    if (body->connection->is_gone || http_clock_is_stopping(body->clock))
        return MHD_CONTENT_READER_END_OF_STREAM;
    left_ns = token_left_ns(body);
    if (!left_ns)
        return MHD_CONTENT_READER_END_OF_STREAM;
    got = body->stream->read(body->stream, buffer, size, &wake_ns);
    if (got == HTTP_STREAM_DROPPED)
        count_dropped(body->request);
    if (got < 0)
        return MHD_CONTENT_READER_END_OF_STREAM;
    /* A kick after the one that was counted above wakes it again at once. */
    end_ns = clock_now_ns() + left_ns;
    if (got == 0 && !http_clock_wait_stream(body->clock, body->connection,
                                            wake_ns < end_ns ? wake_ns : end_ns, kicks))
        return MHD_CONTENT_READER_END_OF_STREAM;
    return got;
}

static void free_stream(void *context)
{
    struct stream_body *body = context;

    body->stream->release(body->stream);
    http_server_count_reader(body->server, -1);
    http_clock_release(body->clock);
    free(body);
}

static struct MHD_Response *new_stream(struct http_request *request, struct http_stream *stream)
{
    struct stream_body *body = calloc(1, sizeof(*body));
    struct MHD_Response *response;

    if (!body) {
        stream->release(stream);
        return NULL;
    }
    http_server_count_reader(request->server, 1);
    *body = (struct stream_body){.request = request,
                                 .server = request->server,
                                 .stream = stream,
                                 .connection = request->connection,
                                 .has_grant = request->caller.has_grant,
                                 .expires_unix_ms = request->caller.grant.expires_unix_ms,
                                 .token_generation = request->caller.token_generation,
                                 .clock = http_clock_hold(http_server_clock(request->server))};
    response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, read_stream, body,
                                                 free_stream);
    if (!response)
        free_stream(body);
    return response;
}

void http_reply_stream(struct http_request *request, const char *content_type,
                       struct http_stream *stream)
{
    struct MHD_Response *response;

    if (request->is_head) {
        stream->release(stream);
        http_reply(request, http_answer_new(&(struct http_answer_content){
                                .status = MHD_HTTP_OK, .type = content_type, .bytes = ""}));
        return;
    }
    response = new_stream(request, stream);
    request->stream = response;
    if (!response)
        return;
    /* What does not fit into memory here is missing there; the stream is none the worse. */
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_X_CONTENT_TYPE_OPTIONS, "nosniff");
}

static bool queue_answer(struct http_request *request)
{
    struct http_answer *answer = request->answer;

    request->state = STATE_ANSWERED;
    http_clock_set_timeout(http_server_clock(request->server), request->connection, ANSWER_NS);
    if (!answer)
        return false;
    http_server_count_answer(request->server, http_answer_status(answer));
    return MHD_queue_response(request->library, http_answer_status(answer),
                              http_answer_response(answer)) == MHD_YES;
}

static bool queue_stream(struct http_request *request)
{
    struct MHD_Response *response = request->stream;
    bool is_queued;

    request->state = STATE_ANSWERED;
    request->stream = NULL;
    request->is_streaming = true;
    http_server_count_answer(request->server, MHD_HTTP_OK);
    http_clock_set_timeout(http_server_clock(request->server), request->connection,
                           HTTP_WAKE_NEVER);
    is_queued = MHD_queue_response(request->library, MHD_HTTP_OK, response) == MHD_YES;
    MHD_destroy_response(response);
    return is_queued;
}

static bool queue(struct http_request *request)
{
    if (request->stream)
        return queue_stream(request);
    if (!request->answer)
        http_reply_problem(request, 500, NULL, "the handler gave no answer");
    return queue_answer(request);
}

static void answer_later(struct http_request *request)
{
    struct http_later *later = request->later;

    request->later = NULL;
    later->answer(request, later, !later->is_ready(later));
    later->release(later);
}

/* The handler has answered, or will. */
static bool go_on(struct http_request *request)
{
    if (!request->later)
        return queue(request);
    /* Nothing of the client's is waited for. */
    http_clock_set_timeout(http_server_clock(request->server), request->connection,
                           HTTP_WAKE_NEVER);
    request->state = STATE_WAITING;
    if (http_clock_wait(http_server_clock(request->server), request->connection, request->later,
                        request->later_ns))
        return true;
    answer_later(request); /* the server stops */
    return queue(request);
}

/* Answers instead of the handler; false, always. No memory for the answer ends the connection. */
static bool refuse(struct http_request *request, unsigned int status, const char *detail)
{
    request->answer = new_problem(status, NULL, detail);
    if (status == MHD_HTTP_UNAUTHORIZED)
        http_answer_add(request->answer, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer realm=\"vgpu\"");
    return false;
}

static bool judge_host(struct http_request *request)
{
    const struct http_listener_address *listened = request->connection->listened;
    const struct http_guard_names names = {
        .is_any = listened->is_unix,
        .address = listened->text,
        .others = http_server_limits(request->server)->host_names,
    };
    const char *host = http_request_field(request, MHD_HTTP_HEADER_HOST);
    const char *authority = request->target.authority;

    if ((!host || http_guard_host_is_ours(host, &names)) &&
        (!authority || http_guard_host_is_ours(authority, &names)))
        return true;
    return refuse(request, 421, "this server is not called so: its host names are configured");
}

/* Who asks, and whether that is enough. */
static bool judge_caller(struct http_request *request)
{
    const struct http_route *route = request->match.route;
    bool is_own = route->flags & HTTP_ROUTE_JUDGES_ITSELF;
    bool is_open = route->flags & HTTP_ROUTE_IS_OPEN;
    const char *bearer = is_own || is_open ? NULL : http_request_bearer(request);
    struct err err;
    int rc = http_caller_find(&request->caller, request->server, request->connection, bearer, &err);

    if (rc == 0 && !is_own)
        rc = http_caller_check(&request->caller, route, &err);
    if (rc < 0)
        return refuse(request, rc == -EACCES ? 401 : 403, err.text);
    if (!(route->flags & HTTP_ROUTE_CHANGES) ||
        http_guard_origin_is_ours(http_request_field(request, MHD_HTTP_HEADER_ORIGIN),
                                  http_request_field(request, "Sec-Fetch-Site"),
                                  http_request_field(request, MHD_HTTP_HEADER_HOST)))
        return true;
    return refuse(request, 403, "another site's page may not change anything here");
}

/* What the header says of the body. */
static bool judge_body(struct http_request *request)
{
    const char *length = http_request_field(request, MHD_HTTP_HEADER_CONTENT_LENGTH);
    const char *encoding = http_request_field(request, MHD_HTTP_HEADER_TRANSFER_ENCODING);
    bool is_wanted = request->match.route->flags & HTTP_ROUTE_TAKES_JSON;
    uint64_t size = 0;

    /* The library has read it as a number; what does not fit into ours is too large anyway. */
    if (length && parse_u64(&size, length, 0, HTTP_BODY_MAX, NULL) < 0)
        return refuse(request, 413, "a body has at most 65536 bytes");
    if (!is_wanted && (size || encoding))
        return refuse(request, 400, "there must be no body here");
    /* The library takes line ends in chunks that others do not; no body here is too long to count. */
    if (encoding)
        return refuse(request, 411, "a body needs a Content-Length here, and no Transfer-Encoding");
    if (is_wanted && !http_guard_is_json(http_request_field(request, MHD_HTTP_HEADER_CONTENT_TYPE)))
        return refuse(request, 415, "the body has to be application/json");
    return true;
}

/* Answers with the methods of the path, beside what is answered already. */
static bool tell_methods(struct http_request *request)
{
    char allowed[64];

    http_methods_write(request->match.methods, allowed, sizeof(allowed));
    http_answer_add(request->answer, MHD_HTTP_HEADER_ALLOW, allowed);
    return false;
}

/* Whether there is a route, and its query is known. */
static bool judge_route(struct http_request *request, const char *method)
{
    struct http_match *match = &request->match;
    const char *stranger;
    char detail[256];

    request->is_head = str_equals(method, MHD_HTTP_METHOD_HEAD);
    *match = http_routes_find(http_server_routes(request->server), http_method_of(method),
                              &request->target);
    if (!match->methods)
        return refuse(request, 404, "there is nothing at this path");
    if (str_equals(method, MHD_HTTP_METHOD_OPTIONS)) {
        request->answer = http_answer_new_empty(MHD_HTTP_NO_CONTENT);
        return tell_methods(request);
    }
    if (!match->route) {
        (void)refuse(request, 405, "not this method at this path"); /* false, as the next */
        return tell_methods(request);
    }
    stranger = http_route_stranger(match->route, &request->target);
    if (!stranger)
        return true;
    (void)str_format(detail, sizeof(detail), "the query parameter '%s' is not known here",
                     stranger); /* cut where it is long */
    return refuse(request, 400, detail);
}

/* All that is looked at before the body; false: it is answered. */
static bool judge(struct http_request *request, const struct http_request_line *line)
{
    struct err err;

    if (!str_equals(line->version, "HTTP/1.1") && !str_equals(line->version, "HTTP/1.0"))
        return refuse(request, 505, "HTTP/1.1 and HTTP/1.0 are spoken here");
    if (http_header_check(request->library, request->raw_target, request->raw_length, line, &err) <
        0)
        return refuse(request, 400, err.text);
    if (request->target_rc < 0)
        return refuse(request, request->target_rc == -ENAMETOOLONG ? 414 : 400,
                      request->target_err.text);
    return judge_host(request) && judge_route(request, line->method) && judge_caller(request) &&
           judge_body(request);
}

/* False: no memory, or more than the header said. */
static bool add_to_body(struct http_request *request, const char *bytes, size_t size)
{
    size_t wanted = request->body_size + size;

    if (wanted > HTTP_BODY_MAX)
        return false;
    if (wanted + 1 > request->body_room) {
        size_t room = wanted + 1 > 1024 ? HTTP_BODY_MAX + 1 : 1024;
        char *grown = realloc(request->body, room);

        if (!grown)
            return false;
        request->body = grown;
        request->body_room = room;
    }
    memcpy(request->body + request->body_size, bytes, size);
    request->body_size = wanted;
    request->body[wanted] = '\0';
    return true;
}

static bool finish(struct http_request *request)
{
    const struct http_route *route = request->match.route;

    route->handler(request, route->context);
    return go_on(request);
}

bool http_request_step(struct http_request *request, struct http_connection *connection,
                       const struct http_request_line *line, const char *bytes, size_t *size)
{
    bool is_fine;

    switch (request->state) {
    case STATE_HEADER:
        request->connection = connection;
        if (!judge(request, line))
            return queue_answer(request);
        request->state = STATE_BODY;
        return true;
    case STATE_BODY:
        if (!*size)
            return finish(request);
        is_fine = add_to_body(request, bytes, *size);
        *size = 0;
        return is_fine;
    case STATE_WAITING:
        answer_later(request);
        return queue(request);
    case STATE_ANSWERED:
        *size = 0; /* the library drops what comes after an early answer */
        return true;
    }
    return false;
}
