#include "hypervisor/foreign.h"

#include "hypervisor/event_log.h"
#include "hypervisor/membership.h"
#include "utils/log.h"
#include "utils/str.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct suspect {
    int32_t pid;
    bool is_described; /* there is such a process where we are */
    bool is_compute;
    bool is_foreign;
    bool is_unadopted; /* that it is in nobody's control group was said */
    bool has_failed;   /* that it cannot be ended was said */
    bool is_killed;
    struct foreign_process process;
    uint64_t first_ns, last_ns; /* when the readings were taken that had it */
    uint64_t asked_ns;          /* to end; 0: not */
    uint32_t gpus;              /* bits of places */
    uint64_t memory_bytes[REGION_GPUS_MAX];
    char tenant[64];
};

struct foreign {
    struct foreign_system system;
    struct membership *membership;
    uint64_t sequence;   /* of the newest reading */
    bool is_full;        /* that there are too many was said */
    bool has_namespaces; /* that NVML names processes without a pid was said */
    uint32_t count;
    struct suspect suspects[SNAPSHOT_FOREIGN_MAX];
    uint32_t row_count;
    struct snapshot_foreign rows[SNAPSHOT_FOREIGN_MAX];
};

int foreign_new(struct foreign **ret_foreign, const struct foreign_system *system, struct err *err)
{
    struct foreign *foreign = calloc(1, sizeof(*foreign));
    int rc;

    if (!foreign)
        return err_set(err, ENOMEM, "allocate the list of foreign processes");
    foreign->system = *system;
    rc = membership_new(&foreign->membership, &foreign->system, err);
    if (rc < 0) {
        free(foreign);
        return rc;
    }
    *ret_foreign = foreign;
    return 0;
}

void foreign_free(struct foreign *foreign)
{
    if (!foreign)
        return;
    membership_free(foreign->membership);
    free(foreign);
}

/* --- events ----------------------------------------------------------------------------------- */

static PRINTF_LIKE(4, 5) void tell(struct foreign *foreign, const struct suspect *suspect,
                                   enum event_kind kind, const char *format, ...)
{
    struct event event = {.kind = kind, .pid = suspect->pid};
    struct str text;
    va_list args;

    (void)str_format(event.tenant, sizeof(event.tenant), "%s", suspect->tenant); /* fits */
    str_init(&text, event.text, sizeof(event.text));
    str_add(&text, "process '%s' ", suspect->process.comm);
    if (suspect->process.uid != SNAPSHOT_NO_UID)
        str_add(&text, "of user %u ", suspect->process.uid);
    va_start(args, format);
    str_add_list(&text, format, args);
    va_end(args);
    foreign->system.add_event(foreign->system.context, &event);
}

static void tell_found(struct foreign *foreign, const struct suspect *suspect,
                       const struct foreign_input *input)
{
    uint32_t first = (uint32_t)__builtin_ctz(suspect->gpus);
    int others = __builtin_popcount(suspect->gpus) - 1;
    char more[32] = "";

    if (others > 0)
        (void)str_format(more, sizeof(more), " and %d more", others); /* fits */
    tell(foreign, suspect, EVENT_FOREIGN_FOUND, "uses GPU %u%s and belongs to no tenant",
         input->gpus[first].nvml_index, more);
}

/* --- who is seen ------------------------------------------------------------------------------ */

static bool is_ours(const struct foreign *foreign, const struct foreign_input *input, pid_t pid)
{
    if (pid == getpid() || membership_has(foreign->membership, pid))
        return true;
    for (size_t i = 0; i < input->own_count; i++)
        if (input->own_pids[i] == pid)
            return true;
    return false;
}

static struct suspect *find_suspect(struct foreign *foreign, pid_t pid)
{
    for (uint32_t i = 0; i < foreign->count; i++)
        if (foreign->suspects[i].pid == pid)
            return &foreign->suspects[i];
    return NULL;
}

static void describe(struct foreign *foreign, struct suspect *suspect)
{
    struct foreign_process *process = &suspect->process;

    suspect->is_described =
        foreign->system.describe(foreign->system.context, suspect->pid, process) == 0;
    if (!suspect->is_described)
        *process = (struct foreign_process){.comm = "?", .uid = SNAPSHOT_NO_UID};
}

static struct suspect *add_suspect(struct foreign *foreign, pid_t pid, uint64_t taken_ns)
{
    struct suspect *suspect;

