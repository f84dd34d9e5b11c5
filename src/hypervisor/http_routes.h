#pragma once
/*
 * http_routes - which handler answers which method and path.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stddef.h>

#define HTTP_ROUTES_MAX     96
#define HTTP_PARAMETERS_MAX 4

struct http_request;
struct http_target;

enum http_method { HTTP_GET, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE, HTTP_METHOD_END };

enum http_route_flag {
    /* Changes something: for callers that may, and for no other site's page. */
    HTTP_ROUTE_CHANGES = 1,
    /* Has a body, which has to be application/json (415). Without this one a body is refused. */
    HTTP_ROUTE_TAKES_JSON = 2,
    /* For everybody, also from afar and without a token: health. */
    HTTP_ROUTE_IS_OPEN = 4,
    /* The handler judges the Authorization field itself, and who may call. */
    HTTP_ROUTE_JUDGES_ITSELF = 8,
    /* A pod's token (token_file.h) is good for it, too. */
    HTTP_ROUTE_IS_FOR_PODS = 16,
};

/* See http_request.h for what a handler has to do. */
typedef void http_handler(struct http_request *request, void *context);

struct http_route {
    enum http_method method;
    const char *path; /* "/api/v1/tenants/{name}": a placeholder is a whole part of the path */
    http_handler *handler;
    void *context;
    unsigned int flags;
    const char *query; /* the parameters it knows, separated by spaces; NULL: none */
};

struct http_routes {
    struct http_route routes[HTTP_ROUTES_MAX]; /* their strings are borrowed */
    size_t count;
};

struct http_match {
    const struct http_route *route;                  /* NULL: none for this method */
    unsigned int methods;                            /* bits of those that the path has; 0: none */
    const char *parameters[HTTP_PARAMETERS_MAX + 1]; /* of the path; NULL behind the last */
};

/* -EEXIST: the method and path have a handler; -ENOSPC: too many routes or placeholders. */
int http_routes_add(struct http_routes *routes, const struct http_route *route,
                    struct err *err) MUST_CHECK;

/* A path without placeholders is preferred. The parameters point into the target. */
struct http_match http_routes_find(const struct http_routes *routes, enum http_method method,
                                   const struct http_target *target);

/* HTTP_METHOD_END: not one of ours. HEAD is GET. */
enum http_method http_method_of(const char *word);

/* "GET, HEAD, OPTIONS, ...", for the Allow field. */
void http_methods_write(unsigned int methods, char *buffer, size_t size);

/* The first query parameter that the route does not know; NULL: it knows all. */
const char *http_route_stranger(const struct http_route *route, const struct http_target *target);
