#include "hypervisor/http_pages.h"

#include "hypervisor/backend.h"
#include "hypervisor/exposition.h"
#include "hypervisor/http_answer.h"
#include "hypervisor/http_request.h"
#include "hypervisor/http_routes.h"
#include "hypervisor/http_server.h"
#include "hypervisor/metrics_own.h"
#include "hypervisor/snapshot.h"
#include "hypervisor/web_assets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct http_pages {
    struct http_pages_context context;
    struct http_server *server;
    size_t answer_count;
    struct http_answer *answers[HTTP_ROUTES_MAX]; /* of the files, in their order */
};

static void show_file(struct http_request *request, void *context)
{
    http_reply(request, http_answer_hold(context));
}

static int add_file(struct http_pages *pages, const struct web_asset *asset, struct err *err)
{
    struct http_answer *answer =
        http_answer_new(&(struct http_answer_content){.status = 200,
                                                      .kind = HTTP_ANSWER_PAGE,
                                                      .type = asset->content_type,
                                                      .bytes = asset->bytes,
                                                      .size = asset->length});
    const struct http_route route = {HTTP_GET, asset->path,        show_file,
                                     answer,   HTTP_ROUTE_IS_OPEN, NULL};

    if (!answer)
        return err_set(err, ENOMEM, "make the answer for '%s'", asset->path);
    http_answer_set_tag(answer, asset->etag);
    if (pages->answer_count == HTTP_ROUTES_MAX) {
        http_answer_release(answer);
        return err_say(err, ENOSPC, "more than %d files", HTTP_ROUTES_MAX);
    }
    pages->answers[pages->answer_count++] = answer;
    return http_server_add_routes(pages->server, &route, 1, err);
}

static void fill_counts(const struct http_server *server, struct metrics_own *own)
{
    struct http_server_counts counts;

    http_server_get_counts(server, &counts);
    own->http_requests = counts.requests;
    own->http_requests_refused = counts.requests_refused;
    own->http_requests_failed = counts.requests_failed;
    own->event_readers = counts.readers;
    own->event_readers_dropped = counts.readers_dropped;
}

static void show_metrics(struct http_request *request, void *context)
{
    const struct http_pages *pages = context;
    const struct backend *backend = pages->context.backend;
    struct snapshot *snapshot = backend->get_snapshot(backend->context);
    struct exposition exposition;
    struct metrics_own own;
    struct err err;
    int rc;

    memset(&own, 0xff, sizeof(own)); /* all is unknown, but: */
    own.version = VGPU_VERSION;
    pages->context.fill_own(pages->context.context, &own);
    fill_counts(pages->server, &own);
    rc = exposition_write(snapshot, &own, http_request_field(request, "Accept"), &exposition, &err);
    snapshot_release(snapshot);
    if (rc < 0) {
        http_reply_problem(request, 500, NULL, "%s", err.text);
        return;
    }
    http_reply(request,
               http_answer_new(&(struct http_answer_content){.status = 200,
                                                             .kind = HTTP_ANSWER_DATA,
                                                             .type = exposition.content_type,
                                                             .bytes = exposition.text,
                                                             .size = exposition.length}));
    exposition_fini(&exposition);
}

static int add_routes(struct http_pages *pages, struct err *err)
{
    const struct http_route metrics = {HTTP_GET, "/metrics", show_metrics, pages, 0, NULL};
    const struct web_asset *asset;

    for (size_t i = 0; (asset = web_assets_at(i)); i++) {
        int rc = add_file(pages, asset, err);

        if (rc < 0)
            return rc;
    }
    return pages->context.has_metrics ? http_server_add_routes(pages->server, &metrics, 1, err) : 0;
}

int http_pages_new(struct http_pages **ret_pages, struct http_server *server,
                   const struct http_pages_context *context, struct err *err)
{
    struct http_pages *pages = calloc(1, sizeof(*pages));
    int rc;

    if (!pages)
        return err_set(err, ENOMEM, "allocate the pages");
    pages->context = *context;
    pages->server = server;
    rc = add_routes(pages, err);
    if (rc < 0) {
        http_pages_free(pages);
        return rc;
    }
    *ret_pages = pages;
    return 0;
}

void http_pages_free(struct http_pages *pages)
{
    if (!pages)
        return;
    for (size_t i = 0; i < pages->answer_count; i++)
        http_answer_release(pages->answers[i]);
    free(pages);
}
