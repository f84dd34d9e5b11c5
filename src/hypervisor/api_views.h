#pragma once
/*
 * api_views - the handlers that show something: out of the newest snapshot, without the loop.
 */
struct http_request;

/* Well: "ok"; else 503, with each fault. The context of all is the struct api. */
void api_views_healthz(struct http_request *request, void *context);
void api_views_readyz(struct http_request *request, void *context);

void api_views_node(struct http_request *request, void *context);
void api_views_gpus(struct http_request *request, void *context);
void api_views_tenants(struct http_request *request, void *context);
void api_views_tenant(struct http_request *request, void *context);
void api_views_events(struct http_request *request, void *context);
void api_views_log_level(struct http_request *request, void *context);
