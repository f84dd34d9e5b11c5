#include "tests/harness.h"

#include "supervisor/tenant.h"
#include "utils/file.h"
#include "utils/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    char folder[32], path[64];
    struct tenant tenant, loaded;
} at;

static void start(void)
{
    (void)str_format(at.folder, sizeof(at.folder), "/tmp/vgunitXXXXXX");
    CHECK(mkdtemp(at.folder) != NULL);
    (void)str_format(at.path, sizeof(at.path), "%s/state", at.folder);
    tenant_init(&at.tenant, "trainer");
    at.tenant.gpu_count = 2;
    for (int i = 0; i < 2; i++) {
        at.tenant.quotas[i] = (struct tenant_quota){REGION_NO_LIMIT, 100000, 1, REGION_NORMAL, 1};
        at.tenant.cards[i].memory_bytes = UINT64_C(80) << 30;
        at.tenant.cards[i].nvml_index = i ? 3 : 0; /* 1 and 2 are not the supervisor's slots */
    }
}

static void stop(void)
{
    (void)unlink(at.path);
    CHECK_EQ(rmdir(at.folder), 0);
}

static int load(void)
{
    return tenant_load(&at.loaded, at.path, NULL);
}

static int save_and_load(void)
{
    CHECK_EQ(tenant_save(&at.tenant, at.path, NULL), 0);
    return load();
}

TEST(what_is_saved_is_what_is_loaded)
{
    start();
    at.tenant.command_pid = 77;
    at.tenant.command_start_time = UINT64_MAX;
    CHECK_EQ(save_and_load(), 0);
    CHECK_EQ(memcmp(&at.tenant, &at.loaded, sizeof(at.tenant)), 0);
    stop();
}

TEST(a_file_that_is_short_long_or_of_another_version_is_refused)
{
    union {
        struct tenant tenant;
        char bytes[sizeof(struct tenant) + 8];
    } content = {.bytes = {0}};

    start();
    CHECK_EQ(load(), -ENOENT);
    content.tenant = at.tenant;
    for (size_t size = 0; size < sizeof(content); size += size < 16 ? 1 : 97) {
        if (size == sizeof(struct tenant))
            continue;
        CHECK_EQ(file_write(at.path, content.bytes, size, NULL), 0);
        CHECK_EQ(load(), -EPROTO);
    }
    at.tenant.version++;
    CHECK_EQ(save_and_load(), -EPROTO);
    at.tenant.version--;
    at.tenant.magic++;
    CHECK_EQ(save_and_load(), -EPROTO);
    at.tenant.magic--;
    at.tenant.length++;
    CHECK_EQ(save_and_load(), -EPROTO);
    stop();
}

TEST(a_state_that_cannot_be_is_refused)
{
    static const struct tenant_quota nonsense[] = {
        {0, 100000, 1, REGION_NORMAL, 1},    {1, 0, 1, REGION_NORMAL, 1},
        {1, 100001, 1, REGION_NORMAL, 1},    {1, 100000, 0, REGION_NORMAL, 1},
        {1, 100000, 1001, REGION_NORMAL, 1}, {1, 100000, 1, REGION_HIGH + 1, 1},
        {1, 100000, 1, UINT32_MAX, 1},
    };

    start();
    for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
        struct tenant_quota sane = at.tenant.quotas[1];

        at.tenant.quotas[1] = nonsense[i];
        CHECK_EQ(save_and_load(), -EPROTO);
        at.tenant.quotas[1] = sane;
    }
    at.tenant.gpu_count = REGION_GPUS_MAX + 1;
    CHECK_EQ(save_and_load(), -EPROTO);
    at.tenant.gpu_count = UINT32_MAX;
    CHECK_EQ(save_and_load(), -EPROTO);
    stop();
}

