#pragma once
/*
 * http_pages - what the HTTP server answers beside the API: the web view's files (web_assets.h),
 * for everybody, as there is nothing secret in them, and GET /metrics, for whoever may read the
 * API.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>

struct backend;
struct http_pages;
struct http_server;
struct metrics_own;

struct http_pages_context {
    const struct backend *backend; /* borrowed: it lives longer than the pages */
    /*
     * Fills in all that the daemon measures of itself but the http_ and event_ members, which the
     * server counts. On a thread of the HTTP server: short. What it leaves is not known.
     */
    void (*fill_own)(void *context, struct metrics_own *own);
    void *context;
    bool has_metrics; /* false: nothing is at /metrics */
};

/*
 * Adds the routes to a server that does not listen yet. The context is copied. The answers with the
 * files are made here, once.
 */
int http_pages_new(struct http_pages **ret_pages, struct http_server *server,
                   const struct http_pages_context *context, struct err *err) MUST_CHECK;

/* After http_server_stop(). NULL is fine. */
void http_pages_free(struct http_pages *pages);
