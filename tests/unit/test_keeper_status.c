#include "tests/harness.h"

#include "hypervisor/keeper_status.h"

#include <stdlib.h>
#include <string.h>

static struct keeper_status status;

static bool take_plain(enum message_type type)
{
    union {
        struct message_header header;
        char bytes[MESSAGE_SIZE_MAX];
    } message = {.bytes = {0}};

    message_init(&message, type, sizeof(message.bytes));
    return keeper_status_take(&status, &message.header);
}

static void start(void)
{
    free(status.processes);
    memset(&status, 0, sizeof(status));
}

TEST(it_is_whole_with_the_reply_and_not_before)
{
    start();
    CHECK(!take_plain(MESSAGE_STATUS_TENANT));
    CHECK(!take_plain(MESSAGE_STATUS_PROCESS));
    CHECK(!take_plain(MESSAGE_STATUS_GPU));
    CHECK(take_plain(MESSAGE_REPLY));
    CHECK_EQ(status.process_count, 1);
    CHECK_EQ(status.gpu_count, 1);
}

TEST(an_answer_without_a_tenant_is_none)
{
    start();
    CHECK(!take_plain(MESSAGE_REPLY));
    CHECK(!take_plain(MESSAGE_STATUS_GPU));
    CHECK(!take_plain(MESSAGE_REPLY));
    CHECK(!take_plain(MESSAGE_EXPLAINED));
}

TEST(one_that_was_cut_short_is_forgotten_when_the_next_begins)
{
    start();
    (void)take_plain(MESSAGE_STATUS_TENANT);
    for (int i = 0; i < 40; i++)
        (void)take_plain(MESSAGE_STATUS_PROCESS);
    CHECK_EQ(status.process_count, 40);
    (void)take_plain(MESSAGE_STATUS_TENANT);
    CHECK_EQ(status.process_count, 0);
    CHECK(take_plain(MESSAGE_REPLY));
    keeper_status_reset(&status);
    CHECK(!take_plain(MESSAGE_REPLY));
}

TEST(more_than_can_be_is_not_kept)
{
    start();
    (void)take_plain(MESSAGE_STATUS_TENANT);
    for (int i = 0; i < 100; i++)
        (void)take_plain(MESSAGE_STATUS_GPU);
    for (int i = 0; i < 70000; i++)
        (void)take_plain(MESSAGE_STATUS_PROCESS);
    CHECK_EQ(status.gpu_count, REGION_GPUS_MAX);
    CHECK_EQ(status.process_count, 65536);
    CHECK(take_plain(MESSAGE_REPLY));
    start();
}
