#include "hypervisor/api_cache.h"

#include "hypervisor/api_json.h"
#include "hypervisor/http_answer.h"
#include "hypervisor/json_value.h"
#include "hypervisor/snapshot.h"
#include "utils/str.h"

static json_t *make(enum api_resource resource, const struct snapshot *snapshot)
{
    switch (resource) {
    case API_NODE:
    case API_NODE_CHANGER:
        return api_json_node(snapshot, resource == API_NODE_CHANGER);
    case API_GPUS:
        return api_json_gpus(snapshot);
    case API_TENANTS:
        return api_json_tenants(snapshot);
    case API_RESOURCE_END:
        break;
    }
    return NULL;
}

static struct http_answer *new_answer(const struct api_cache *cache, enum api_resource resource,
                                      const struct snapshot *snapshot)
{
    json_t *json = make(resource, snapshot);
    struct http_answer *answer = http_answer_new_json(200, json_value_write(json));
    char tag[64];

    json_decref(json);
    (void)str_format(tag, sizeof(tag), "\"%llx-%llx-%x\"", (unsigned long long)cache->epoch,
                     (unsigned long long)snapshot->sequence, (unsigned int)resource); /* fits */
    http_answer_set_tag(answer, tag);
    return answer;
}

void api_cache_init(struct api_cache *cache, uint64_t epoch)
{
    *cache = (struct api_cache){.epoch = epoch};
    (void)pthread_mutex_init(&cache->lock, NULL); /* cannot fail without attributes */
}

void api_cache_fini(struct api_cache *cache)
{
    for (size_t i = 0; i < API_RESOURCE_END; i++)
        http_answer_release(cache->entries[i].answer);
    (void)pthread_mutex_destroy(&cache->lock);
}

struct http_answer *api_cache_get(struct api_cache *cache, enum api_resource resource,
                                  const struct snapshot *snapshot)
{
    struct http_answer *answer;

    (void)pthread_mutex_lock(&cache->lock); /* these two fail for misuse only */
    answer = cache->entries[resource].answer;
    if (!answer || cache->entries[resource].sequence != snapshot->sequence) {
        http_answer_release(answer);
        answer = new_answer(cache, resource, snapshot);
        cache->entries[resource].answer = answer;
        cache->entries[resource].sequence = snapshot->sequence;
    }
    if (answer)
        answer = http_answer_hold(answer);
    (void)pthread_mutex_unlock(&cache->lock);
    return answer;
}
