#include "tests/unit/fake_system.h"

#include "tests/harness.h"
#include "utils/str.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static int describe(void *context, pid_t pid, struct foreign_process *ret_process)
{
    struct fake_system *fake = context;

    fake->describe_count++;
    if (pid == getpid() && fake->own_cgroup) {
        *ret_process = (struct foreign_process){.comm = "daemon"};
        CHECK(str_format(ret_process->cgroup, sizeof(ret_process->cgroup), "%s", fake->own_cgroup));
        return 0;
    }
    if (pid <= 0 || pid >= FAKE_PROCESSES || !fake->processes[pid].is_there)
        return -ESRCH;
    *ret_process = fake->processes[pid].process;
    return 0;
}

static int signal_process(void *context, pid_t pid, uint64_t start_ticks, int number)
{
    struct fake_system *fake = context;
    struct fake_process *process = &fake->processes[pid];

    CHECK(process->is_there);
    CHECK_EQ(process->process.start_ticks, start_ticks);
    process->signal_count++;
    process->last_signal = number;
    return process->signal_status;
}

static void add_event(void *context, const struct event *event)
{
    struct fake_system *fake = context;

    CHECK(fake->event_count < FAKE_EVENTS);
    fake->events[fake->event_count++] = *event;
}

struct foreign_system fake_system_prepare(struct fake_system *fake)
{
    memset(fake, 0, sizeof(*fake));
    return (struct foreign_system){
        .describe = describe, .signal = signal_process, .add_event = add_event, .context = fake};
}

void fake_system_start(struct fake_system *fake, int pid, const char *comm, const char *cgroup)
{
    static uint64_t start_ticks;
    struct fake_process *process = &fake->processes[pid];

    *process = (struct fake_process){.is_there = true,
                                     .process = {.start_ticks = ++start_ticks, .uid = 1000}};
    CHECK(str_format(process->process.comm, sizeof(process->process.comm), "%s", comm));
    CHECK(str_format(process->process.cgroup, sizeof(process->process.cgroup), "%s", cgroup));
}

void fake_system_end(struct fake_system *fake, int pid)
{
    fake->processes[pid].is_there = false;
}
