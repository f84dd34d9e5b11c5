#include "ipc/message.h"

#include "tests/harness.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

TEST(what_init_made_is_accepted)
{
    struct message_group group = {0};

    message_init(&group, MESSAGE_GROUP, sizeof(group));
    CHECK_EQ(message_check(&group, sizeof(group)), MESSAGE_GROUP);
}

TEST(other_lengths_versions_and_types_are_refused)
{
    struct message_group group = {0};

    message_init(&group, MESSAGE_GROUP, sizeof(group));
    CHECK_EQ(message_check(&group, sizeof(group) - 1), -EPROTO);
    CHECK_EQ(message_check(&group, 3), -EPROTO);
    group.header.version++;
    CHECK_EQ(message_check(&group, sizeof(group)), -EPROTO);
    message_init(&group, MESSAGE_TYPE_END, sizeof(group));
    CHECK_EQ(message_check(&group, sizeof(group)), -EPROTO);
    message_init(&group, MESSAGE_STATUS_GPU, sizeof(group));
    CHECK_EQ(message_check(&group, sizeof(group)), -EPROTO);
}

TEST(a_text_without_an_end_gets_one)
{
    struct message_hello hello;

    memset(&hello, 'x', sizeof(hello));
    message_init(&hello, MESSAGE_HELLO, sizeof(hello));
    CHECK_EQ(message_check(&hello, sizeof(hello)), MESSAGE_HELLO);
    CHECK_EQ(strlen(hello.comm), sizeof(hello.comm) - 1);
}

TEST(random_bytes_are_never_a_message)
{
    unsigned char bytes[256];

    srand(1);
    for (int i = 0; i < 20000; i++) {
        size_t length = (size_t)(rand() % (int)sizeof(bytes));

        for (size_t j = 0; j < length; j++)
            bytes[j] = (unsigned char)rand();
        CHECK_EQ(message_check(bytes, length), -EPROTO);
    }
}
