#include "hypervisor/keeper_watch.h"

#include "hypervisor/keeper.h"
#include "supervisor/process.h"
#include "supervisor/runtime.h"
#include "utils/clock.h"
#include "utils/log.h"

#include <signal.h>
#include <sys/wait.h>

#define SILENCE_NS   (TALK_ANSWER_MS * NS_PER_MS)
#define BEGINNING_NS (5 * NS_PER_SEC) /* until a supervisor's first word, on a busy machine */
#define LATE_NS      (NS_PER_SEC / 2)

bool keeper_pace_is_late(struct keeper_pace *pace, uint64_t now_ns, uint64_t between_ns)
{
    bool is_late =
        pace->looked_ns && !pace->was_late && now_ns > pace->looked_ns + between_ns + LATE_NS;

    pace->looked_ns = now_ns;
    pace->was_late = is_late;
    return is_late;
}

void keeper_excuse(struct keeper *keeper, uint64_t now_ns)
{
    keeper->excused_ns = now_ns;
    if (keeper->line)
        talk_excuse(keeper->line, now_ns);
}

/* A pidfd; -1: none. One of a former daemon's has said who it is in the tenant's state. */
static int open_supervisor(const struct keeper *keeper, pid_t *ret_pid)
{
    CLEANUP_CLOSE int fd = -1;
    char path[RUNTIME_PATH_MAX];
    struct tenant tenant;
    uint64_t start_time;

    if (keeper->is_child) {
        *ret_pid = keeper->process.pid;
        return process_open(keeper->process.pid);
    }
    if (runtime_path(keeper->config->runtime, keeper->tenant.name, "state", path, NULL) < 0 ||
        tenant_load(&tenant, path, NULL) < 0 || tenant.supervisor_pid <= 0)
        return -1;
    fd = process_open(tenant.supervisor_pid);
    if (process_start_time(tenant.supervisor_pid, &start_time) < 0 ||
        start_time != tenant.supervisor_start_time)
        return -1;
    *ret_pid = tenant.supervisor_pid;
    return TAKE_FD(fd);
}

/* It cannot keep to what it promised its tenant: its successor can. */
static void end_supervisor(const struct keeper *keeper, const char *why)
{
    pid_t pid;
    CLEANUP_CLOSE int fd = open_supervisor(keeper, &pid);

    if (fd < 0)
        return;
    log_warn("the supervisor of '%s' (process %d) %s, and is replaced", keeper->tenant.name,
             (int)pid, why);
    (void)!process_signal(fd, SIGKILL); /* where it has ended already that is seen */
}

void keeper_look(struct keeper *keeper, uint64_t now_ns)
{
    bool is_beginning = keeper->is_child &&
                        (keeper->state == SNAPSHOT_STARTING || keeper->state == SNAPSHOT_ORPHANED);
    uint64_t patience_ns = is_beginning ? BEGINNING_NS : SILENCE_NS;
    uint64_t since_ns =
        keeper->asked_ns > keeper->excused_ns ? keeper->asked_ns : keeper->excused_ns;
    bool is_silent = keeper->asked_ns && now_ns > since_ns + patience_ns;
    struct message_header ask;

    if (!keeper->watch)
        return;
    if (keeper->line)
        (void)talk_expire(keeper->line, now_ns); /* who asked was told */
    if (is_silent && keeper->is_observed) {
        keeper_judge_soon(keeper, 0);
        return;
    }
    if (is_silent) {
        end_supervisor(keeper, "does not answer");
        keeper->asked_ns = 0;
        if (!keeper->is_child)
            keeper_judge_soon(keeper, KEEPER_RETRY_MS);
        return;
    }
    if (keeper->asked_ns)
        return;
    message_init(&ask, MESSAGE_STATUS, sizeof(ask));
    keeper->asked_ns = now_ns;
    if (talk_tell(keeper->watch, &ask) < 0)
        keeper_judge_soon(keeper, KEEPER_RETRY_MS);
}

void keeper_look_at_child(const struct keeper *keeper)
{
    siginfo_t info = {.si_pid = 0};

    /* Stops alone: how it ends is libuv's to learn. */
    if (keeper->is_child &&
        waitid(P_PID, (id_t)keeper->process.pid, &info, WSTOPPED | WNOHANG) == 0 && info.si_pid)
        end_supervisor(keeper, "was stopped");
}

void keeper_look_at_inherited(const struct keeper *keeper)
{
    pid_t pid;

    if (keeper->is_child || keeper->is_observed || !keeper->watch)
        return;
    if (keeper->has_status) {
        pid = keeper->status.tenant.supervisor_pid;
    } else {
        CLEANUP_CLOSE int fd = open_supervisor(keeper, &pid);

        if (fd < 0)
            return;
    }
    if (process_is_stopped(pid))
        end_supervisor(keeper, "was stopped");
}
