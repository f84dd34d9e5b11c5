#pragma once
/*
 * api_cache - each resource is written as JSON once a snapshot, however many ask for it.
 */
#include "utils/attr.h"

#include <jansson.h>
#include <pthread.h>
#include <stdint.h>

struct http_answer;
struct snapshot;

enum api_resource {
    API_NODE, /* for those who may change nothing */
    API_NODE_CHANGER,
    API_GPUS,
    API_TENANTS,
    API_RESOURCE_END
};

struct api_cache {
    pthread_mutex_t lock;
    uint64_t epoch; /* of this daemon: makes the tags of two daemons differ */
    struct {
        uint64_t sequence; /* of the snapshot */
        struct http_answer *answer;
    } entries[API_RESOURCE_END];
};

void api_cache_init(struct api_cache *cache, uint64_t epoch);
void api_cache_fini(struct api_cache *cache);

/* The answer for the snapshot; the caller has a reference. NULL: no memory. Any thread. */
struct http_answer *api_cache_get(struct api_cache *cache, enum api_resource resource,
                                  const struct snapshot *snapshot);
