#include "tests/harness.h"

#include "hypervisor/health.h"
#include "hypervisor/keeper.h"
#include "hypervisor/request.h"
#include "hypervisor/survey.h"
#include "hypervisor/waiting.h"
#include "utils/str.h"

#include <string.h>

#define GIB (UINT64_C(1) << 30)

static struct {
    struct gpus_card cards[2];
    enum verdict verdicts[2];
    struct keeper keepers[3];
    uint32_t keeper_count;
    struct list keeper_list, waiting_list, observed_list;
    struct request request;
    struct waiting waiting;
    struct health health;
    struct survey survey;
    struct snapshot *snapshot;
} at;

static void start(void)
{
    memset(&at, 0, sizeof(at));
    list_init(&at.keeper_list);
    list_init(&at.waiting_list);
    list_init(&at.observed_list);
    for (uint32_t i = 0; i < 2; i++) {
        at.cards[i].nvml_index = i;
        at.cards[i].memory_bytes = 80 * GIB;
        (void)str_format(at.cards[i].uuid, sizeof(at.cards[i].uuid), "GPU-%u", i);
    }
    at.survey = (struct survey){.node_name = "here",
                                .driver_version = "580.1",
                                .cards = at.cards,
                                .verdicts = at.verdicts,
                                .card_count = 2,
                                .keepers = &at.keeper_list,
                                .observed = &at.observed_list,
                                .waiting = &at.waiting_list,
                                .health = &at.health,
                                .sequence = 7,
                                .is_ready = true};
}

/* A tenant whose own order of the GPUs is the other way around. */
static struct keeper *add(const char *name)
{
    struct keeper *keeper = &at.keepers[at.keeper_count++];

    tenant_init(&keeper->tenant, name);
    keeper->tenant.gpu_count = 2;
    for (uint32_t i = 0; i < 2; i++) {
        keeper->tenant.cards[i] = at.cards[1 - i];
        keeper->tenant.quotas[i] =
            (struct tenant_quota){10 * GIB, 30000, 2, REGION_HIGH, i == 0}; /* GPU 1 alone */
    }
    list_append(&at.keeper_list, &keeper->node);
    return keeper;
}

static void give_status(struct keeper *keeper, struct message_status_process *processes,
                        uint32_t count)
{
    struct message_status_gpu *gpu = &keeper->status.gpus[keeper->status.gpu_count++];

    keeper->has_status = true;
    keeper->state = SNAPSHOT_RUNNING;
    keeper->status.tenant.supervisor_pid = 99;
    keeper->status.tenant.refusals = 3;
    *gpu = (struct message_status_gpu){.weight = 5,
                                       .memory_limit_bytes = 20 * GIB,
                                       .memory_used_bytes = GIB,
                                       .cap_milli_percent = 40000,
                                       .used_milli_percent = MESSAGE_UNKNOWN,
                                       .control_ns = MESSAGE_UNKNOWN};
    (void)str_format(gpu->uuid, sizeof(gpu->uuid), "GPU-1");
    keeper->status.processes = processes;
    keeper->status.process_count = count;
}

static void take(void)
{
    at.snapshot = survey_make(&at.survey);
    CHECK(at.snapshot != NULL);
}