TEST(strings_of_a_state_have_an_end)
{
    start();
    memset(at.tenant.name, 'n', sizeof(at.tenant.name));
    memset(at.tenant.cards[0].uuid, 'u', sizeof(at.tenant.cards[0].uuid));
    memset(at.tenant.cards[0].pci_bus_id, 'p', sizeof(at.tenant.cards[0].pci_bus_id));
    CHECK_EQ(save_and_load(), 0);
    CHECK(strnlen(at.loaded.name, sizeof(at.loaded.name)) < sizeof(at.loaded.name));
    CHECK(strnlen(at.loaded.cards[0].uuid, sizeof(at.loaded.cards[0].uuid)) <
          sizeof(at.loaded.cards[0].uuid));
    CHECK(strnlen(at.loaded.cards[0].pci_bus_id, sizeof(at.loaded.cards[0].pci_bus_id)) <
          sizeof(at.loaded.cards[0].pci_bus_id));
    stop();
}

static int change(struct message_set set)
{
    if (!set.gpu_mask)
        set.gpu_mask = UINT32_MAX;
    return tenant_change(&at.tenant, &set, NULL);
}

TEST(only_what_was_asked_for_changes_and_only_there)
{
    start();
    CHECK_EQ(change((struct message_set){
                 .fields = MESSAGE_SET_COMPUTE, .gpu_mask = 1u << 3, .cap_milli_percent = 30000}),
             0);
    CHECK_EQ(at.tenant.quotas[0].cap_milli_percent, 100000);
    CHECK_EQ(at.tenant.quotas[1].cap_milli_percent, 30000);
    CHECK_EQ(at.tenant.quotas[1].weight, 1);
    CHECK_EQ(change((struct message_set){.gpu_mask = 0xfffffff6, .fields = MESSAGE_SET_WEIGHT}), 0);
    stop();
}

TEST(a_gpu_that_no_bit_can_name_is_meant_with_all_alone)
{
    start();
    at.tenant.cards[1].nvml_index = 35;
    CHECK_EQ(change((struct message_set){
                 .fields = MESSAGE_SET_WEIGHT, .gpu_mask = 1u << 3 | 1, .weight = 5}),
             0);
    CHECK_EQ(at.tenant.quotas[0].weight, 5);
    CHECK_EQ(at.tenant.quotas[1].weight, 1);
    CHECK_EQ(change((struct message_set){.fields = MESSAGE_SET_WEIGHT, .weight = 7}), 0);
    CHECK_EQ(at.tenant.quotas[1].weight, 7);
    stop();
}

TEST(a_change_that_cannot_be_changes_nothing_at_all)
{
    start();
    CHECK_EQ(change((struct message_set){.fields = MESSAGE_SET_COMPUTE | MESSAGE_SET_WEIGHT,
                                         .cap_milli_percent = 30000,
                                         .weight = 1001}),
             -EINVAL);
    CHECK_EQ(at.tenant.quotas[0].cap_milli_percent, 100000);
    CHECK_EQ(change((struct message_set){.fields = MESSAGE_SET_MEMORY}), -EINVAL);
    CHECK_EQ(change((struct message_set){.fields = MESSAGE_SET_COMPUTE}), -EINVAL);
    CHECK_EQ(change((struct message_set){.fields = MESSAGE_SET_PRIORITY, .priority = UINT32_MAX}),
             -EINVAL);
    CHECK_EQ(at.tenant.quotas[1].priority, REGION_NORMAL);
    stop();
}

TEST(a_part_of_the_card_is_a_part_of_each_card)
{
    start();
    at.tenant.cards[1].memory_bytes = UINT64_C(40) << 30;
    CHECK_EQ(
        change((struct message_set){.fields = MESSAGE_SET_MEMORY, .memory_milli_percent = 50000}),
        0);
    CHECK_NEAR(at.tenant.quotas[0].memory_bytes / 1e9, (double)(UINT64_C(40) << 30) / 1e9, 0.001);
    CHECK_NEAR(at.tenant.quotas[1].memory_bytes / 1e9, (double)(UINT64_C(20) << 30) / 1e9, 0.001);
    CHECK_EQ(
        change((struct message_set){.fields = MESSAGE_SET_MEMORY, .memory_milli_percent = 100000}),
        0);
    CHECK_EQ(at.tenant.quotas[0].memory_bytes, UINT64_C(80) << 30); /* the whole is the whole */
    stop();
}

