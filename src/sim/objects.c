#include "sim/objects.h"

#include <errno.h>
#include <stdlib.h>

/* As the driver's own: 0xc1d0.... for clients, 0xcaf..... for what they leave to it to name. */
#define FIRST_CLIENT       0xC1D00000u
#define FIRST_OBJECT       0xCAF00000u
#define CLIENT_OBJECTS_MAX 1000000

static struct list *find_bucket(struct client *client, uint32_t handle)
{
    return &client->buckets[(handle * 2654435761u) >> 24];
}

void objects_init(struct objects *objects)
{
    list_init(&objects->clients);
    objects->next_client = FIRST_CLIENT;
}

struct client *objects_find_client(const struct objects *objects, uint32_t handle)
{
    LIST_EACH(node, &objects->clients)
    {
        struct client *client = CONTAINER_OF(node, struct client, node);

        if (client->object.handle == handle)
            return client;
    }
    return NULL;
}

struct object *objects_find(struct client *client, uint32_t handle)
{
    struct list *bucket = find_bucket(client, handle);

    LIST_EACH(node, bucket)
    {
        struct object *object = CONTAINER_OF(node, struct object, bucket_node);

        if (object->handle == handle)
            return object;
    }
    return NULL;
}

static void enter(struct client *client, struct object *object)
{
    list_init(&object->children);
    list_append(find_bucket(client, object->handle), &object->bucket_node);
    object->client = client;
    client->object_count++;
}

int objects_add_client(struct objects *objects, struct client **ret_client, uint32_t handle,
                       uint32_t class)
{
    struct client *client;

    if (handle != 0 && objects_find_client(objects, handle))
        return -EEXIST;
    while (handle == 0 || objects_find_client(objects, handle))
        handle = objects->next_client++;
    client = calloc(1, sizeof(*client));
    if (!client)
        return -ENOMEM;
    for (size_t i = 0; i < OBJECTS_BUCKETS; i++)
        list_init(&client->buckets[i]);
    client->object.handle = handle;
    client->object.class = class;
    client->object.board = -1;
    client->next_handle = FIRST_OBJECT;
    list_init(&client->object.sibling_node);
    list_init(&client->file_node);
    enter(client, &client->object);
    list_append(&objects->clients, &client->node);
    *ret_client = client;
    return 0;
}

int objects_add(struct object *parent, struct object **ret_object, uint32_t handle, uint32_t class)
{
    struct client *client = parent->client;
    struct object *object;

    if (handle != 0 && objects_find(client, handle))
        return -EEXIST;
    if (client->object_count >= CLIENT_OBJECTS_MAX)
        return -ENOMEM;
    while (handle == 0 || objects_find(client, handle))
        handle = client->next_handle++;
    object = calloc(1, sizeof(*object));
    if (!object)
        return -ENOMEM;
    object->handle = handle;
    object->class = class;
    object->parent = parent;
    object->board = parent->board;
    enter(client, object);
    list_append(&parent->children, &object->sibling_node);
    *ret_object = object;
    return 0;
}

static void free_leaf(struct object *object)
{
    struct client *client = object->client;

    if (object->release)
        object->release(object);
    list_remove(&object->bucket_node);
    list_remove(&object->sibling_node);
    client->object_count--;
    if (object != &client->object) {
        free(object);
        return;
    }
    list_remove(&client->node);
    list_remove(&client->file_node);
    free(client);
}

/* Without recursion: a tree made by a hostile program may be as deep as it has objects. */
void objects_free(struct object *object)
{
    struct object *current = object;

    for (;;) {
        struct object *parent = current->parent;

        if (!list_is_empty(&current->children)) {
            current = CONTAINER_OF(current->children.previous, struct object, sibling_node);
            continue;
        }
        if (current == object) {
            free_leaf(current);
            return;
        }
        free_leaf(current);
        current = parent;
    }
}
