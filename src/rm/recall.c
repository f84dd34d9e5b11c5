#include "rm/recall.h"

static _Atomic uint64_t *place_of(struct recall *recall, uint64_t key)
{
    return &recall->words[key >> (64 - RECALL_BITS)];
}

void recall_put(struct recall *recall, uint32_t client, uint32_t handle, uint32_t device_instance)
{
    uint64_t key = recall_key(client, handle);

    if (device_instance < RECALL_WORDS - 1)
        store_relaxed(place_of(recall, key), key << RECALL_BITS | (device_instance + 1));
}

HOT void recall_drop(struct recall *recall, uint32_t client, uint32_t handle)
{
    uint32_t device_instance;

    if (recall_get(recall, client, handle, &device_instance))
        store_relaxed(place_of(recall, recall_key(client, handle)), 0);
}
