#pragma once
/*
 * api_changes - the handlers that have the loop do something, and wait for it (api_call.h).
 */
struct http_request;

/* The context of all is the struct api. */
void api_changes_create(struct http_request *request, void *context);
void api_changes_change(struct http_request *request, void *context);
void api_changes_delete(struct http_request *request, void *context);
void api_changes_explain(struct http_request *request, void *context);
/* freeze and thaw: 501 */
void api_changes_freeze(struct http_request *request, void *context);
/* Operators alone, without the loop. */
void api_changes_log_level(struct http_request *request, void *context);
