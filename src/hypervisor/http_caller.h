#pragma once
/*
 * http_caller - who asks, from what the kernel says of a unix socket's peer and from the bearer's
 * token, and whether that is enough for a route.
 */
#include "hypervisor/http_request.h"
#include "utils/attr.h"
#include "utils/err.h"

struct MHD_Connection;
struct http_connection;
struct http_route;
struct http_server;

/*
 * Fills in who it is. A token that is not known, or not any more, is refused also where none is
 * needed (-EACCES: 401): who shows one wants it to count. `bearer` may be NULL.
 */
int http_caller_find(struct http_caller *ret_caller, struct http_server *server,
                     const struct http_connection *connection, const char *bearer,
                     struct err *err) MUST_CHECK;

/* -EACCES: has to say who it is (401); -EPERM: is known and may not (403). */
int http_caller_check(const struct http_caller *caller, const struct http_route *route,
                      struct err *err) MUST_CHECK;
