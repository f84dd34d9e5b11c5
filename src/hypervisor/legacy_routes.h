#pragma once
/*
 * legacy_routes - the routes by which limiters of the system that came before reach the daemon
 * (docs/design/compatibility.md). Who calls is what a token of the token file says, and nothing
 * else: neither a local user's socket nor a token of the cluster's counts here.
 */
#include "utils/attr.h"
#include "utils/err.h"

struct backend;
struct http_server;
struct legacy_routes;
struct pod_rule;
struct snapshot;

/*
 * Adds the routes to a server that does not listen yet. The backend, and the rule by which tenants
 * are pods, stay the caller's, and have to live until legacy_routes_free().
 */
int legacy_routes_new(struct legacy_routes **ret, const struct backend *backend,
                      struct http_server *server, const struct pod_rule *rule,
                      struct err *err) MUST_CHECK;

/* Forgets the clients whose processes have ended: for the loop, once a second. */
void legacy_routes_prune(struct legacy_routes *routes, const struct snapshot *snapshot);

/*
 * After http_server_stop() and before http_server_free(). NULL is fine. Requests that the loop is
 * not done with yet may be done later.
 */
void legacy_routes_free(struct legacy_routes *routes);