    if (foreign->count == SNAPSHOT_FOREIGN_MAX) {
        if (!foreign->is_full)
            log_warn("more than %d processes use GPUs without a tenant: ignoring the others",
                     SNAPSHOT_FOREIGN_MAX);
        foreign->is_full = true;
        return NULL;
    }
    suspect = &foreign->suspects[foreign->count++];
    *suspect = (struct suspect){.pid = pid, .first_ns = taken_ns};
    describe(foreign, suspect);
    return suspect;
}

static void see_process(struct foreign *foreign, const struct foreign_input *input, uint32_t place,
                        const struct telemetry_process *process)
{
    uint64_t taken_ns = input->reading->taken_ns;
    struct suspect *suspect;

    if (process->pid <= 0) {
        if (!foreign->has_namespaces)
            log_warn("NVML names processes that have no pid here: whether they belong to a tenant "
                     "is not known, ignoring them");
        foreign->has_namespaces = true;
        return;
    }
    if (is_ours(foreign, input, process->pid))
        return;
    suspect = find_suspect(foreign, process->pid);
    if (!suspect)
        suspect = add_suspect(foreign, process->pid, taken_ns);
    if (!suspect)
        return;
    suspect->last_ns = taken_ns;
    suspect->is_compute = suspect->is_compute || process->is_compute;
    suspect->gpus |= UINT32_C(1) << place;
    suspect->memory_bytes[place] = process->memory_bytes;
}

/* Nobody is on a card that tells who is, until its list says so. */
static void forget_places(struct foreign *foreign, const struct foreign_input *input)
{
    uint32_t told = 0;

    for (uint32_t i = 0; i < input->gpu_count; i++) {
        const struct hardware_gpu *gpu = hardware_find(input->reading, input->gpus[i].uuid);

        if (gpu && gpu->has_processes)
            told |= UINT32_C(1) << i;
    }
    for (uint32_t i = 0; i < foreign->count; i++) {
        struct suspect *suspect = &foreign->suspects[i];

        suspect->gpus &= ~told;
        if (!suspect->gpus)
            suspect->is_compute = false;
        memset(suspect->memory_bytes, 0xff, sizeof(suspect->memory_bytes)); /* SNAPSHOT_UNKNOWN */
    }
}

static void see_reading(struct foreign *foreign, const struct foreign_input *input)
{
    if (input->reading->sequence == foreign->sequence)
        return;
    foreign->sequence = input->reading->sequence;
    forget_places(foreign, input);
    for (uint32_t i = 0; i < input->gpu_count; i++) {
        const struct hardware_gpu *gpu = hardware_find(input->reading, input->gpus[i].uuid);

        for (uint32_t j = 0; gpu && j < gpu->process_count; j++)
            see_process(foreign, input, i, &gpu->processes[j]);
    }
}

/* Whether the pid is still that of the process that was seen; it may have another name by now. */
static bool is_same(struct foreign *foreign, struct suspect *suspect)
{
    struct suspect now = {.pid = suspect->pid};

    describe(foreign, &now);
    if (now.is_described != suspect->is_described ||
        now.process.start_ticks != suspect->process.start_ticks)
        return false;
    suspect->process = now.process;
    return true;
}

static void forget_gone(struct foreign *foreign, const struct foreign_input *input)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < foreign->count; i++) {
        struct suspect *suspect = &foreign->suspects[i];

        bool is_ours_now = is_ours(foreign, input, suspect->pid);

        if (suspect->gpus && !is_ours_now && is_same(foreign, suspect)) {
            foreign->suspects[kept++] = *suspect;
            continue;
        }
        if (suspect->is_foreign)
            tell(foreign, suspect, EVENT_FOREIGN_GONE, "%s",
                 is_ours_now ? "belongs to a tenant now" : "has ended or uses no GPU any more");
    }
    foreign->count = kept;
}

/* --- what is done about them ------------------------------------------------------------------ */

static bool is_pardoned(const struct foreign_input *input, const struct suspect *suspect)
{
    for (size_t i = 0; i < input->pardon_count; i++)
        if (input->pardons[i].uid == suspect->process.uid &&
            input->pardons[i].known_ns < suspect->first_ns)
            return true;
    return false;
}

