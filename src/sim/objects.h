#pragma once
/*
 * objects - what the RM's clients have made: a tree for each client, its objects found by handle.
 * Freeing an object frees what is below it first, newest first. Handles are chosen by the caller,
 * or here when the caller passes 0; a client's handle is unique on the machine, an object's in its
 * client.
 */
#include "utils/attr.h"
#include "utils/list.h"

#include <stdint.h>
#include <sys/types.h>

#define OBJECTS_BUCKETS 256

struct client;

struct object {
    struct list bucket_node;
    struct list sibling_node;
    struct list children;
    struct object *parent; /* NULL of a client */
    struct client *client;
    uint32_t handle, class;
    int32_t board;                          /* index of the GPU it belongs to, -1 for none */
    void *content;                          /* of its class */
    void (*release)(struct object *object); /* gives up the content; NULL where there is none */
};

struct client {
    struct object object;  /* the root of the tree; its handle is the client's */
    struct list node;      /* in objects */
    struct list file_node; /* in the open file it was made on */
    uint64_t file;         /* inode */
    uint32_t pid, uid;     /* of who made it */
    uint32_t next_handle;
    uint32_t object_count;
    struct list buckets[OBJECTS_BUCKETS];
};

struct objects {
    struct list clients;
    uint32_t next_client;
};

void objects_init(struct objects *objects);

/* handle 0: chosen here. -EEXIST where the handle is taken, -ENOMEM. */
int objects_add_client(struct objects *objects, struct client **ret_client, uint32_t handle,
                       uint32_t class) MUST_CHECK;

/* -EEXIST, -ENOMEM. The object has no content yet; its board is its parent's. */
int objects_add(struct object *parent, struct object **ret_object, uint32_t handle,
                uint32_t class) MUST_CHECK;

struct client *objects_find_client(const struct objects *objects, uint32_t handle);

/* The client's own handle finds its root. NULL where there is none. */
struct object *objects_find(struct client *client, uint32_t handle);

/* Frees the object and everything below it. */
void objects_free(struct object *object);
