#include "tests/harness.h"
#include "tests/unit/fake_machine.h"

#include "sim/storage.h"
#include "supervisor/gpus.h"
#include "supervisor/sampler.h"
#include "supervisor/switch_log.h"

#include <errno.h>
#include <string.h>

#define RING 8192u

static struct {
    struct gpus *gpus;
    struct switch_log log;
    struct rm_buffer_header *header; /* as the driver sees it */
    struct rm_switch_record *ring;
} at;

static void *memory_of(uint32_t client_handle, uint32_t handle)
{
    struct client *client = objects_find_client(&fake_machine()->objects, client_handle);

    return storage_map(objects_find(client, handle)->content);
}

static void start(void)
{
    struct err err;

    fake_machine_start(1, false);
    CHECK_OK(gpus_open(&at.gpus, &err), &err);
    CHECK_OK(switch_log_open(&at.log, gpus_card(at.gpus, 0), &err), &err);
    at.header = memory_of(at.log.client, at.log.header_memory);
    at.ring = memory_of(at.log.client, at.log.record_memory);
}

static void stop(void)
{
    switch_log_close(&at.log);
    gpus_close(at.gpus);
    fake_machine_stop();
}

static uint32_t drain(uint32_t most)
{
    struct rm_switch_record record;
    uint32_t count = 0;

    while (count < most && switch_log_next(&at.log, &record))
        count++;
    return count;
}

TEST(what_was_there_before_is_not_read)
{
    start();
    CHECK_EQ(drain(10), 0);
    stop();
}

TEST(records_are_read_once_and_around_the_ring_s_end)
{
    struct rm_switch_record record;

    start();
    at.log.next = RING - 2;
    for (uint32_t i = 0; i < 4; i++)
        at.ring[(RING - 2 + i) % RING].pid = 100 + i;
    at.header->put = 2;
    for (uint32_t i = 0; i < 4; i++) {
        CHECK(switch_log_next(&at.log, &record));
        CHECK_EQ(record.pid, 100 + i);
    }
    CHECK(!switch_log_next(&at.log, &record));
    stop();
}

TEST(an_index_outside_the_ring_reads_nothing)
{
    static const uint32_t indices[] = {RING, RING + 1, 1u << 20, INT32_MAX, UINT32_MAX};

    start();
    for (size_t i = 0; i < sizeof(indices) / sizeof(indices[0]); i++) {
        at.header->put = indices[i];
        CHECK_EQ(drain(10), 0);
    }
    at.header->put = 5;
    CHECK_EQ(drain(10), 5);
    stop();
}

TEST(an_index_that_goes_back_reads_no_more_than_the_ring_holds)
{
    start();
    at.header->put = 10;
    CHECK_EQ(drain(RING + 1), 10);
    at.header->put = 9;
    CHECK_EQ(drain(RING + 1), RING - 1);
    stop();
}

TEST(a_driver_whose_index_is_nonsense_at_the_start_is_read_from_the_start)
{
    struct switch_log other;
    struct err err;

    start();
    CHECK_OK(switch_log_open(&other, gpus_card(at.gpus, 0), &err), &err);
    CHECK(other.next < RING);
    switch_log_close(&other);
    CHECK(other.header == NULL && other.control_fd == -1);
    switch_log_close(&other); /* twice is no harm */
    stop();
}

TEST(what_fails_is_said_and_leaves_nothing_open)
{
    struct switch_log log;
    struct gpus_card missing;
    struct err err;

    start();
    fake_machine_set_fault("no-records");
    CHECK(switch_log_open(&log, gpus_card(at.gpus, 0), &err) < 0);
    CHECK(strstr(err.text, "0x"));
    CHECK(log.control_fd == -1 && log.device_fd == -1 && !log.header && !log.records);
    missing = *gpus_card(at.gpus, 0);
    missing.minor = 7;
    CHECK(switch_log_open(&log, &missing, &err) < 0);
    CHECK(strstr(err.text, "/dev/nvidia7"));
    CHECK_EQ(log.control_fd, -1);
    stop();
}

/* --- the sampler on top of it --- */

static void write_record(uint8_t tag, uint16_t sequence, uint32_t pid, uint64_t time_ns)
{
    at.ring[at.header->put] = (struct rm_switch_record){.type = RM_RECORD_TYPE_SWITCH,
                                                        .tag = tag,
                                                        .sequence = sequence,
                                                        .pid = pid,
                                                        .time_ns = time_ns};
    at.header->put = (at.header->put + 1) % RING;
}

