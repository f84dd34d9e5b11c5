#include "ipc/region.h"

#include "tests/harness.h"
#include "utils/atomics.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

static struct region_control make_control(void)
{
    struct region_control control;

    memset(&control, 0, sizeof(control));
    control.magic = REGION_MAGIC;
    control.version = REGION_VERSION;
    control.length = sizeof(control);
    control.gpu_count = 2;
    control.gpus[1].device_instance = 5;
    return control;
}

TEST(a_region_of_another_version_or_size_is_refused_with_words)
{
    struct region_control control = make_control();
    struct err err = {0};

    CHECK_OK(region_check_control(&control, &err), &err);
    control.version++;
    CHECK_EQ(region_check_control(&control, &err), -EPROTO);
    CHECK(strstr(err.text, "version") != NULL);
    control = make_control();
    control.length--;
    CHECK_EQ(region_check_control(&control, &err), -EPROTO);
    control = make_control();
    control.gpu_count = REGION_GPUS_MAX + 1;
    CHECK_EQ(region_check_control(&control, &err), -EPROTO);
}

TEST(a_device_is_found_by_its_instance_within_bounds)
{
    struct region_control control = make_control();

    CHECK_EQ(region_find_device(&control, 5), 1);
    CHECK_EQ(region_find_device(&control, 7), -1);
    control.gpu_count = UINT32_MAX;
    CHECK_EQ(region_find_device(&control, 7), -1);
}

static struct region_gpu shared;
static _Atomic int is_done;

static void *write_many(void *nothing)
{
    for (uint32_t i = 1; i <= 200000; i++) {
        struct region_facts facts = {.weight = i, .slice_us = i, .updated_ns = i};

        region_write_facts(&shared, &facts);
    }
    store_relaxed(&is_done, 1);
    return nothing;
}

TEST(a_reader_never_sees_half_of_the_facts)
{
    pthread_t writer;

    CHECK_EQ(pthread_create(&writer, NULL, write_many, NULL), 0);
    while (!load_relaxed(&is_done)) {
        struct region_facts facts;

        if (!region_read_facts(&shared, &facts))
            continue;
        CHECK_EQ(facts.weight, facts.slice_us);
        CHECK_EQ(facts.weight, facts.updated_ns);
    }
    CHECK_EQ(pthread_join(writer, NULL), 0);
}

TEST(a_writer_that_died_halfway_does_not_hang_the_reader)
{
    struct region_gpu gpu;
    struct region_facts facts;

    memset(&gpu, 0, sizeof(gpu));
    store_relaxed(&gpu.sequence, 1);
    CHECK(!region_read_facts(&gpu, &facts));
}

TEST(a_priority_has_a_word)
{
    CHECK_STR_EQ(region_priority_word(REGION_LOW), "low");
    CHECK_STR_EQ(region_priority_word(REGION_NORMAL), "normal");
    CHECK_STR_EQ(region_priority_word(REGION_HIGH), "high");
    CHECK_STR_EQ(region_priority_word(REGION_HIGH + 1), "unknown");
}
