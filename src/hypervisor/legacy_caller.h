#pragma once
/*
 * legacy_caller - who calls one of the old system's routes, and what it may speak of: its own pod,
 * and nothing else. Who it is has been proved before it comes here, by a token that we gave out; a
 * token of the cluster's whose signature nobody checked proves nothing.
 */
#include "hypervisor/legacy_tasks.h"
#include "hypervisor/pod_name.h"
#include "hypervisor/snapshot.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct legacy_caller {
    bool is_known;    /* it brought a token that is in force */
    bool is_operator; /* an operator's: may give commands to any pod's processes */
    bool is_pod;      /* a pod's: `pod` is filled in */
    struct pod_name pod;
    int32_t peer_pid; /* of a local connection (SO_PEERCRED); 0: not known */
};

/* All that a route looks at; borrowed for the call. */
struct legacy_view {
    const struct legacy_caller *caller;
    const struct snapshot *snapshot;
    const struct pod_rule *rule;
    struct legacy_tasks *tasks;
    uint64_t now_unix_ms;
};

/* The body of a request. */
struct legacy_body {
    const char *text; /* not ended by a NUL */
    size_t length;
};

/* What a route answers with a status of 400 and above: application/problem+json. Returns it. */
int legacy_caller_problem(int status, const char *detail, json_t **ret_json);

/* Where the caller is a pod: 0. Else what to answer: 401 without a token, 403 with another one. */
int legacy_caller_check_pod(const struct legacy_view *view, json_t **ret_json);

/* The tenant of the caller's pod; NULL: it has none here. */
const struct snapshot_tenant *legacy_caller_tenant(const struct legacy_view *view);

/* The tenant of ours that a process is of; NULL: it is nobody's. No standalone one's. */
const struct snapshot_tenant *legacy_caller_tenant_of(const struct legacy_view *view, int32_t pid);

/* Whether the process is of the caller's own pod. */
bool legacy_caller_owns(const struct legacy_view *view, int32_t pid);

/* `worker_<host pid>` and nothing else; false: it is not that. */
bool legacy_caller_parse_client(const char *client_id, int32_t *ret_pid);

/* JSON of a body: an object; NULL: it is none. The caller puts it away (json_decref()). */
json_t *legacy_caller_parse_body(const struct legacy_body *body);
