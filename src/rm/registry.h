#pragma once
/*
 * registry - the RM objects that matter to a tenant, as a tree for each client: clients, devices,
 * subdevices, blocks of video memory with their charged bytes, channel groups and channels. Objects
 * of other classes have none of these below them and are not kept.
 *
 * Memory comes from mmap in chunks that are never moved, so a hook may use it where malloc must not
 * be called. The caller does the locking. Freeing an object removes all below it; blocks that were
 * duplicated are charged once, until the last duplicate goes.
 *
 * Handles may be used again as soon as the driver has freed them, and the driver is called without
 * a lock. So every object has a stamp, and a free removes only what is older than the free itself.
 */
#include "utils/attr.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REGISTRY_CHUNK_OBJECTS 1024u
#define REGISTRY_CHUNKS_MAX    1024u

enum registry_kind {
    REGISTRY_CLIENT,
    REGISTRY_DEVICE,
    REGISTRY_SUBDEVICE,
    REGISTRY_MEMORY,
    REGISTRY_GROUP,
    REGISTRY_CHANNEL,
};

struct registry_object {
    uint32_t client, handle;
    uint32_t kind;            /* enum registry_kind */
    uint32_t device_instance; /* of a device and all below it */
    uint32_t engine;          /* of groups and channels */
    uint32_t is_announced;    /* groups and channels: somebody was told */
    uint32_t is_inherited;    /* a forked child's: the parent's to tell of */
    uint64_t bytes;           /* charged for a block of memory */
    uint64_t file_id;         /* of a client */
    uint64_t stamp;
    uint32_t parent, child, next, previous; /* references; 0: none */
    uint32_t hash_next;
    uint32_t twin; /* ring of duplicates of one block; itself where there are none */
};

/* Called for each object that goes, children before parents, while its parent is still there. */
typedef void registry_gone(void *context, const struct registry_object *object,
                           const struct registry_object *parent);

struct registry {
    uint32_t *buckets;
    uint32_t bucket_count, object_count;
    uint32_t chunk_count, free_first, used_in_last;
    uint32_t clients;       /* the first client; siblings by `next` */
    _Atomic uint64_t stamp; /* of the newest object; relaxed: whoever frees one knew of it before */
    registry_gone *gone;
    void *gone_context;
    struct registry_object *chunks[REGISTRY_CHUNKS_MAX];
};

/* All zero is an empty registry; this sets who is told of objects that go. */
void registry_init(struct registry *registry, registry_gone *gone, void *context);

/* Forgets everything and returns the memory, telling nobody. */
void registry_fini(struct registry *registry);

/* Asks for the cache lines that an object's coming or going will need, and waits for none. */
void registry_prefetch(const struct registry *registry);

/* Room for one more object; false where memory or the bound is exhausted. */
bool registry_has_room(struct registry *registry) MUST_CHECK;

/*
 * Adds a client, or an object below `parent` (the client's own handle: below the client). What had
 * the same handle is gone (the driver gave the handle out again). NULL without room or where the
 * client is not known.
 */
struct registry_object *registry_add_client(struct registry *registry, uint32_t client,
                                            uint64_t file_id) MUST_CHECK;
struct registry_object *registry_add(struct registry *registry, uint32_t client, uint32_t parent,
                                     uint32_t handle, enum registry_kind kind) MUST_CHECK;

/* Makes `copy` (of kind memory) a duplicate of `source`: they are charged once. */
void registry_join(struct registry *registry, struct registry_object *copy,
                   struct registry_object *source);

struct registry_object *registry_find(const struct registry *registry, uint32_t client,
                                      uint32_t handle);
struct registry_object *registry_at(const struct registry *registry, uint32_t reference);

/* The device that an object lies below, or NULL. */
struct registry_object *registry_device_of(const struct registry *registry,
                                           const struct registry_object *object);
/* A subdevice of that device, 0 where there is none. */
uint32_t registry_subdevice_of(const struct registry *registry,
                               const struct registry_object *object);

/* Removes an object and all below it, unless it was added after `stamp` was read. */
void registry_remove(struct registry *registry, uint32_t client, uint32_t handle, uint64_t stamp);
/* Removes all clients of an open file. */
void registry_remove_file(struct registry *registry, uint64_t file_id);

/*
 * Walks the tree below `root` (NULL: all clients), parents first: begin with `at` = NULL, end at
 * NULL. The registry must not change meanwhile.
 */
struct registry_object *registry_next(const struct registry *registry,
                                      const struct registry_object *root,
                                      const struct registry_object *at);
