#include "hypervisor/http_answer.h"

#include "hypervisor/problem.h"
#include "utils/atomics.h"
#include "utils/str.h"

#include <microhttpd.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct http_answer {
    _Atomic uint32_t references; /* relaxed up, ordered down */
    unsigned int status;
    enum http_answer_kind kind;
    struct MHD_Response *response;
    char tag[64];
};

static const char *const policies[] = {
    [HTTP_ANSWER_DATA] = "default-src 'none'; frame-ancestors 'none'",
    [HTTP_ANSWER_PAGE] = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
                         "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
                         "form-action 'none'",
};
static const char *const cache_controls[] = {
    [HTTP_ANSWER_DATA] = "no-store",
    [HTTP_ANSWER_PAGE] = "no-cache",
};

static struct http_answer *wrap(unsigned int status, enum http_answer_kind kind,
                                struct MHD_Response *response)
{
    struct http_answer *answer = response ? calloc(1, sizeof(*answer)) : NULL;

    if (!answer) {
        if (response)
            MHD_destroy_response(response);
        return NULL;
    }
    store_relaxed(&answer->references, 1);
    answer->status = status;
    answer->kind = kind;
    answer->response = response;
    http_answer_add(answer, MHD_HTTP_HEADER_X_CONTENT_TYPE_OPTIONS, "nosniff");
    http_answer_add(answer, MHD_HTTP_HEADER_CACHE_CONTROL, cache_controls[kind]);
    return answer;
}

struct http_answer *http_answer_new(const struct http_answer_content *content)
{
    /* The library's prototype lacks a const; it copies. */
    union {
        const void *bytes;
        void *library;
    } bytes = {.bytes = content->bytes};
    struct http_answer *answer =
        wrap(content->status, content->kind,
             MHD_create_response_from_buffer(content->size, bytes.library, MHD_RESPMEM_MUST_COPY));

    http_answer_add(answer, MHD_HTTP_HEADER_CONTENT_TYPE, content->type);
    http_answer_add(answer, MHD_HTTP_HEADER_CONTENT_SECURITY_POLICY, policies[content->kind]);
    http_answer_add(answer, "Referrer-Policy", "no-referrer");
    return answer;
}

static struct http_answer *new_text(unsigned int status, const char *type, char *text)
{
    struct http_answer *answer = NULL;

    if (text)
        answer = http_answer_new(&(struct http_answer_content){
            .status = status, .type = type, .bytes = text, .size = strlen(text)});
    free(text);
    return answer;
}

struct http_answer *http_answer_new_json(unsigned int status, char *text)
{
    return new_text(status, "application/json", text);
}

struct http_answer *http_answer_new_problem(const struct problem *problem)
{
    return new_text(problem->status, PROBLEM_CONTENT_TYPE, problem_text(problem));
}

static struct http_answer *new_empty(unsigned int status, enum http_answer_kind kind)
{
    return wrap(status, kind, MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT));
}

struct http_answer *http_answer_new_empty(unsigned int status)
{
    return new_empty(status, HTTP_ANSWER_DATA);
}

struct http_answer *http_answer_new_unchanged(const struct http_answer *answer)
{
    struct http_answer *unchanged = new_empty(MHD_HTTP_NOT_MODIFIED, answer->kind);

    http_answer_set_tag(unchanged, answer->tag);
    return unchanged;
}

struct http_answer *http_answer_hold(struct http_answer *answer)
{
    (void)add_relaxed(&answer->references, 1);
    return answer;
}

void http_answer_release(struct http_answer *answer)
{
    /* Ordered: other holders are done with it before it is freed. */
    if (!answer || sub_ordered(&answer->references, 1) != 1)
        return;
    MHD_destroy_response(answer->response);
    free(answer);
}

void http_answer_add(struct http_answer *answer, const char *name, const char *value)
{
    if (answer)
        (void)MHD_add_response_header(answer->response, name, value); /* no memory: without it */
}

void http_answer_set_tag(struct http_answer *answer, const char *tag)
{
    if (!answer || !str_format(answer->tag, sizeof(answer->tag), "%s", tag))
        return;
    http_answer_add(answer, MHD_HTTP_HEADER_ETAG, tag);
}

unsigned int http_answer_status(const struct http_answer *answer)
{
    return answer->status;
}

bool http_answer_is_known(const struct http_answer *answer, const char *if_none_match)
{
    size_t length = strlen(answer->tag);
    const char *at = if_none_match;

    if (!length)
        return false;
    if (str_equals(if_none_match, "*"))
        return true;
    /* A tag of ours has no comma in it; others are passed over, quotes and all. */
    while (*at) {
        at += strspn(at, ", \t");
        if (str_starts_with(at, "W/"))
            at += strlen("W/");
        if (strncmp(at, answer->tag, length) == 0 && strchr(", \t", at[length]))
            return true;
        at += strcspn(at, ",");
    }
    return false;
}

struct MHD_Response *http_answer_response(const struct http_answer *answer)
{
    return answer->response;
}
