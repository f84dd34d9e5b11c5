#include "supervisor/records.h"

#include "tests/harness.h"

#include <string.h>

static struct records records;

static struct rm_switch_record make(uint8_t tag, uint16_t sequence, uint32_t pid, uint64_t time_ns)
{
    return (struct rm_switch_record){.type = RM_RECORD_TYPE_SWITCH,
                                     .tag = tag,
                                     .sequence = sequence,
                                     .context = pid,
                                     .pid = pid,
                                     .time_ns = time_ns};
}

static void take(uint8_t tag, uint16_t sequence, uint32_t pid, uint64_t time_ns)
{
    struct rm_switch_record record = make(tag, sequence, pid, time_ns);

    records_take(&records, &record);
}

TEST(an_interval_is_from_start_to_end)
{
    records_init(&records);
    take(RM_RECORD_START, 7, 100, 1000);
    take(RM_RECORD_END, 8, 100, 4000);
    CHECK_EQ(records_find(&records, 100)->closed_ns, 3000);
    CHECK_EQ(records_find(&records, 100)->interval_count, 1);
    CHECK_EQ(records_find(&records, 100)->is_on_engine, false);
}

TEST(an_open_interval_is_not_yet_counted)
{
    records_init(&records);
    take(RM_RECORD_START, 0, 100, 1000);
    CHECK_EQ(records_find(&records, 100)->closed_ns, 0);
    CHECK_EQ(records_find(&records, 100)->is_on_engine, true);
    CHECK_EQ(records_find(&records, 100)->since_gpu_ns, 1000);
}

TEST(an_end_without_a_start_counts_nothing_but_is_remembered)
{
    records_init(&records);
    take(RM_RECORD_END, 0, 100, 5000);
    CHECK_EQ(records_find(&records, 100)->closed_ns, 0);
    CHECK_EQ(records_find(&records, 100)->last_end_gpu_ns, 5000);
}

TEST(no_interval_spans_a_gap_in_the_sequence)
{
    records_init(&records);
    take(RM_RECORD_START, 65535, 100, 1000);
    take(RM_RECORD_END, 3, 100, 9000);
    CHECK_EQ(records.lost_count, 3);
    CHECK_EQ(records_find(&records, 100)->closed_ns, 0);
    take(RM_RECORD_START, 4, 100, 10000);
    take(RM_RECORD_END, 5, 100, 11000);
    CHECK_EQ(records_find(&records, 100)->closed_ns, 1000);
}

TEST(the_sequence_wraps_without_a_loss)
{
    records_init(&records);
    take(RM_RECORD_START, 65535, 100, 1000);
    take(RM_RECORD_END, 0, 100, 2000);
    CHECK_EQ(records.lost_count, 0);
    CHECK_EQ(records_find(&records, 100)->closed_ns, 1000);
}

TEST(time_that_runs_backwards_is_not_counted)
{
    records_init(&records);
    take(RM_RECORD_START, 0, 100, 5000);
    take(RM_RECORD_END, 1, 100, 4000);
    CHECK_EQ(records_find(&records, 100)->closed_ns, 0);
}

TEST(a_torn_down_context_with_no_pid_and_no_time_is_ignored)
{
    records_init(&records);
    take(RM_RECORD_END, 0, UINT32_MAX, 0);
    CHECK_EQ(records.process_count, 0);
}

TEST(a_full_table_neither_overruns_nor_forgets)
{
    records_init(&records);
    for (uint32_t pid = 1; pid <= RECORDS_PROCESSES_MAX + 10; pid++)
        take(RM_RECORD_START, (uint16_t)pid, pid, 1000);
    CHECK_EQ(records.process_count, RECORDS_PROCESSES_MAX);
    CHECK(records_find(&records, 1) != NULL);
    CHECK(records_find(&records, RECORDS_PROCESSES_MAX + 1) == NULL);
    records_forget(&records, 1);
    take(RM_RECORD_START, (uint16_t)(RECORDS_PROCESSES_MAX + 11), 99999, 1000);
    CHECK(records_find(&records, 99999) != NULL);
}
