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

TEST(of_somebody_elses_no_more_processes_are_believed_than_its_bound)
{
    start();
    status.process_most = 24;
    (void)take_plain(MESSAGE_STATUS_TENANT);
    for (int i = 0; i < 100; i++)
        (void)take_plain(MESSAGE_STATUS_PROCESS);
    CHECK_EQ(status.process_count, 24);
    CHECK(take_plain(MESSAGE_REPLY));
    keeper_status_reset(&status);
    CHECK_EQ(status.process_most, 24);
}

static struct {
    uint32_t types[8];
    uint32_t count;
    struct message_status_tenant tenant;
} told;

static void take_told(void *context, const struct message_header *message)
{
    (void)context;
    CHECK(told.count < 8);
    if (message->type == MESSAGE_STATUS_TENANT)
        memcpy(&told.tenant, message, sizeof(told.tenant));
    told.types[told.count++] = message->type;
}

TEST(it_is_told_as_its_supervisor_would_under_the_name_that_we_give_it)
{
    start();
    (void)take_plain(MESSAGE_STATUS_TENANT);
    status.tenant.process_count = 4000;
    (void)take_plain(MESSAGE_STATUS_PROCESS);
    (void)take_plain(MESSAGE_STATUS_GPU);
    keeper_status_tell(&status, "a@1000", 1000, take_told, NULL);
    CHECK_EQ(told.count, 4);
    CHECK_EQ(told.types[0], MESSAGE_STATUS_TENANT);
    CHECK_EQ(told.types[1], MESSAGE_STATUS_PROCESS);
    CHECK_EQ(told.types[2], MESSAGE_STATUS_GPU);
    CHECK_EQ(told.types[3], MESSAGE_REPLY);
    CHECK_STR_EQ(told.tenant.name, "a@1000");
    CHECK_EQ(told.tenant.uid, 1000);
    CHECK_EQ(told.tenant.process_count, 1);
    CHECK_EQ(told.tenant.gpu_count, 1);
}
