#include "rm/registry.h"

#include "utils/atomics.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define BUCKETS_FIRST 1024u
#define CHUNK_BYTES   (REGISTRY_CHUNK_OBJECTS * sizeof(struct registry_object))

/* errno is a program's, on whose way this is. */
static COLD void *map_zeroes(size_t size)
{
    int saved = errno;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    errno = saved;
    return memory == MAP_FAILED ? NULL : memory;
}

void registry_init(struct registry *registry, registry_gone *gone, void *context)
{
    memset(registry, 0, sizeof(*registry));
    registry->gone = gone;
    registry->gone_context = context;
}

void registry_fini(struct registry *registry)
{
    registry_gone *gone = registry->gone;
    void *context = registry->gone_context;

    for (uint32_t i = 0; i < registry->chunk_count; i++)
        (void)munmap(registry->chunks[i], CHUNK_BYTES); /* what mmap gave */
    if (registry->buckets)
        (void)munmap(registry->buckets, registry->bucket_count * sizeof(uint32_t));
    registry_init(registry, gone, context);
}

/* --- storage --------------------------------------------------------------------------------- */

/* References count from 1, so that 0 is none. */
HOT struct registry_object *registry_at(const struct registry *registry, uint32_t reference)
{
    if (!reference)
        return NULL;
    reference--;
    return &registry
                ->chunks[reference / REGISTRY_CHUNK_OBJECTS][reference % REGISTRY_CHUNK_OBJECTS];
}

static COLD void unmap(void *memory, size_t size)
{
    int saved = errno;

    (void)munmap(memory, size); /* what mmap gave; where that fails, it stays */
    errno = saved;
}

static uint32_t bucket_of(const struct registry *registry, uint32_t client, uint32_t handle)
{
    uint64_t key = ((uint64_t)client << 32 | handle) * UINT64_C(0x9E3779B97F4A7C15);

    return (uint32_t)(key >> 32) & (registry->bucket_count - 1);
}

static HOT uint32_t reference_of(const struct registry *registry, uint32_t client, uint32_t handle)
{
    uint32_t reference;

    if (!registry->bucket_count)
        return 0;
    reference = registry->buckets[bucket_of(registry, client, handle)];
    while (reference) {
        const struct registry_object *object = registry_at(registry, reference);

        if (object->client == client && object->handle == handle)
            return reference;
        reference = object->hash_next;
    }
    return 0;
}

HOT struct registry_object *registry_find(const struct registry *registry, uint32_t client,
                                          uint32_t handle)
{
    return registry_at(registry, reference_of(registry, client, handle));
}

static void hash_in(struct registry *registry, uint32_t reference)
{
    struct registry_object *object = registry_at(registry, reference);
    uint32_t *head = &registry->buckets[bucket_of(registry, object->client, object->handle)];

    object->hash_next = *head;
    *head = reference;
}

static void hash_out(struct registry *registry, uint32_t reference)
{
    const struct registry_object *object = registry_at(registry, reference);
    uint32_t *link = &registry->buckets[bucket_of(registry, object->client, object->handle)];

    while (*link != reference)
        link = &registry_at(registry, *link)->hash_next;
    *link = object->hash_next;
}

static bool grow_buckets(struct registry *registry)
{
    uint32_t *old = registry->buckets, old_count = registry->bucket_count;
    uint32_t count = old_count ? old_count * 2 : BUCKETS_FIRST;
    uint32_t *buckets = map_zeroes(count * sizeof(*buckets));

    if (!buckets)
        return old_count != 0; /* longer chains, still right */
    registry->buckets = buckets;
    registry->bucket_count = count;
    for (uint32_t i = 0; i < old_count; i++) {
        for (uint32_t reference = old[i]; reference;) {
            uint32_t next = registry_at(registry, reference)->hash_next;

            hash_in(registry, reference);
            reference = next;
        }
    }
    if (old)
        unmap(old, old_count * sizeof(*old));
    return true;
}

HOT bool registry_has_room(struct registry *registry)
{
    struct registry_object *chunk;

    if (registry->object_count >= registry->bucket_count && !grow_buckets(registry))
        return false;
    if (registry->free_first)
        return true;
    if (registry->chunk_count && registry->used_in_last < REGISTRY_CHUNK_OBJECTS)
        return true;
    if (registry->chunk_count == REGISTRY_CHUNKS_MAX)
        return false;
    chunk = map_zeroes(CHUNK_BYTES);
    if (!chunk)
        return false;
    registry->chunks[registry->chunk_count++] = chunk;
    registry->used_in_last = 0;
    return true;
}

HOT void registry_prefetch(const struct registry *registry)
{
    const char *first = (const char *)registry->chunks[0];

    __builtin_prefetch(registry, 1);
    if (!LIKELY(first))
        return;
    __builtin_prefetch(first, 1); /* a program's first objects are its client and its device */
    __builtin_prefetch(first + 64, 1);
    __builtin_prefetch(first + 128, 1);
    __builtin_prefetch(registry_at(registry, registry->free_first), 1);
}

static HOT uint32_t take_object(struct registry *registry)
{
    uint32_t reference = registry->free_first;

    if (!registry_has_room(registry))
        return 0;
    if (reference)
        registry->free_first = registry_at(registry, reference)->next;
    else
        reference = (registry->chunk_count - 1) * REGISTRY_CHUNK_OBJECTS + ++registry->used_in_last;
    registry->object_count++;
    return reference;
}

/* --- the tree -------------------------------------------------------------------------------- */

static uint32_t *children_of(struct registry *registry, uint32_t parent)
{
    return parent ? &registry_at(registry, parent)->child : &registry->clients;
}

