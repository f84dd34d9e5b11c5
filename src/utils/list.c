#include "utils/list.h"

void list_init(struct list *head)
{
    head->next = head;
    head->previous = head;
}

void list_append(struct list *head, struct list *node)
{
    node->next = head;
    node->previous = head->previous;
    head->previous->next = node;
    head->previous = node;
}

void list_remove(struct list *node)
{
    node->previous->next = node->next;
    node->next->previous = node->previous;
    list_init(node);
}

bool list_is_empty(const struct list *head)
{
    return head->next == head;
}