TEST(what_nobody_has_measured_is_not_known)
{
    const struct snapshot_share *share;

    start();
    (void)add("a");
    take();
    CHECK_EQ(at.snapshot->gpu_count, 2);
    CHECK(at.snapshot->gpus[0].busy_percent == SNAPSHOT_UNKNOWN);
    CHECK(at.snapshot->gpus[0].memory_used_bytes == SNAPSHOT_UNKNOWN);
    CHECK(at.snapshot->gpus[0].power_milliwatts == SNAPSHOT_UNKNOWN);
    CHECK(!at.snapshot->gpus[0].is_lost);
    CHECK_EQ(at.snapshot->tenants[0].share_count, 1);
    share = &at.snapshot->tenants[0].shares[0];
    CHECK(share->memory_used_bytes == SNAPSHOT_UNKNOWN);
    CHECK(share->used_milli_percent == SNAPSHOT_UNKNOWN);
    CHECK(share->entitled_milli_percent == SNAPSHOT_UNKNOWN);
    CHECK(share->memory_nvml_bytes == SNAPSHOT_UNKNOWN);
    CHECK(share->switch_calls == SNAPSHOT_UNKNOWN);
    CHECK(share->late_looks == SNAPSHOT_UNKNOWN);
    CHECK(share->control_failures == SNAPSHOT_UNKNOWN);
    CHECK(at.snapshot->tenants[0].rm_calls == SNAPSHOT_UNKNOWN);
    CHECK(at.snapshot->tenants[0].rm_unparsed == SNAPSHOT_UNKNOWN);
    CHECK(at.snapshot->tenants[0].refusals == SNAPSHOT_UNKNOWN);
    CHECK(at.snapshot->tenants[0].guard_enables == SNAPSHOT_UNKNOWN);
    snapshot_release(at.snapshot);
}

TEST(a_tenant_s_share_is_of_the_node_s_gpu_and_counts_before_its_first_word)
{
    start();
    (void)add("a");
    take();
    CHECK_EQ(at.snapshot->tenants[0].shares[0].gpu, 1);
    CHECK_EQ(at.snapshot->tenants[0].shares[0].weight, 2);
    CHECK_EQ(at.snapshot->gpus[1].memory_reserved_bytes, 10 * GIB);
    CHECK_EQ(at.snapshot->gpus[1].compute_reserved_milli_percent, 30000);
    CHECK_EQ(at.snapshot->gpus[0].memory_reserved_bytes, 0);
    CHECK_EQ(at.snapshot->tenants[0].supervisor_pid, 0);
    CHECK_EQ(at.snapshot->tenants[0].state, SNAPSHOT_STARTING);
    snapshot_release(at.snapshot);
}

TEST(what_its_supervisor_says_is_shown)
{
    struct message_status_process process = {.pid = 42, .comm = "python3"};
    const struct snapshot_tenant *tenant;

    start();
    process.memory_bytes[0] = GIB; /* the tenant's first GPU is the node's second */
    give_status(add("a"), &process, 1);
    take();
    tenant = snapshot_find(at.snapshot, "a");
    CHECK_EQ(tenant->supervisor_pid, 99);
    CHECK_EQ(tenant->refusals, 3);
    CHECK_EQ(tenant->shares[0].gpu, 1);
    CHECK_EQ(tenant->shares[0].weight, 5);
    CHECK_EQ(tenant->shares[0].memory_used_bytes, GIB);
    CHECK(tenant->shares[0].used_milli_percent == SNAPSHOT_UNKNOWN);
    CHECK_EQ(tenant->process_count, 1);
    CHECK_EQ(tenant->processes[0].pid, 42);
    CHECK_STR_EQ(tenant->processes[0].comm, "python3");
    CHECK_EQ(tenant->processes[0].memory_bytes[1], GIB);
    CHECK_EQ(tenant->processes[0].memory_bytes[0], 0);
    CHECK_EQ(at.snapshot->gpus[1].memory_reserved_bytes, 20 * GIB);
    snapshot_release(at.snapshot);
}

TEST(an_orphan_s_former_supervisor_is_not_shown)
{
    struct keeper *keeper;

    start();
    keeper = add("a");
    give_status(keeper, NULL, 0);
    keeper->state = SNAPSHOT_ORPHANED;
    keeper->restarts = 4;
    take();
    CHECK_EQ(at.snapshot->tenants[0].supervisor_pid, 0);
    CHECK_EQ(at.snapshot->tenants[0].supervisor_restarts, 4);
    snapshot_release(at.snapshot);
}

