#pragma once
/*
 * api_call - a request that an HTTP handler has posted to the loop. The connection waits for it for
 * some seconds and is then answered with 504; the loop may be done with it later or never asks who
 * waits. So two hold it, the connection and the loop, and the last one frees it.
 */
#include "hypervisor/http_request.h"
#include "hypervisor/request.h"
#include "utils/attr.h"

#include <stdbool.h>
#include <stdint.h>

#define API_CALL_TIMEOUT_NS (5 * UINT64_C(1000000000))

struct api_call;
struct backend;
struct http_server;

/* Answers an HTTP request, once the loop has done what was asked for (status 0). */
typedef void api_call_answer(struct http_request *http, const struct request *request,
                             const struct backend *backend);

/* NULL: no memory. What asks is who sent the HTTP request. */
struct api_call *api_call_new(struct http_server *server, const struct backend *backend,
                              const struct http_request *http);
/* Of one that was not posted, or was held. NULL is fine. */
void api_call_free(struct api_call *call);
struct api_call *api_call_hold(struct api_call *call);

/* Whether the loop is done with it. Any thread. */
bool api_call_is_done(const struct api_call *call);

/* Has another HTTP request wait for a held call that was posted, and answers it in the same way. */
void api_call_join(struct api_call *call, struct http_request *http, uint64_t timeout_ns);

/*
 * To be filled in before it is posted. Its context may become memory of malloc()'s, which `answer`
 * finds there and which is freed with the call.
 */
struct request *api_call_request(struct api_call *call);

/* Posts it, and answers the HTTP request: by `answer`, or by the problem that the loop tells. */
void api_call_post(struct api_call *call, struct http_request *http, api_call_answer *answer,
                   uint64_t timeout_ns);