static void link_in(struct registry *registry, uint32_t reference, uint32_t parent)
{
    struct registry_object *object = registry_at(registry, reference);
    uint32_t *head = children_of(registry, parent);

    object->parent = parent;
    object->next = *head;
    object->previous = 0;
    if (*head)
        registry_at(registry, *head)->previous = reference;
    *head = reference;
}

static void link_out(struct registry *registry, const struct registry_object *object)
{
    if (object->previous)
        registry_at(registry, object->previous)->next = object->next;
    else
        *children_of(registry, object->parent) = object->next;
    if (object->next)
        registry_at(registry, object->next)->previous = object->previous;
}

/* A block that has duplicates leaves its charge to one of them. */
static void leave_twins(struct registry *registry, uint32_t reference)
{
    struct registry_object *object = registry_at(registry, reference);
    struct registry_object *other = registry_at(registry, object->twin);
    uint32_t before = object->twin;

    if (object->twin == reference)
        return;
    while (registry_at(registry, before)->twin != reference)
        before = registry_at(registry, before)->twin;
    registry_at(registry, before)->twin = object->twin;
    other->bytes += object->bytes;
    object->bytes = 0;
}

static HOT void drop_leaf(struct registry *registry, uint32_t reference)
{
    struct registry_object *object = registry_at(registry, reference);

    leave_twins(registry, reference);
    if (registry->gone)
        registry->gone(registry->gone_context, object, registry_at(registry, object->parent));
    hash_out(registry, reference);
    link_out(registry, object);
    memset(object, 0, sizeof(*object));
    object->next = registry->free_first;
    registry->free_first = reference;
    registry->object_count--;
}

static HOT void drop_tree(struct registry *registry, uint32_t root)
{
    uint32_t reference = root;

    for (;;) {
        const struct registry_object *object = registry_at(registry, reference);
        uint32_t parent = object->parent;

        if (object->child) {
            reference = object->child;
            continue;
        }
        drop_leaf(registry, reference);
        if (reference == root)
            return;
        reference = parent;
    }
}

static HOT struct registry_object *add(struct registry *registry, uint32_t client, uint32_t handle,
                                       uint32_t parent)
{
    uint32_t reference = take_object(registry);
    struct registry_object *object = registry_at(registry, reference);

    if (!object)
        return NULL;
    memset(object, 0, sizeof(*object));
    object->client = client;
    object->handle = handle;
    object->stamp = load_relaxed(&registry->stamp) + 1;
    store_relaxed(&registry->stamp, object->stamp);
    object->twin = reference;
    link_in(registry, reference, parent);
    hash_in(registry, reference);
    return object;
}

struct registry_object *registry_add_client(struct registry *registry, uint32_t client,
                                            uint64_t file_id)
{
    uint32_t old = reference_of(registry, client, client);
    struct registry_object *object;

    if (old)
        drop_tree(registry, old);
    object = add(registry, client, client, 0);
    if (!object)
        return NULL;
    object->kind = REGISTRY_CLIENT;
    object->file_id = file_id;
    return object;
}

HOT struct registry_object *registry_add(struct registry *registry, uint32_t client,
                                         uint32_t parent, uint32_t handle, enum registry_kind kind)
{
    uint32_t old = reference_of(registry, client, handle), above;
    const struct registry_object *over;
    struct registry_object *object;

    if (handle == client)
        return NULL; /* the client itself is never replaced by a part of it */
    if (old)
        drop_tree(registry, old);
    above = reference_of(registry, client, parent);
    if (!above)
        above = reference_of(registry, client, client);
    if (!above)
        return NULL;
    object = add(registry, client, handle, above);
    if (!object)
        return NULL;
    over = registry_at(registry, above);
    object->kind = kind;
    object->device_instance = over->device_instance;
    object->engine = over->engine;
    return object;
}

void registry_join(struct registry *registry, struct registry_object *copy,
                   struct registry_object *source)
{
    uint32_t twin = source->twin;

    copy->device_instance = source->device_instance;
    source->twin = copy->twin;
    copy->twin = twin;
}

struct registry_object *registry_device_of(const struct registry *registry,
                                           const struct registry_object *object)
{
    struct registry_object *at = NULL;

    for (uint32_t parent = object->parent; parent; parent = at->parent) {
        at = registry_at(registry, parent);
        if (at->kind == REGISTRY_DEVICE)
            return at;
    }
    return NULL;
}

uint32_t registry_subdevice_of(const struct registry *registry,
                               const struct registry_object *object)
{
    const struct registry_object *device = registry_device_of(registry, object);
    const struct registry_object *at;

    for (uint32_t child = device ? device->child : 0; child; child = at->next) {
        at = registry_at(registry, child);
        if (at->kind == REGISTRY_SUBDEVICE)
            return at->handle;
    }
    return 0;
}

HOT void registry_remove(struct registry *registry, uint32_t client, uint32_t handle,
                         uint64_t stamp)
{
    uint32_t reference = reference_of(registry, client, handle);

    if (reference && registry_at(registry, reference)->stamp <= stamp)
        drop_tree(registry, reference);
}

void registry_remove_file(struct registry *registry, uint64_t file_id)
{
    for (uint32_t client = registry->clients; client;) {
        const struct registry_object *object = registry_at(registry, client);
        uint32_t next = object->next;

        if (object->file_id == file_id)
            drop_tree(registry, client);
        client = next;
    }
}

struct registry_object *registry_next(const struct registry *registry,
                                      const struct registry_object *root,
                                      const struct registry_object *at)
{
    if (!at)
        return registry_at(registry, root ? root->child : registry->clients);
    if (at->child)
        return registry_at(registry, at->child);
    while (at != root && !at->next) {
        at = registry_at(registry, at->parent);
        if (!at)
            return NULL;
    }
    return at == root ? NULL : registry_at(registry, at->next);
}
