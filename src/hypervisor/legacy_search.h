#pragma once
/*
 * legacy_search - the thread that finds processes for POST /api/v1/process. To find one takes a
 * look at each process of the machine, 6 to 40 us each: on a thread of the HTTP server that would
 * hold up all that answers there, /healthz as well.
 *
 * One is looked for at a time. How many wait is bounded, and how many of one pod, so that a pod
 * that asks without end keeps no other one out.
 */
#include "hypervisor/legacy_api.h"
#include "utils/attr.h"
#include "utils/err.h"

#define LEGACY_SEARCH_WAITING_MAX     128
#define LEGACY_SEARCH_WAITING_POD_MAX 32 /* of one pod */

struct http_request;
struct http_server;
struct legacy_search;
struct snapshot;

/* Starts the thread, with all signals blocked. The server is kicked when one is found. */
int legacy_search_new(struct legacy_search **ret_search, struct http_server *server,
                      struct err *err) MUST_CHECK;

/* After http_server_stop() and before http_server_free(). NULL is fine. */
void legacy_search_free(struct legacy_search *search);

/*
 * Answers the request: 503 at once where too many wait, else once the process is found, or after
 * five seconds as if there were none. The view and the query are copied, the snapshot is held, and
 * the view's rule has to live as long as the thread; who calls has been judged before.
 */
void legacy_search_post(struct legacy_search *search, struct http_request *request,
                        const struct legacy_view *view, struct snapshot *snapshot,
                        const struct legacy_process_query *query);
