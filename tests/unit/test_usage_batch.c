#include "hypervisor/usage_batch.h"

#include "utils/str.h"

#include <errno.h>
#include <string.h>

#include "tests/harness.h"
#include "tests/unit/made_up_snapshot.h"

static struct {
    char lines[16384];
    size_t length;
    int calls;
} emitted;

static void emit(void *context, const char *lines, size_t length)
{
    CHECK(context == &emitted);
    CHECK(length < sizeof(emitted.lines) - emitted.length);
    memcpy(emitted.lines + emitted.length, lines, length);
    emitted.length += length;
    emitted.calls++;
}

static double tflops(void *context, const char *model)
{
    return strstr(model, "H100") ? 989.5 : -1;
}

static struct usage_batch *new_batch(struct usage_settings settings)
{
    struct usage_batch *batch;
    struct err err;

    memset(&emitted, 0, sizeof(emitted));
    settings.emit = emit;
    settings.context = &emitted;
    CHECK_OK(usage_batch_new(&batch, &settings, &err), &err);
    return batch;
}

static void add(struct usage_batch *batch, const struct snapshot *snapshot)
{
    struct err err;

    CHECK_OK(usage_batch_add(batch, snapshot, &err), &err);
}

TEST(a_batch_of_one_is_a_snapshot_in_lines)
{
    struct usage_batch *batch =
        new_batch((struct usage_settings){.batch_size = 1, .pool = "p 1", .tflops = tflops});
    struct snapshot *snapshot = made_up_snapshot();

    add(batch, snapshot);
    /* The lost GPU and what a counter, a limit or a model is missing for: no zeros. */
    CHECK_STR_EQ(
        emitted.lines,
        "tf_gpu_usage,node=node-a,pool=p\\ 1,uuid=gpu-1 _empty=true 1700000000250\n"
        "tf_gpu_usage,node=node-a,pool=p\\ 1,uuid=gpu-5c0ffee0-0000-0000-0000-000000000000 "
        "compute_percentage=97,compute_tflops=959.815,graphics_clock_mhz=1980,"
        "memory_bytes=21474836480u,memory_clock_mhz=2619,memory_percentage=25,"
        "power_usage=412050i,rx=3,sm_clock_mhz=1980,temperature=61,video_clock_mhz=1545 "
        "1700000000250\n"
        "tf_worker_usage,namespace=unknown,node=node-a,pool=p\\ 1,"
        "uuid=gpu-5c0ffee0-0000-0000-0000-000000000000,worker=limited,workload=unknown "
        "compute_percentage=30.125,compute_tflops=298.086875,memory_bytes=12884901888u,"
        "memory_percentage=75 1700000000250\n"
        "tf_worker_usage,namespace=unknown,node=node-a,pool=p\\ 1,"
        "uuid=gpu-5c0ffee0-0000-0000-0000-000000000000,worker=team-b_trainer,workload=unknown "
        "memory_bytes=8589934592u 1700000000250\n");
    usage_batch_free(batch);
    snapshot_release(snapshot);
}

TEST(nothing_is_written_before_the_batch_is_full_and_then_all_begins_anew)
{
    struct usage_batch *batch = new_batch((struct usage_settings){.batch_size = 3});
    struct snapshot *snapshot = made_up_snapshot();

    add(batch, snapshot);
    add(batch, snapshot);
    CHECK_EQ(emitted.calls, 0);
    add(batch, snapshot);
    CHECK_EQ(emitted.calls, 1);
    add(batch, snapshot);
    CHECK_EQ(emitted.calls, 1);
    usage_batch_free(batch);
    snapshot_release(snapshot);
}

TEST(a_field_is_the_average_of_the_samples_in_which_it_was_known)
{
    struct usage_batch *batch = new_batch((struct usage_settings){.batch_size = 3});
    struct snapshot *snapshot = made_up_snapshot();
    static const uint64_t temperatures[] = {60, SNAPSHOT_UNKNOWN, 63};

    for (int i = 0; i < 3; i++) {
        snapshot->gpus[0].temperature_celsius = temperatures[i];
        snapshot->gpus[0].busy_percent = (uint64_t)i;
        snapshot->gpus[0].power_milliwatts = 100 + (uint64_t)i * 2;
        snapshot->taken_unix_ms = 1000 + (uint64_t)i;
        add(batch, snapshot);
    }
    CHECK(strstr(emitted.lines, "temperature=61.5,") != NULL);
    CHECK(strstr(emitted.lines, "compute_percentage=1,") != NULL);
    CHECK(strstr(emitted.lines, "power_usage=102i,") != NULL);
    CHECK(strstr(emitted.lines, "tflops") == NULL);
    CHECK(strstr(emitted.lines, "pool=unknown") != NULL);
    /* At the time of the last sample. */
    CHECK(strstr(emitted.lines, " 1002\n") != NULL);
    CHECK(strstr(emitted.lines, " 1001\n") == NULL);
    usage_batch_free(batch);
    snapshot_release(snapshot);
}