TEST(more_than_the_whole_card_is_no_part_of_it)
{
    start();
    CHECK_EQ(change((struct message_set){.fields = MESSAGE_SET_MEMORY,
                                         .memory_milli_percent = UINT32_MAX}),
             -EINVAL);
    stop();
}

/* --- suspended, kept, whose --- */

TEST(all_of_a_tenant_is_kept_in_its_state)
{
    start();
    at.tenant.uid = 1234;
    at.tenant.is_kept = 1;
    at.tenant.is_suspended = 1;
    at.tenant.supervisor_pid = 55;
    at.tenant.supervisor_start_time = UINT64_MAX - 1;
    CHECK_EQ(save_and_load(), 0);
    CHECK_EQ(at.loaded.uid, 1234);
    CHECK_EQ(at.loaded.is_kept, 1);
    CHECK_EQ(at.loaded.is_suspended, 1);
    CHECK_EQ(at.loaded.supervisor_pid, 55);
    CHECK(at.loaded.supervisor_start_time == UINT64_MAX - 1);
    stop();
}

TEST(a_new_tenant_is_its_maker_s_and_neither_kept_nor_suspended)
{
    start();
    CHECK_EQ(at.tenant.uid, geteuid());
    CHECK_EQ(at.tenant.is_kept, 0);
    CHECK_EQ(at.tenant.is_suspended, 0);
    CHECK_EQ(at.tenant.supervisor_pid, 0);
    stop();
}

TEST(suspending_changes_nothing_else_and_is_taken_back)
{
    struct message_set set = {.fields = MESSAGE_SET_SUSPENDED, .is_suspended = 7};
    struct tenant before;

    start();
    before = at.tenant;
    CHECK_EQ(tenant_change(&at.tenant, &set, NULL), 0); /* whatever the mask */
    CHECK_EQ(at.tenant.is_suspended, 1);
    CHECK_EQ(memcmp(at.tenant.quotas, before.quotas, sizeof(before.quotas)), 0);
    set.fields = MESSAGE_SET_WEIGHT;
    set.weight = 3;
    set.gpu_mask = UINT32_MAX;
    CHECK_EQ(tenant_change(&at.tenant, &set, NULL), 0);
    CHECK_EQ(at.tenant.is_suspended, 1);
    set.fields = MESSAGE_SET_SUSPENDED;
    set.is_suspended = 0;
    CHECK_EQ(tenant_change(&at.tenant, &set, NULL), 0);
    CHECK_EQ(at.tenant.is_suspended, 0);
    CHECK_EQ(at.tenant.quotas[0].weight, 3);
    stop();
}

TEST(where_the_scheduler_does_not_obey_nothing_is_suspended_and_nothing_changed)
{
    struct message_set set = {.fields = MESSAGE_SET_SUSPENDED | MESSAGE_SET_WEIGHT,
                              .gpu_mask = UINT32_MAX,
                              .weight = 9,
                              .is_suspended = 1};
    struct err err;

    start();
    at.tenant.engine = REGION_ENGINE_MEMORY_ONLY;
    CHECK_EQ(tenant_change(&at.tenant, &set, &err), -EOPNOTSUPP);
    CHECK(strstr(err.text, "suspended"));
    CHECK_EQ(at.tenant.is_suspended, 0);
    CHECK_EQ(at.tenant.quotas[0].weight, 1);
    at.tenant.is_suspended = 1; /* from before that was seen: it can be resumed */
    set.is_suspended = 0;
    CHECK_EQ(tenant_change(&at.tenant, &set, &err), 0);
    CHECK_EQ(at.tenant.is_suspended, 0);
    stop();
}
