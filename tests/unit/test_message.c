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

/* The length of each type as its struct has it, apart from the table that is tested. */
static const size_t lengths[MESSAGE_TYPE_END] = {
    [MESSAGE_HELLO] = sizeof(struct message_hello),
    [MESSAGE_SET] = sizeof(struct message_set),
    [MESSAGE_REPLY] = sizeof(struct message_reply),
    [MESSAGE_STATUS_TENANT] = sizeof(struct message_status_tenant),
    [MESSAGE_STATUS_PROCESS] = sizeof(struct message_status_process),
    [MESSAGE_STATUS_GPU] = sizeof(struct message_status_gpu),
};

TEST(garbage_behind_a_true_header_is_bounded_by_its_type)
{
    unsigned char bytes[MESSAGE_SIZE_MAX];

    srand(2);
    for (int type = 0; type < MESSAGE_TYPE_END; type++) {
        if (!lengths[type])
            continue;
        for (size_t i = 0; i < sizeof(bytes); i++)
            bytes[i] = (unsigned char)(1 + rand() % 255);
        message_init(bytes, (enum message_type)type, lengths[type]);
        CHECK_EQ(message_check(bytes, lengths[type]), type);
        message_init(bytes, (enum message_type)type, lengths[type] + 1);
        CHECK_EQ(message_check(bytes, lengths[type] + 1), -EPROTO);
        CHECK_EQ(message_check(bytes, lengths[type]), -EPROTO);
    }
}

TEST(every_text_of_a_message_ends_within_it)
{
    union {
        struct message_status_tenant tenant;
        struct message_status_process process;
        struct message_status_gpu gpu;
        struct message_reply reply;
    } any;

    memset(&any, 'x', sizeof(any));
    message_init(&any, MESSAGE_STATUS_TENANT, sizeof(any.tenant));
    CHECK_EQ(message_check(&any, sizeof(any.tenant)), MESSAGE_STATUS_TENANT);
    CHECK_EQ(strlen(any.tenant.name), sizeof(any.tenant.name) - 1);
    memset(&any, 'x', sizeof(any));
    message_init(&any, MESSAGE_STATUS_PROCESS, sizeof(any.process));
    CHECK_EQ(message_check(&any, sizeof(any.process)), MESSAGE_STATUS_PROCESS);
    CHECK_EQ(strlen(any.process.comm), sizeof(any.process.comm) - 1);
    memset(&any, 'x', sizeof(any));
    message_init(&any, MESSAGE_STATUS_GPU, sizeof(any.gpu));
    CHECK_EQ(message_check(&any, sizeof(any.gpu)), MESSAGE_STATUS_GPU);
    CHECK_EQ(strlen(any.gpu.uuid), sizeof(any.gpu.uuid) - 1);
    memset(&any, 'x', sizeof(any));
    message_init(&any, MESSAGE_REPLY, sizeof(any.reply));
    CHECK_EQ(message_check(&any, sizeof(any.reply)), MESSAGE_REPLY);
    CHECK_EQ(strlen(any.reply.text), sizeof(any.reply.text) - 1);
}
