#pragma once
/*
 * legacy_limiter - commands for limiters of the old kind, and their answers. As in legacy_api.h:
 * functions without a server, a status each, the body as *ret_json (NULL with status 200: an empty
 * one).
 *
 * What a command is to bring about the daemon does by itself: it needs no limiter to have a
 * tenant's channels off the GPU. A process that listens is told as well.
 */
#include "hypervisor/legacy_caller.h"
#include "hypervisor/request.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * GET /api/v1/limiter/events/{client_id}: 200, and from then on legacy_tasks_take(ret_key) for
 * each event: `data: ` with legacy_tasks_json(). 400: that is no client; 403: not one of the
 * caller's pod, which is also said of those that are nobody's; 503: too many clients. Where
 * legacy_tasks_take() says -ENOENT the stream ends.
 */
int legacy_limiter_events(const struct legacy_view *view, const char *client_id,
                          struct legacy_stream_key *ret_key, json_t **ret_json);

/* POST /api/v1/limiter/result: 200 with no body, 400, 403, or 500 for a task nobody knows. */
int legacy_limiter_result(const struct legacy_view *view, const struct legacy_body *body,
                          json_t **ret_json);

/* What is to be done about a command. */
struct legacy_command {
    uint64_t id;
    enum legacy_kind kind;
    enum request_kind request; /* REQUEST_SUSPEND or REQUEST_RESUME */
    char tenant[64];           /* of which tenant */
    int32_t pid;               /* which of its processes is to hear of it */
};

/*
 * POST /api/v1/limiter/command/{client_id}, `{"id": n, "kind": "Suspend"}`: a route of ours, as in
 * the old system nobody but the daemon could give one. An operator may give any command to any
 * pod's processes; a pod may ask for the health of its own, and not undo an operator's suspension.
 *
 * 0: *ret_command is to be posted as a request; once that is done, legacy_limiter_done() tells who
 * listens, and has the body of the answer, which is 200. Nobody hears of what was refused. Else the
 * answer's status: 200 for a HealthCheck, 501 for VramReclaim, which needs freezing, 400, 401, 403,
 * 404.
 */
struct legacy_order {
    const char *client_id;
    struct legacy_body body;
};
int legacy_limiter_command(const struct legacy_view *view, const struct legacy_order *order,
                           struct legacy_command *ret_command, json_t **ret_json);

/* `{"id", "success", "message"}`, which is the caller's to put away; NULL: no memory. */
json_t *legacy_limiter_done(const struct legacy_command *command, struct legacy_tasks *tasks,
                            uint64_t now_unix_ms);
