#include "hypervisor/scheduler_event.h"

#include "hypervisor/event_log.h"

#include <string.h>

#include "tests/harness.h"
#include "tests/unit/made_up_snapshot.h"

static char text[1024];

static bool print(const struct event *event)
{
    struct snapshot *snapshot = made_up_snapshot();
    FILE *file = fmemopen(text, sizeof(text), "we");
    bool is_printed;

    CHECK(file != NULL);
    is_printed = scheduler_event_print(event, snapshot, file);
    CHECK_EQ(fclose(file), 0);
    snapshot_release(snapshot);
    return is_printed;
}

TEST(a_process_that_joins_is_registered_with_priority_and_weight)
{
    CHECK(print(&(struct event){
        .kind = EVENT_PROCESS_JOINED, .tenant = "limited", .pid = 4243, .unix_ms = 5}));
    CHECK_STR_EQ(text, "tf_scheduler_event,event_type=register_process,pid=4243,qos=High "
                       "weight=100i 5\n");
}

TEST(of_a_tenant_that_is_not_there_neither_is_said)
{
    CHECK(print(
        &(struct event){.kind = EVENT_PROCESS_JOINED, .tenant = "nobody", .pid = 1, .unix_ms = 5}));
    CHECK_STR_EQ(text, "tf_scheduler_event,event_type=register_process,pid=1 _empty=true 5\n");
}

TEST(a_process_that_leaves_is_removed)
{
    CHECK(print(&(struct event){
        .kind = EVENT_PROCESS_LEFT, .tenant = "limited", .pid = 4243, .unix_ms = 6}));
    CHECK_STR_EQ(text, "tf_scheduler_event,event_type=remove_process,pid=4243 value=1i 6\n");
}

TEST(other_events_have_no_line)
{
    for (unsigned int kind = 0; kind < EVENT_KIND_END; kind++)
        if (kind != EVENT_PROCESS_JOINED && kind != EVENT_PROCESS_LEFT)
            CHECK(!print(&(struct event){.kind = kind, .tenant = "limited", .pid = 4243}));
}
