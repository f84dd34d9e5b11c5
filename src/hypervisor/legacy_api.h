#pragma once
/*
 * legacy_api - the routes by which limiters of the old kind begin: who is my pod, who am I, may I
 * try that allocation again. Their JSON is what those limiters parse, field by field. Functions
 * without a server: each returns an HTTP status, and the body as *ret_json, which is the caller's
 * to put away (NULL: no memory for it, answer 500).
 *
 * Each speaks of the caller's own pod alone: 401 without a token, 403 with one that is no pod's.
 */
#include "hypervisor/legacy_caller.h"

/*
 * GET /api/v1/pod?container_name=. A pod that has no tenant here is 200 with `success` false, as
 * those limiters expect. container_name (NULL: not given) has to be a name and selects nothing:
 * the quota is the pod's.
 */
int legacy_api_pod(const struct legacy_view *view, const char *container_name, json_t **ret_json);

struct legacy_process_query {
    const char *container_name; /* both NULL where not given */
    const char *container_pid;
    const char *proc_path; /* "/proc" */
};

/*
 * POST /api/v1/process?container_name=&container_pid=: which process of the machine that is
 * (pid_namespace.h), found by those that are known to be the pod's and by the connection's peer.
 * It looks at /proc, for some milliseconds: not for the loop's thread. Where there is none: 200
 * with `success` false.
 */
int legacy_api_process(const struct legacy_view *view, const struct legacy_process_query *query,
                       json_t **ret_json);

/*
 * POST /api/v1/trap: an allocation found no memory; "Resume" is to try it again. That is the answer
 * where nothing that we know speaks against it, else {"Fatal": why}: the limit is the limit, and
 * trying again would not move it.
 */
int legacy_api_trap(const struct legacy_view *view, const struct legacy_body *body,
                    json_t **ret_json);
