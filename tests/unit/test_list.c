#include "utils/list.h"

#include "tests/harness.h"

struct item {
    int number;
    struct list node;
};

TEST(nodes_come_in_the_order_they_were_appended)
{
    struct item a = {.number = 1}, b = {.number = 2};
    struct list head;
    int seen = 0;

    list_init(&head);
    CHECK(list_is_empty(&head));
    list_append(&head, &a.node);
    list_append(&head, &b.node);
    LIST_EACH(node, &head)
    seen = seen * 10 + CONTAINER_OF(node, struct item, node)->number;
    CHECK_EQ(seen, 12);
}

TEST(a_node_may_be_removed_while_walking)
{
    struct item items[3];
    struct list head;

    list_init(&head);
    for (int i = 0; i < 3; i++)
        list_append(&head, &items[i].node);
    LIST_EACH_SAFE(node, following, &head)
    list_remove(node);
    CHECK(list_is_empty(&head));
}
