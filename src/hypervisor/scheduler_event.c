#include "hypervisor/scheduler_event.h"

#include "hypervisor/event_log.h"
#include "hypervisor/line_protocol.h"
#include "hypervisor/snapshot.h"
#include "utils/str.h"

#include <inttypes.h>

static const char *quality_word(uint32_t priority)
{
    static const char *const words[] = {
        [REGION_LOW] = "Low", [REGION_NORMAL] = "Medium", [REGION_HIGH] = "High"};

    return priority <= REGION_HIGH ? words[priority] : "";
}

/* A process may use several GPUs; priority and weight are set for all of them alike. */
static void describe_tenant(struct line_protocol *line, const struct event *event,
                            const struct snapshot *snapshot)
{
    const struct snapshot_tenant *tenant = snapshot_find(snapshot, event->tenant);

    if (!tenant || !tenant->share_count)
        return;
    line_protocol_tag(line, "qos", quality_word(tenant->shares[0].priority));
    line_protocol_integer(line, "weight", tenant->shares[0].weight);
}

bool scheduler_event_print(const struct event *event, const struct snapshot *snapshot, FILE *file)
{
    bool has_joined = event->kind == EVENT_PROCESS_JOINED;
    struct line_protocol line;
    char pid[16];

    if (!has_joined && event->kind != EVENT_PROCESS_LEFT)
        return false;
    (void)str_format(pid, sizeof(pid), "%d", event->pid); /* has room for any */
    line_protocol_init(&line, "tf_scheduler_event", event->unix_ms);
    line_protocol_tag(&line, "event_type", has_joined ? "register_process" : "remove_process");
    line_protocol_tag(&line, "pid", pid);
    if (has_joined)
        describe_tenant(&line, event, snapshot);
    else
        line_protocol_integer(&line, "value", 1);
    line_protocol_print(&line, LINE_PROTOCOL_INFLUX, file);
    return true;
}