TEST(tenants_are_sorted_and_those_that_wait_are_among_them)
{
    start();
    (void)add("c");
    (void)add("a");
    at.request = (struct request){.name = "b", .caller = {.uid = 1234}, .is_kept = true};
    at.waiting.request = &at.request;
    list_append(&at.waiting_list, &at.waiting.node);
    take();
    CHECK_EQ(at.snapshot->tenant_count, 3);
    CHECK_STR_EQ(at.snapshot->tenants[0].name, "a");
    CHECK_STR_EQ(at.snapshot->tenants[1].name, "b");
    CHECK_STR_EQ(at.snapshot->tenants[2].name, "c");
    CHECK_EQ(at.snapshot->tenants[1].state, SNAPSHOT_QUEUED);
    CHECK_EQ(at.snapshot->tenants[1].uid, 1234);
    CHECK(at.snapshot->tenants[1].is_kept);
    CHECK_EQ(at.snapshot->tenants[1].share_count, 0);
    CHECK(snapshot_find(at.snapshot, "c") == &at.snapshot->tenants[2]);
    snapshot_release(at.snapshot);
}

TEST(gpus_that_the_node_does_not_have_are_left_out)
{
    struct message_status_process process = {.pid = 42};
    struct keeper *keeper;

    start();
    keeper = add("a");
    (void)str_format(keeper->tenant.cards[0].uuid, sizeof(keeper->tenant.cards[0].uuid), "GPU-9");
    process.memory_bytes[0] = GIB;
    give_status(keeper, &process, 1);
    (void)str_format(keeper->status.gpus[0].uuid, sizeof(keeper->status.gpus[0].uuid), "GPU-9");
    take();
    CHECK_EQ(at.snapshot->tenants[0].share_count, 0);
    CHECK_EQ(at.snapshot->tenants[0].processes[0].memory_bytes[1], 0);
    snapshot_release(at.snapshot);
}

TEST(limits_that_add_up_beyond_any_number_are_not_a_small_number)
{
    struct keeper *keeper;

    start();
    for (int i = 0; i < 2; i++) {
        keeper = add(i ? "a" : "b");
        keeper->tenant.quotas[0].memory_bytes = UINT64_C(1) << 63;
    }
    take();
    CHECK(at.snapshot->gpus[1].memory_reserved_bytes >= UINT64_C(1) << 63);
    snapshot_release(at.snapshot);
}

TEST(what_is_wrong_and_who_we_are_is_in_it)
{
    start();
    at.health.count = 1;
    at.health.list[0] = (struct snapshot_fault){"gpu", "no GPU can be reached"};
    take();
    CHECK_STR_EQ(at.snapshot->node_name, "here");
    CHECK_STR_EQ(at.snapshot->driver_version, "580.1");
    CHECK_EQ(at.snapshot->sequence, 7);
    CHECK(at.snapshot->is_ready);
    CHECK_EQ(at.snapshot->fault_count, 1);
    CHECK_STR_EQ(at.snapshot->faults[0].component, "gpu");
    CHECK(at.snapshot->taken_ns > 0 && at.snapshot->taken_unix_ms > 0);
    CHECK_EQ(at.snapshot->tenant_count, 0);
    snapshot_release(at.snapshot);
}

TEST(what_others_say_that_they_have_is_shown_and_reserved_for_nobody)
{
    struct keeper *keeper;

    start();
    keeper = add("a@1000");
    list_remove(&keeper->node);
    list_append(&at.observed_list, &keeper->node);
    give_status(keeper, NULL, 0);
    take();
    CHECK(at.snapshot->tenants[0].is_standalone);
    CHECK_EQ(at.snapshot->tenants[0].shares[0].memory_limit_bytes, 20 * GIB);
    CHECK_EQ(at.snapshot->gpus[1].memory_reserved_bytes, 0);
    CHECK_EQ(at.snapshot->gpus[1].compute_reserved_milli_percent, 0);
    snapshot_release(at.snapshot);
}