TEST(a_tenant_that_ended_or_began_within_the_batch_has_its_line)
{
    struct usage_batch *batch = new_batch((struct usage_settings){.batch_size = 2});
    struct snapshot *snapshot = made_up_snapshot();

    add(batch, snapshot);
    CHECK(str_format(snapshot->tenants[0].name, sizeof(snapshot->tenants[0].name), "a-new-one"));
    snapshot->tenants[0].shares[0].memory_used_bytes = 1024;
    add(batch, snapshot);
    CHECK(strstr(emitted.lines, "worker=limited,workload=unknown compute_percentage=30.125,"
                                "memory_bytes=12884901888u") != NULL);
    CHECK(strstr(emitted.lines, "worker=a-new-one,workload=unknown compute_percentage=30.125,"
                                "memory_bytes=1024u") != NULL);
    usage_batch_free(batch);
    snapshot_release(snapshot);
}

TEST(processes_that_are_counted_to_a_tenant_are_in_its_memory)
{
    struct usage_batch *batch = new_batch((struct usage_settings){.batch_size = 1});
    struct snapshot *snapshot = made_up_snapshot();

    snapshot->tenants[0].shares[0].memory_used_bytes = 1024;
    CHECK(str_format(snapshot->foreign[0].tenant, sizeof(snapshot->foreign[0].tenant), "limited"));
    add(batch, snapshot);
    CHECK(strstr(emitted.lines, "worker=limited,workload=unknown compute_percentage=30.125,"
                                "memory_bytes=1536u") != NULL);
    usage_batch_free(batch);
    snapshot_release(snapshot);
}

TEST(others_own_runs_have_no_line)
{
    struct usage_batch *batch = new_batch((struct usage_settings){.batch_size = 1});
    struct snapshot *snapshot = made_up_snapshot();

    snapshot->tenants[0].is_standalone = true;
    add(batch, snapshot);
    CHECK(strstr(emitted.lines, "worker=limited") == NULL);
    CHECK(strstr(emitted.lines, "worker=team-b_trainer") != NULL);
    usage_batch_free(batch);
    snapshot_release(snapshot);
}

TEST(many_tenants_on_all_gpus_have_a_line_each)
{
    struct usage_batch *batch = new_batch((struct usage_settings){.batch_size = 2});
    struct snapshot *snapshot = snapshot_new(50);
    int count = 0;

    CHECK(snapshot != NULL);
    snapshot->gpu_count = 2;
    for (uint32_t i = 0; i < 2; i++)
        CHECK(str_format(snapshot->gpus[i].uuid, sizeof(snapshot->gpus[i].uuid), "GPU-%u", 9 - i));
    for (uint32_t i = 0; i < 50; i++) {
        struct snapshot_tenant *tenant = &snapshot->tenants[i];

        CHECK(str_format(tenant->name, sizeof(tenant->name), "t%u", i));
        tenant->share_count = 2;
        tenant->shares[1].gpu = 1;
    }
    add(batch, snapshot);
    add(batch, snapshot);
    for (const char *at = emitted.lines; (at = strchr(at, '\n')); at++)
        count++;
    CHECK_EQ(count, 102);
    usage_batch_free(batch);
    snapshot_release(snapshot);
}

static void identify(void *context, const struct snapshot_tenant *tenant,
                     struct usage_identity *identity)
{
    if (strcmp(tenant->name, "limited") != 0)
        return;
    identity->worker = "pod-0";
    identity->namespace_name = "team-a";
}

static const char *label(void *context, const struct snapshot_tenant *tenant, const char *key)
{
    CHECK_STR_EQ(key, "example.com/team");
    return strcmp(tenant->name, "limited") == 0 ? "red, green" : NULL;
}

TEST(workers_are_called_what_the_caller_knows_them_as)
{
    struct usage_batch *batch =
        new_batch((struct usage_settings){.batch_size = 1,
                                          .format = LINE_PROTOCOL_JSON,
                                          .extra_labels = "{\"example.com/team\": \"team\"}",
                                          .identify = identify,
                                          .label = label});
    struct snapshot *snapshot = made_up_snapshot();

    add(batch, snapshot);
    CHECK(strstr(emitted.lines,
                 "\"tag\":{\"namespace\":\"team-a\",\"node\":\"node-a\",\"pool\":\"unknown\","
                 "\"team\":\"red, green\",\"uuid\":\"gpu-5c0ffee0-0000-0000-0000-000000000000\","
                 "\"worker\":\"pod-0\",\"workload\":\"unknown\"}") != NULL);
    CHECK(strstr(emitted.lines, "\"team\":\"unknown\"") != NULL);
    CHECK(strstr(emitted.lines, "\"worker\":\"team-b_trainer\"") != NULL);
    usage_batch_free(batch);
    snapshot_release(snapshot);
}

TEST(settings_that_make_no_sense_are_refused)
{
    struct usage_settings settings = {.batch_size = 1, .extra_labels = "{", .emit = emit};
    struct usage_batch *batch;

    CHECK_EQ(usage_batch_new(&batch, &settings, NULL), -EINVAL);
}
