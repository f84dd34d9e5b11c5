#include "supervisor/census.h"

#include "utils/clock.h"

#define BUSY_NS   (200 * NS_PER_MS)
#define ACTIVE_NS (500 * NS_PER_MS)

struct others {
    const struct census *census;
    uint64_t newest_ns, now_ns;
};

void census_init(struct census *census)
{
    *census = (struct census){0};
}

static struct census_process *find(struct census *census, pid_t pid)
{
    for (size_t i = 0; i < census->count; i++)
        if (census->processes[i].pid == pid)
            return &census->processes[i];
    return NULL;
}

static struct census_process *add(struct census *census, pid_t pid)
{
    if (census->count == CENSUS_PROCESSES_MAX)
        return NULL;
    census->processes[census->count] = (struct census_process){.pid = pid};
    return &census->processes[census->count++];
}

static void list_processes(struct census *census, const struct roster *roster)
{
    for (size_t i = 0; i < census->count; i++) {
        census->processes[i].is_listed = false;
        census->processes[i].group_count = 0;
    }
    for (size_t i = 0; i < roster->count; i++) {
        const struct roster_entry *entry = &roster->entries[i];
        struct census_process *process;

        if (!roster_is_compute(entry))
            continue;
        process = find(census, entry->object.pid);
        if (!process)
            process = add(census, entry->object.pid);
        if (!process)
            continue;
        process->is_listed = true;
        process->group_count += entry->object.channel == 0;
    }
}

static void drop_gone(struct census *census, struct sampler *sampler)
{
    for (size_t i = census->count; i-- > 0;) {
        if (census->processes[i].is_listed)
            continue;
        census->gone_net_ns += census->processes[i].net_ns;
        census->gone_count++;
        sampler_forget(sampler, census->processes[i].pid);
        census->processes[i] = census->processes[--census->count];
    }
}

static void count_process(struct census *census, struct census_process *process,
                          const struct sampler_use *use, uint64_t now_ns)
{
    process->net_ns = (int64_t)use->closed_ns - CENSUS_SAVE_NS * (int64_t)use->interval_count;
    if (use->is_on_engine && now_ns > use->since_ns)
        process->net_ns += (int64_t)(now_ns - use->since_ns);
    if (use->is_on_engine || use->interval_count != process->interval_count)
        process->busy_until_ns = now_ns + BUSY_NS;
    process->interval_count = use->interval_count;
    census->net_ns += process->net_ns;
    census->interval_count += use->interval_count;
    census->group_count += process->group_count;
    if (process->busy_until_ns > now_ns)
        census->busy_group_count += process->group_count;
    if (use->is_on_engine) {
        census->is_on_engine = true;
        census->since_ns = use->since_ns;
    }
    if (use->last_end_ns > census->last_end_ns)
        census->last_end_ns = use->last_end_ns;
}

static void look_at_other(void *context, pid_t pid, const struct sampler_use *use)
{
    struct others *others = context;

    for (size_t i = 0; i < others->census->count; i++)
        if (others->census->processes[i].pid == pid)
            return;
    if (use->is_on_engine)
        others->newest_ns = others->now_ns;
    else if (use->last_end_ns > others->newest_ns)
        others->newest_ns = use->last_end_ns;
}

void census_update(struct census *census, struct sampler *sampler, const struct roster *roster,
                   uint64_t now_ns)
{
    struct others others = {.census = census, .now_ns = now_ns};

    list_processes(census, roster);
    drop_gone(census, sampler);
    census->net_ns = census->gone_net_ns;
    census->interval_count = 0;
    census->group_count = 0;
    census->busy_group_count = 0;
    census->is_on_engine = false;
    for (size_t i = 0; i < census->count; i++) {
        struct sampler_use use;

        sampler_get(sampler, census->processes[i].pid, &use);
        count_process(census, &census->processes[i], &use, now_ns);
    }
    if (census->busy_group_count)
        census->active_until_ns = now_ns + ACTIVE_NS;
    sampler_each(sampler, look_at_other, &others);
    if (others.newest_ns)
        census->neighbour_until_ns = others.newest_ns + BUSY_NS;
}

void census_assume(struct census *census, const struct roster *roster, uint64_t now_ns)
{
    census->group_count = 0;
    census->is_on_engine = false;
    for (size_t i = 0; i < roster->count; i++)
        census->group_count +=
            roster_is_compute(&roster->entries[i]) && !roster->entries[i].object.channel;
    census->busy_group_count = census->group_count;
    if (census->group_count)
        census->active_until_ns = now_ns + ACTIVE_NS;
}

struct budget_measure census_measure(const struct census *census)
{
    return (struct budget_measure){.net_ns = (uint64_t)census->net_ns,
                                   .is_on_engine = census->is_on_engine};
}