/* The ring of the newest client is the sampler's. */
static struct sampler *open_sampler(void)
{
    struct sampler *sampler;
    const struct client *client;
    struct err err;

    CHECK_OK(sampler_open(&sampler, gpus_card(at.gpus, 0), &err), &err);
    client = CONTAINER_OF(fake_machine()->objects.clients.previous, struct client, node);
    /* Handles are given in the order of allocation: device, subdevice, header, ring. */
    at.header = memory_of(client->object.handle, at.log.header_memory);
    at.ring = memory_of(client->object.handle, at.log.record_memory);
    return sampler;
}

TEST(a_sampler_takes_any_bytes_for_records)
{
    struct sampler *sampler;
    struct sampler_use use;
    uint64_t random = 88172645463325252u;

    start();
    sampler = open_sampler();
    for (int round = 0; round < 50; round++) {
        for (uint32_t i = 0; i < RING * sizeof(*at.ring) / sizeof(random); i++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            memcpy((char *)at.ring + i * sizeof(random), &random, sizeof(random));
        }
        for (uint32_t i = 0; i < RING; i += 3)
            at.ring[i].tag = random >> (i & 31) & 1 ? RM_RECORD_START : RM_RECORD_END;
        at.header->put = (uint32_t)(random % RING);
        CHECK(sampler_read(sampler, false) >= 0);
        sampler_get(sampler, (pid_t)at.ring[0].pid, &use);
    }
    CHECK(sampler_lost_count(sampler) > 0);
    sampler_close(sampler);
    stop();
}

TEST(a_hole_in_the_sequence_is_counted_as_a_loss_and_no_interval_spans_it)
{
    struct sampler *sampler;
    struct sampler_use use;

    start();
    sampler = open_sampler();
    write_record(RM_RECORD_START, 10, 77, 1000 * SECOND);
    CHECK_EQ(sampler_read(sampler, false), 1);
    sampler_get(sampler, 77, &use);
    CHECK(use.is_on_engine);
    write_record(RM_RECORD_END, 30, 77, 1001 * SECOND);
    CHECK_EQ(sampler_read(sampler, false), 1);
    sampler_get(sampler, 77, &use);
    CHECK_EQ(use.closed_ns, 0);
    CHECK(!use.is_on_engine);
    CHECK_EQ(sampler_lost_count(sampler), 19);
    sampler_close(sampler);
    stop();
}

TEST(a_record_of_nobody_at_no_time_counts_for_nobody)
{
    struct sampler *sampler;
    struct sampler_use use;

    start();
    sampler = open_sampler();
    write_record(RM_RECORD_START, 1, 77, 1000 * SECOND);
    write_record(RM_RECORD_END, 2, UINT32_MAX, 0);
    write_record(RM_RECORD_END, 3, 77, 1000 * SECOND + MS);
    CHECK_EQ(sampler_read(sampler, false), 3);
    CHECK_EQ(sampler_lost_count(sampler), 0);
    sampler_get(sampler, 77, &use);
    CHECK_EQ(use.closed_ns, MS);
    sampler_get(sampler, (pid_t)UINT32_MAX, &use);
    CHECK_EQ(use.interval_count, 0);
    sampler_close(sampler);
    stop();
}

TEST(times_are_turned_to_our_clock)
{
    struct fake_program program;
    struct sampler *sampler;
    struct sampler_use use;
    uint64_t begin_ns;

    start();
    CHECK_OK(sampler_open(&sampler, gpus_card(at.gpus, 0), NULL), NULL);
    program = fake_program_start(4242);
    fake_machine_pass_until(fake_machine_now_ns() + 5 * SECOND); /* the GPU's clock drifts */
    CHECK(sampler_read(sampler, true) >= 0);
    begin_ns = fake_machine_now_ns();
    fake_program_submit(&program, SECOND, 0);
    fake_machine_pass_until(begin_ns + 100 * MS);
    CHECK(sampler_read(sampler, true) > 0);
    sampler_get(sampler, 4242, &use);
    CHECK(use.is_on_engine);
    CHECK_NEAR(((double)use.since_ns - (double)begin_ns) / 1e3, 100, 100);
    sampler_close(sampler);
    fake_program_end(&program);
    stop();
}
