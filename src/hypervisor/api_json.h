#pragma once
/*
 * api_json - what the API shows, as JSON: docs/openapi.yaml says what each field means. What was
 * not measured is null. All return a new reference, NULL where there was no memory.
 */
#include <jansson.h>

#include <stdbool.h>

struct event;
struct request;
struct snapshot;
struct snapshot_tenant;

json_t *api_json_node(const struct snapshot *snapshot, bool may_change);
json_t *api_json_gpus(const struct snapshot *snapshot);
json_t *api_json_tenant(const struct snapshot *snapshot, const struct snapshot_tenant *tenant);
json_t *api_json_tenants(const struct snapshot *snapshot);

/* [{"component","text"}], as in the node and in the problem of /healthz. */
json_t *api_json_faults(const struct snapshot *snapshot);

/* What streams push: {"unix_ms","gpus","tenants"}. */
json_t *api_json_sample(const struct snapshot *snapshot);

json_t *api_json_event(const struct event *event);

/* What a CREATE came to: {"name","gpus":[uuid...]}. */
json_t *api_json_created(const struct snapshot *snapshot, const struct request *request);
