#include "tests/harness.h"
#include "tests/unit/fake_tenants.h"

#include "cli/top_model.h"
#include "utils/str.h"

static struct top_model model;

static void begin(void)
{
    top_model_init(&model, "host");
}

TEST(tenants_are_in_the_order_of_their_names)
{
    struct listing_tenant tenants[] = {fake_tenant("b", "x"), fake_tenant("c", "x"),
                                       fake_tenant("a", "x")};

    begin();
    fake_refresh(&model, tenants, 3);
    CHECK_EQ(model.tenant_count, 3);
    CHECK_STR_EQ(model.tenants[0]->name, "a");
    CHECK_STR_EQ(model.tenants[2]->name, "c");
    for (size_t i = 0; i < 3; i++)
        fake_tenant_fini(&tenants[i]);
    top_model_fini(&model);
}

TEST(each_refresh_is_a_sample)
{
    struct listing_tenant tenant = fake_tenant("a", "x");

    begin();
    CHECK(!model.is_known);
    tenant.status.gpus[0].used_milli_percent = 10000;
    fake_refresh(&model, &tenant, 1);
    tenant.status.gpus[0].used_milli_percent = 20000;
    fake_refresh(&model, &tenant, 1);
    CHECK(model.is_known);
    CHECK_EQ(history_get(&model.tenants[0]->shares[0].history, 0), 20000);
    CHECK_EQ(history_get(&model.tenants[0]->shares[0].history, 1), 10000);
    CHECK_EQ(history_get(&model.gpus[0].history, 1), 10000);
    fake_tenant_fini(&tenant);
    top_model_fini(&model);
}

TEST(who_is_gone_is_forgotten_with_its_history)
{
    struct listing_tenant tenant = fake_tenant("a", "x");

    begin();
    tenant.status.gpus[0].used_milli_percent = 10000;
    fake_refresh(&model, &tenant, 1);
    fake_refresh(&model, NULL, 0);
    CHECK_EQ(model.tenant_count, 0);
    CHECK_EQ(model.gpu_count, 0);
    fake_refresh(&model, &tenant, 1);
    CHECK_EQ(history_get(&model.tenants[0]->shares[0].history, 1), HISTORY_UNKNOWN);
    fake_tenant_fini(&tenant);
    top_model_fini(&model);
}

TEST(a_silent_supervisor_leaves_its_limits_and_nothing_measured)
{
    struct listing_tenant tenant = fake_tenant("a", "x"), silent = {.name = "!a"};

    begin();
    tenant.status.gpus[0].used_milli_percent = 10000;
    tenant.status.gpus[0].cap_milli_percent = 30000;
    fake_refresh(&model, &tenant, 1);
    fake_refresh(&model, &silent, 1);
    CHECK_EQ(model.tenants[0]->state, TOP_SILENT);
    CHECK_EQ(model.tenants[0]->supervisor_pid, 0);
    CHECK_EQ(model.tenants[0]->process_count, 0);
    CHECK_EQ(model.tenants[0]->shares[0].status.cap_milli_percent, 30000);
    CHECK(top_model_used_milli_percent(model.tenants[0]) == MESSAGE_UNKNOWN);
    CHECK(top_model_used_bytes(model.tenants[0]) == MESSAGE_UNKNOWN);
    CHECK(model.gpus[0].used_bytes == MESSAGE_UNKNOWN);
    CHECK_EQ(history_get(&model.tenants[0]->shares[0].history, 0), HISTORY_UNKNOWN);
    fake_refresh(&model, &tenant, 1);
    CHECK_EQ(model.tenants[0]->state, TOP_RUNNING);
    CHECK_EQ(history_get(&model.tenants[0]->shares[0].history, 2), 10000);
    fake_tenant_fini(&tenant);
    top_model_fini(&model);
}