static void judge(struct foreign *foreign, const struct foreign_input *input,
                  struct suspect *suspect)
{
    if (suspect->is_foreign || suspect->last_ns != input->reading->taken_ns ||
        suspect->last_ns <= suspect->first_ns || input->tenants_ns < suspect->first_ns ||
        is_pardoned(input, suspect))
        return;
    suspect->is_foreign = true;
    tell_found(foreign, suspect, input);
}

static void adopt(struct foreign *foreign, struct suspect *suspect)
{
    const char *owner = membership_find_owner(foreign->membership, suspect->process.cgroup);

    (void)str_format(suspect->tenant, sizeof(suspect->tenant), "%s", owner ? owner : ""); /* fits */
    if (!owner && !suspect->is_unadopted) {
        log_info("process '%s' (pid %d) is in no control group of one tenant alone: counting it "
                 "to nobody",
                 suspect->process.comm, suspect->pid);
        suspect->is_unadopted = true;
    }
}

static bool send(struct foreign *foreign, struct suspect *suspect, int number)
{
    int rc = foreign->system.signal(foreign->system.context, suspect->pid,
                                    suspect->process.start_ticks, number);

    if (rc < 0 && rc != -ESRCH && !suspect->has_failed) {
        log_warn("process '%s' (pid %d) uses a GPU without a tenant and cannot be ended, leaving "
                 "it: %s",
                 suspect->process.comm, suspect->pid, strerror(-rc));
        suspect->has_failed = true;
    }
    return rc == 0;
}

static void stop(struct foreign *foreign, const struct foreign_input *input,
                 struct suspect *suspect, uint64_t now_ns)
{
    bool is_there = suspect->last_ns == input->reading->taken_ns && input->tenants_ns > 0;

    if (!suspect->is_described || !suspect->is_compute || suspect->pid <= 1 || !is_there)
        return;
    if (suspect->asked_ns == 0) {
        if (!send(foreign, suspect, SIGTERM))
            return;
        suspect->asked_ns = now_ns;
        tell(foreign, suspect, EVENT_FOREIGN_STOPPED, "was asked to end: it belongs to no tenant");
        return;
    }
    if (suspect->is_killed || now_ns - suspect->asked_ns < FOREIGN_KILL_NS ||
        suspect->last_ns <= suspect->asked_ns || !send(foreign, suspect, SIGKILL))
        return;
    suspect->is_killed = true;
    tell(foreign, suspect, EVENT_FOREIGN_STOPPED, "was killed: it did not end when it was asked");
}

static void add_rows(struct foreign *foreign, const struct suspect *suspect)
{
    for (uint32_t i = 0; i < REGION_GPUS_MAX && foreign->row_count < SNAPSHOT_FOREIGN_MAX; i++) {
        struct snapshot_foreign *row = &foreign->rows[foreign->row_count];

        if (!(suspect->gpus >> i & 1))
            continue;
        *row = (struct snapshot_foreign){
            .pid = suspect->pid,
            .uid = suspect->process.uid,
            .gpu = i,
            .memory_bytes = suspect->memory_bytes[i],
            .is_stopped = suspect->asked_ns > 0,
        };
        memcpy(row->comm, suspect->process.comm, sizeof(row->comm));
        memcpy(row->tenant, suspect->tenant, sizeof(row->tenant));
        foreign->row_count++;
    }
}

void foreign_update(struct foreign *foreign, const struct foreign_input *input, uint64_t now_ns)
{
    bool is_complete = membership_update(foreign->membership, input);
    struct foreign_input careful = *input;

    /* Who could not be remembered is not to be taken for foreign. */
    if (!is_complete)
        careful.tenants_ns = 0;
    see_reading(foreign, &careful);
    forget_gone(foreign, &careful);
    foreign->row_count = 0;
    for (uint32_t i = 0; i < foreign->count; i++) {
        struct suspect *suspect = &foreign->suspects[i];

        suspect->tenant[0] = '\0';
        judge(foreign, &careful, suspect);
        if (!suspect->is_foreign)
            continue;
        if (input->policy == CONFIG_FOREIGN_ADOPT)
            adopt(foreign, suspect);
        if (input->policy == CONFIG_FOREIGN_STOP)
            stop(foreign, &careful, suspect, now_ns);
        add_rows(foreign, suspect);
    }
}

const struct snapshot_foreign *foreign_list(const struct foreign *foreign, uint32_t *ret_count)
{
    *ret_count = foreign->row_count;
    return foreign->rows;
}
