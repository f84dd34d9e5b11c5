#pragma once
/*
 * list - a ring of nodes that lie in the structs they connect.
 */
#include "utils/attr.h"

#include <stdbool.h>

struct list {
    struct list *next;
    struct list *previous;
};

#define LIST_EACH(node, head)                                                                      \
    for (struct list *node = (head)->next; node != (head); node = node->next)
/* Safe where the body removes `node` from the ring. */
#define LIST_EACH_SAFE(node, following, head)                                                      \
    for (struct list *node = (head)->next, *following = node->next; node != (head);                \
         node = following, following = node->next)

void list_init(struct list *head);
void list_append(struct list *head, struct list *node);
void list_remove(struct list *node); /* the node is a ring of its own afterwards */
bool list_is_empty(const struct list *head);