TEST(states_are_those_of_the_supervisor)
{
    struct listing_tenant tenant = fake_tenant("a", "x");
    static const struct {
        uint32_t said;
        enum top_state state;
    } states[] = {{MESSAGE_RUNNING, TOP_RUNNING},
                  {MESSAGE_SUSPENDED, TOP_SUSPENDED},
                  {MESSAGE_QUEUED, TOP_QUEUED},
                  {77, TOP_OTHER}};

    begin();
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        tenant.status.tenant.state = states[i].said;
        fake_refresh(&model, &tenant, 1);
        CHECK_EQ(model.tenants[0]->state, states[i].state);
    }
    tenant.is_orphan = true;
    fake_refresh(&model, &tenant, 1);
    CHECK_EQ(model.tenants[0]->state, TOP_ORPHANED);
    CHECK(!model.tenants[0]->is_process_count_known);
    CHECK_EQ(model.tenants[0]->supervisor_pid, 0);
    CHECK_STR_EQ(top_model_state_word(TOP_SILENT), "no answer");
    CHECK_STR_EQ(top_model_state_word((enum top_state)99), "-");
    fake_tenant_fini(&tenant);
    top_model_fini(&model);
}

TEST(a_gpu_sums_up_its_tenants)
{
    struct listing_tenant tenants[] = {fake_tenant("a", "x"), fake_tenant("b", "x")};
    struct top_gpu card = {.uuid = "GPU-0",
                           .model = "H100",
                           .nvml_index = 5,
                           .card_bytes = 80 * FAKE_GIB,
                           .busy_percent = 97};

    begin();
    tenants[0].status.gpus[0].used_milli_percent = 30000;
    tenants[0].status.gpus[0].cap_milli_percent = 30000;
    tenants[0].status.gpus[0].memory_limit_bytes = 8 * FAKE_GIB;
    fake_tenant_add_gpu(&tenants[1]);
    top_model_begin(&model);
    top_model_put_gpu(&model, &card);
    CHECK_EQ(top_model_put(&model, &tenants[0]), 0);
    CHECK_EQ(top_model_put(&model, &tenants[1]), 0);
    top_model_end(&model);
    CHECK_EQ(model.gpu_count, 2);
    CHECK_STR_EQ(model.gpus[0].uuid, "GPU-1"); /* by index: 1 before 5 */
    CHECK_STR_EQ(model.gpus[0].model, "");
    CHECK(model.gpus[0].busy_percent == MESSAGE_UNKNOWN);
    CHECK(model.gpus[0].used_milli_percent == MESSAGE_UNKNOWN);
    CHECK_STR_EQ(model.gpus[1].model, "H100");
    CHECK_EQ(model.gpus[1].used_milli_percent, 30000);
    CHECK_EQ(model.gpus[1].cap_milli_percent, 30000);
    CHECK_EQ(model.gpus[1].limit_bytes, 8 * FAKE_GIB);
    CHECK_EQ(model.gpus[1].used_bytes, 2 * FAKE_GIB);
    CHECK_EQ(model.gpus[1].tenant_count, 2);
    fake_tenant_fini(&tenants[0]);
    fake_tenant_fini(&tenants[1]);
    top_model_fini(&model);
}

TEST(more_gpus_than_there_can_be_are_left_out)
{
    struct top_gpu card = {.card_bytes = 1};

    begin();
    top_model_begin(&model);
    for (uint32_t i = 0; i < REGION_GPUS_MAX + 3; i++) {
        (void)str_format(card.uuid, sizeof(card.uuid), "GPU-x%u", i);
        top_model_put_gpu(&model, &card);
    }
    top_model_end(&model);
    CHECK_EQ(model.gpu_count, REGION_GPUS_MAX);
    top_model_fini(&model);
}

TEST(a_tenant_s_sums_are_over_its_gpus)
{
    struct listing_tenant tenant = fake_tenant("a", "x");

    begin();
    fake_tenant_add_gpu(&tenant);
    tenant.status.gpus[0].used_milli_percent = 10000;
    tenant.status.gpus[1].cap_milli_percent = 20000;
    fake_refresh(&model, &tenant, 1);
    CHECK_EQ(top_model_used_milli_percent(model.tenants[0]), 10000);
    CHECK_EQ(top_model_used_bytes(model.tenants[0]), 2 * FAKE_GIB);
    CHECK_EQ(top_model_cap_milli_percent(model.tenants[0]), LISTING_NO_CAP);
    fake_tenant_fini(&tenant);
    top_model_fini(&model);
}
