#include "hypervisor/chronicle.h"

#include "hypervisor/node_state.h"
#include "utils/log.h"
#include "utils/str.h"

#define NO_CAP 100000u

static void add_size(struct str *text, uint64_t bytes)
{
    if (bytes == REGION_NO_LIMIT)
        str_add(text, "none");
    else
        str_add(text, "%llu MiB", (unsigned long long)(bytes >> 20));
}

static void add_cap(struct str *text, uint64_t milli_percent)
{
    if (milli_percent >= NO_CAP)
        str_add(text, "none");
    else
        str_add(text, "%.3f %%", (double)milli_percent / 1000);
}

static void compare_limits(const struct node *node, const struct keeper *keeper,
                           const struct message_status_gpu *before,
                           const struct message_status_gpu *now)
{
    char words[128];
    struct str text;

    str_init(&text, words, sizeof(words));
    if (before->memory_limit_bytes != now->memory_limit_bytes) {
        str_add(&text, ", memory ");
        add_size(&text, now->memory_limit_bytes);
    }
    if (before->cap_milli_percent != now->cap_milli_percent) {
        str_add(&text, ", compute ");
        add_cap(&text, now->cap_milli_percent);
    }
    if (before->weight != now->weight)
        str_add(&text, ", weight %u", now->weight);
    if (before->priority != now->priority)
        str_add(&text, ", priority %s", snapshot_priority_word(now->priority));
    if (text.length)
        node_tell(node, EVENT_TENANT_CHANGED, keeper, "on GPU %u it has now%s", now->nvml_index,
                  words + 1);
}

static bool has_process(const struct keeper_status *status, int32_t pid)
{
    for (uint32_t i = 0; i < status->process_count; i++)
        if (status->processes[i].pid == pid)
            return true;
    return false;
}

static void tell_process(const struct node *node, enum event_kind kind, const struct keeper *keeper,
                         const struct message_status_process *process)
{
    struct event event = {.kind = kind, .pid = process->pid};

    (void)str_format(event.tenant, sizeof(event.tenant), "%s", keeper->tenant.name); /* same */
    (void)str_format(event.text, sizeof(event.text), "process %d (%s) has %s", process->pid,
                     process->comm, kind == EVENT_PROCESS_JOINED ? "joined" : "left"); /* fits */
    event_log_add(node->events, &event);
}

void chronicle_compare(const struct node *node, const struct keeper *keeper,
                       const struct keeper_status *before)
{
    const struct keeper_status *now = &keeper->status;
    bool is_same = before->tenant.supervisor_pid == now->tenant.supervisor_pid;
    bool was_suspended = before->tenant.state == MESSAGE_SUSPENDED;
    bool is_suspended = now->tenant.state == MESSAGE_SUSPENDED;

    if (before->tenant.supervisor_pid && !is_same)
        node_tell(node, EVENT_SUPERVISOR_STARTED, keeper, "it has another supervisor (process %d)",
                  now->tenant.supervisor_pid);
    for (uint32_t i = 0; i < now->gpu_count && i < before->gpu_count; i++)
        compare_limits(node, keeper, &before->gpus[i], &now->gpus[i]);
    if (was_suspended != is_suspended)
        node_tell(node, is_suspended ? EVENT_TENANT_SUSPENDED : EVENT_TENANT_RESUMED, keeper,
                  is_suspended ? "its channels are off until it is resumed" : "it may work again");
    for (uint32_t i = 0; i < now->process_count; i++)
        if (!has_process(before, now->processes[i].pid))
            tell_process(node, EVENT_PROCESS_JOINED, keeper, &now->processes[i]);
    /* A new supervisor meets its processes one by one: those that it lacks have not left. */
    for (uint32_t i = 0; i < before->process_count && is_same; i++)
        if (!has_process(now, before->processes[i].pid))
            tell_process(node, EVENT_PROCESS_LEFT, keeper, &before->processes[i]);
}
