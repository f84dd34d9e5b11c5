#include "hypervisor/keeper.h"

#include "ipc/ledger.h"
#include "supervisor/process.h"
#include "supervisor/runtime.h"
#include "utils/clock.h"
#include "utils/log.h"
#include "utils/shm.h"
#include "utils/sock.h"
#include "utils/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RETRY_MS      KEEPER_RETRY_MS
#define FAILING_MS    2000 /* between the starts of supervisors that end at once */
#define FAILURES_MOST 3u
#define SHORT_MOST    10u /* killed from outside, that many in a row */
#define SHORT_MS      500 /* then between two starts: caps are to be back within a second */
#define SHORT_LIFE_NS NS_PER_SEC
#define OBSERVED_MOST 64u   /* processes that are believed of somebody else's */
#define HEARD_MOST    1024u /* messages of an answer of somebody else's */

/* --- its status --- */

/* The limits that are in force, also where somebody changed them behind our back. */
static void note_limits(struct keeper *keeper, const struct message_status_gpu *said)
{
    for (uint32_t i = 0; i < keeper->tenant.gpu_count; i++) {
        struct tenant_quota *quota = &keeper->tenant.quotas[i];

        if (!str_equals(keeper->tenant.cards[i].uuid, said->uuid))
            continue;
        quota->memory_bytes = said->memory_limit_bytes;
        quota->cap_milli_percent = (uint32_t)said->cap_milli_percent;
        quota->weight = said->weight;
        quota->priority = said->priority;
        promise_keep(&keeper->promise, i, quota, clock_now_ns());
    }
}

/* Of somebody else's tenant nothing else is known. */
static void note_gpus(struct keeper *keeper)
{
    const struct keeper_status *status = &keeper->status;

    keeper->tenant.gpu_count = status->gpu_count;
    for (uint32_t i = 0; i < status->gpu_count; i++) {
        struct gpus_card *card = &keeper->tenant.cards[i];

        (void)str_format(card->uuid, sizeof(card->uuid), "%s", status->gpus[i].uuid); /* same */
        card->nvml_index = status->gpus[i].nvml_index;
        keeper->tenant.quotas[i].is_allowed = 1;
    }
}

static void complete(struct keeper *keeper)
{
    struct keeper_status whole = keeper->coming;
    bool is_first = !keeper->has_status;

    keeper->coming = keeper->status;
    keeper->status = whole;
    keeper->has_status = true;
    keeper->is_successor = true;
    if (keeper->asked_ns)
        keeper->known_ns = keeper->asked_ns;
    keeper->asked_ns = 0;
    keeper->heard = 0;
    if (keeper->is_observed)
        note_gpus(keeper);
    keeper->state = whole.tenant.state == MESSAGE_SUSPENDED ? SNAPSHOT_SUSPENDED : SNAPSHOT_RUNNING;
    keeper->tenant.is_suspended = keeper->state == SNAPSHOT_SUSPENDED;
    for (uint32_t i = 0; i < whole.gpu_count; i++)
        note_limits(keeper, &whole.gpus[i]);
    if (!keeper->tenant.is_suspended && !keeper->promise.until_ns)
        keeper->is_held = false; /* it could not be suspended, or somebody resumed it */
    if (is_first)
        keeper->config->on_ready(keeper->config->context, keeper);
    keeper->config->on_change(keeper->config->context, keeper, &keeper->coming);
    keeper_status_reset(&keeper->coming);
}

/* Whether it may say something: somebody else's may not keep us busy. */
static bool is_heard(struct keeper *keeper)
{
    if (!keeper->is_observed || (keeper->asked_ns && ++keeper->heard <= HEARD_MOST))
        return true;
    keeper_judge_soon(keeper, 0);
    return false;
}

static void on_news(void *context, const struct message_header *message)
{
    struct keeper *keeper = context;

    if (is_heard(keeper) && keeper_status_take(&keeper->coming, message))
        complete(keeper);
}

/* --- lines --- */

static void on_line_lost(void *context)
{
    keeper_judge_soon(context, RETRY_MS);
}

static void close_lines(struct keeper *keeper)
{
    talk_close(keeper->watch);
    talk_close(keeper->line);
    keeper->watch = NULL;
    keeper->line = NULL;
}

static int open_lines(struct keeper *keeper)
{
    char path[RUNTIME_PATH_MAX];
    struct talk_config config = {.loop = keeper->config->loop,
                                 .path = path,
                                 .on_news = on_news,
                                 .on_lost = on_line_lost,
                                 .context = keeper};

    close_lines(keeper);
    if (runtime_path(keeper->config->runtime, keeper->tenant.name, "control", path, NULL) < 0)
        return -ENAMETOOLONG;
    keeper->watch = talk_new(&config);
    config.on_news = NULL;
    config.on_lost = NULL; /* the other one tells */
    keeper->line = talk_new(&config);
    if (!keeper->watch || !keeper->line)
        return -ENOMEM;
    if (!keeper->asked_ns) /* one that cannot even be reached does not answer either */
        keeper->asked_ns = clock_now_ns();
    return talk_watch(keeper->watch);
}

static void open_lines_patiently(struct keeper *keeper)
{
    if (open_lines(keeper) < 0)
        keeper_judge_soon(keeper, 10 * RETRY_MS);
}

/* --- its supervisor --- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct keeper *keeper = handle->data;

    if (--keeper->open_handles || !keeper->is_gone)
        return;
    free(keeper->status.processes);
    free(keeper->coming.processes);
    free(keeper);
}

static void close_handle(struct keeper *keeper, uv_handle_t *handle)
{
    (void)keeper;
    if (!uv_is_closing(handle))
        uv_close(handle, on_handle_closed);
}

static void on_supervisor_exit(uv_process_t *process, int64_t status, int number)
{
    struct keeper *keeper = process->data;
    bool is_short = clock_now_ns() - keeper->started_ns < SHORT_LIFE_NS;
    /* One that never said a word has failed, however long it took: a driver may be slow. */
    bool is_failure = is_short || keeper->state == SNAPSHOT_STARTING;

    (void)status;
    keeper->is_child = false;
    keeper->short_lives = is_short ? keeper->short_lives + 1 : 0;
    /* Killed from outside is not its own failure: another may live longer. */
    keeper->failures = is_failure && number != SIGKILL ? keeper->failures + 1 : 0;
    close_handle(keeper, (uv_handle_t *)process);
    if (!keeper->is_gone)
        keeper_judge_soon(keeper, 0);
}

static uv_stdio_container_t inherit(int fd)
{
    uv_stdio_container_t container = {.flags = fd < 0 ? UV_IGNORE : UV_INHERIT_FD};

    if (fd >= 0)
        container.data.fd = fd;
    return container;
}

/* Descriptors 3 to 6 of the program: its socket, the ledger, the front, the name's lock. */
static int start_supervisor(struct keeper *keeper, int front_fd, struct err *err)
{
    const char *words[] = {keeper->config->program,
                           keeper->config->runtime->base,
                           keeper->tenant.name,
                           "3",
                           keeper->ledger_fd < 0 ? "-" : "4",
                           front_fd < 0 ? "-" : "5",
                           keeper->is_successor ? "1" : "0",
                           NULL};
    uv_stdio_container_t stdio[] = {inherit(-1),
                                    inherit(-1),
                                    inherit(keeper->config->words_fd),
                                    inherit(keeper->listen_fd),
                                    inherit(keeper->ledger_fd),
                                    inherit(front_fd),
                                    inherit(keeper->lock_fd)};
    char *arguments[ARRAY_LENGTH(words)];
    uv_process_options_t options = {.file = keeper->config->program,
                                    .args = arguments,
                                    .flags = UV_PROCESS_DETACHED,
                                    .stdio_count = ARRAY_LENGTH(stdio),
                                    .stdio = stdio,
                                    .exit_cb = on_supervisor_exit};
    int rc;

    memcpy(arguments, words, sizeof(arguments)); /* libuv does not write there */
    keeper->started_ns = clock_now_ns();
    keeper->process.data = keeper;
    keeper->open_handles++;
    rc = uv_spawn(keeper->config->loop, &keeper->process, &options);
    if (rc < 0) {
        close_handle(keeper, (uv_handle_t *)&keeper->process);
        return err_say(err, -rc, "start '%s': %s", keeper->config->program, uv_strerror(rc));
    }
    keeper->is_child = true;
    keeper->asked_ns = 0;
    open_lines_patiently(keeper); /* it runs: that it cannot be reached now is no reason to fail */
    return 0;
}

static int listen_again(struct keeper *keeper, struct err *err)
{
    char path[RUNTIME_PATH_MAX];
    int rc = runtime_path(keeper->config->runtime, keeper->tenant.name, "control", path, err);

    attr_close(&keeper->listen_fd);
    if (!rc)
        rc = sock_listen(&keeper->listen_fd, path, err);
    if (!rc && geteuid() == 0 && keeper->tenant.uid &&
        chown(path, keeper->tenant.uid, (gid_t)-1) < 0)
        rc = err_set(err, errno, "give '%s' to its user", path);
    return rc;
}

static int load_state(struct keeper *keeper, struct err *err)
{
    char path[RUNTIME_PATH_MAX];
    int rc = runtime_path(keeper->config->runtime, keeper->tenant.name, "state", path, err);

    if (!rc)
        rc = tenant_load(&keeper->tenant, path, err);
    if (!rc)
        keeper->is_held = keeper->tenant.is_suspended == MESSAGE_HELD;
    return rc;
}

/* Its state is not there, or is none that this version reads; else it cannot be read now. */
static bool is_lost_for_good(int rc)
{
    return rc == -ENOENT || rc == -EPROTO;
}

/* --- when one is lost --- */

static void end(struct keeper *keeper, int status)
{
    keeper->config->on_end(keeper->config->context, keeper, status);
}

static void replace(struct keeper *keeper)
{
    struct err err;
    int rc = keeper->listen_fd < 0 ? listen_again(keeper, &err) : 0;

    if (keeper->state != SNAPSHOT_STARTING) {
        keeper->state = SNAPSHOT_ORPHANED;
        keeper->restarts++;
    }
    if (!rc)
        rc = start_supervisor(keeper, -1, &err);
    if (!rc)
        return;
    log_error("tenant '%s': %s", keeper->tenant.name, err.text);
    keeper->failures++;
    keeper_judge_soon(keeper, FAILING_MS);
}

/* Whether somebody still lives in it, or it is to stay anyway. */
static bool is_wanted(const struct keeper *keeper)
{
    char control[RUNTIME_PATH_MAX];

    if (keeper->tenant.is_kept)
        return true;
    return runtime_path(keeper->config->runtime, keeper->tenant.name, "control", control, NULL) ==
               0 &&
           process_has_tenant(control);
}

/*
 * It is not our child, and its line is down: its lock says whether it lives. Returns whether it is
 * ours to replace.
 */
static bool claim_lost(struct keeper *keeper)
{
    struct err err;
    int rc = runtime_lock(keeper->config->runtime, keeper->tenant.name, &keeper->lock_fd, &err);

    if (rc == RUNTIME_CLAIMED)
        return true;
    if (rc == RUNTIME_TAKEN) {
        open_lines_patiently(keeper);
        return false;
    }
    log_error("tenant '%s': %s", keeper->tenant.name, err.text);
    keeper_judge_soon(keeper, FAILING_MS);
    return false;
}

bool keeper_has_name(const struct keeper *keeper)
{
    char state[RUNTIME_PATH_MAX];

    if (keeper->lock_fd >= 0)
        return runtime_holds(keeper->config->runtime, keeper->tenant.name, keeper->lock_fd);
    return runtime_path(keeper->config->runtime, keeper->tenant.name, "state", state, NULL) == 0 &&
           access(state, F_OK) == 0;
}

/* Those that live for a moment only are not started all the time. 0: at once. */
static uint64_t delay_ms(const struct keeper *keeper)
{
    uint64_t age_ms = (clock_now_ns() - keeper->started_ns) / NS_PER_MS;
    uint64_t between_ms = 0;

    if (keeper->failures >= FAILURES_MOST)
        between_ms = FAILING_MS;
    else if (keeper->short_lives >= SHORT_MOST)
        between_ms = SHORT_MS;
    return between_ms > age_ms ? between_ms - age_ms : 0;
}

static void judge(struct keeper *keeper)
{
    struct err err;
    uint64_t delay;
    int rc;

    if (keeper->is_observed) {
        end(keeper, 0);
        return;
    }
    if (keeper->is_child) { /* only the line was lost */
        open_lines_patiently(keeper);
        return;
    }
    close_lines(keeper);
    if (!keeper_has_name(keeper)) {
        /* Its supervisor has removed it: no process was left, and the name may be another's now. */
        keeper_end(keeper);
        return;
    }
    if (keeper->state == SNAPSHOT_STARTING && keeper->failures) {
        runtime_remove(keeper->config->runtime, keeper->tenant.name);
        end(keeper, -EIO);
        return;
    }
    rc = load_state(keeper, &err);
    if (rc < 0) {
        log_error("tenant '%s': %s", keeper->tenant.name, err.text);
        if (is_lost_for_good(rc))
            end(keeper, 0);
        else
            keeper_judge_soon(keeper, FAILING_MS);
        return;
    }
    if (keeper->lock_fd < 0 && !claim_lost(keeper))
        return;
    if (!is_wanted(keeper)) {
        runtime_remove(keeper->config->runtime, keeper->tenant.name);
        end(keeper, 0);
        return;
    }
    if (keeper->state != SNAPSHOT_ORPHANED) {
        keeper->state = SNAPSHOT_ORPHANED;
        keeper->config->on_lost(keeper->config->context, keeper);
    }
    delay = delay_ms(keeper);
    if (delay)
        keeper_judge_soon(keeper, delay);
    else
        replace(keeper);
}

static void on_retry(uv_timer_t *timer)
{
    judge(timer->data);
}

void keeper_judge_soon(struct keeper *keeper, uint64_t delay_ms)
{
    (void)uv_timer_start(&keeper->retry, on_retry, delay_ms, 0); /* cannot fail */
}

/* --- begin, time, end --- */

static struct keeper *allocate(const struct keeper_config *config, const char *name)
{
    struct keeper *keeper = calloc(1, sizeof(*keeper));

    if (!keeper)
        return NULL;
    keeper->config = config;
    keeper->lock_fd = -1;
    keeper->ledger_fd = -1;
    keeper->listen_fd = -1;
    list_init(&keeper->node);
    (void)str_format(keeper->tenant.name, sizeof(keeper->tenant.name), "%s", name); /* checked */
    (void)uv_timer_init(config->loop, &keeper->retry); /* cannot fail */
    keeper->retry.data = keeper;
    keeper->open_handles = 1;
    return keeper;
}

static int take_name(struct keeper *keeper, struct err *err)
{
    const char *name = keeper->tenant.name;
    int rc = runtime_claim(keeper->config->runtime, name, false, &keeper->lock_fd, err);

    if (rc == RUNTIME_TAKEN)
        return err_say(err, EEXIST, "the name '%s' is taken by a tenant that runs", name);
    if (rc == RUNTIME_ORPHANED)
        return err_say(err, EEXIST, "the name '%s' is that of an orphaned tenant", name);
    return rc < 0 ? rc : 0;
}

static int make_files(struct keeper *keeper, struct err *err)
{
    char path[RUNTIME_PATH_MAX];
    void *memory;
    int rc = runtime_path(keeper->config->runtime, keeper->tenant.name, "state", path, err);

    if (!rc)
        rc = tenant_save(&keeper->tenant, path, err);
    if (!rc)
        rc = listen_again(keeper, err);
    if (rc < 0)
        return rc;
    keeper->ledger_fd = shm_create(&memory, "vgpu-ledger", ledger_size(), false, err);
    if (keeper->ledger_fd < 0)
        return keeper->ledger_fd;
    shm_unmap(memory, ledger_size());
    return 0;
}

int keeper_create(struct keeper **ret_keeper, const struct keeper_config *config,
                  const struct tenant *tenant, int *front_fd, struct err *err)
{
    CLEANUP_CLOSE int front = TAKE_FD(*front_fd);
    struct keeper *keeper = allocate(config, tenant->name);
    int rc;

    if (!keeper)
        return err_set(err, ENOMEM, "make tenant '%s'", tenant->name);
    keeper->tenant = *tenant;
    keeper->state = SNAPSHOT_STARTING;
    rc = take_name(keeper, err);
    if (!rc) {
        rc = make_files(keeper, err);
        if (!rc)
            rc = start_supervisor(keeper, front, err);
        if (rc < 0)
            runtime_remove(config->runtime, tenant->name);
    }
    if (rc < 0) {
        keeper_free(keeper);
        return rc;
    }
    *ret_keeper = keeper;
    return 0;
}

int keeper_take_over(struct keeper **ret_keeper, const struct keeper_config *config,
                     const char *name, struct err *err)
{
    struct keeper *keeper = allocate(config, name);
    int rc;

    if (!keeper)
        return err_set(err, ENOMEM, "take over tenant '%s'", name);
    rc = load_state(keeper, err);
    if (is_lost_for_good(rc)) {
        keeper_free(keeper);
        return rc;
    }
    keeper->state = SNAPSHOT_ORPHANED; /* until it answers */
    keeper->is_successor = true;
    keeper->is_inherited = true;
    if (rc < 0 || open_lines(keeper) < 0)
        keeper_judge_soon(keeper, 0);
    *ret_keeper = keeper;
    return 0;
}

int keeper_observe(struct keeper **ret_keeper, const struct keeper_config *config, const char *name,
                   uid_t uid, int *fd)
{
    CLEANUP_CLOSE int taken = TAKE_FD(*fd);
    struct keeper *keeper = allocate(config, "");
    struct talk_config talk_config = {
        .loop = config->loop, .on_news = on_news, .on_lost = on_line_lost, .context = keeper};
    char suffix[16];

    if (!keeper)
        return -ENOMEM;
    (void)str_format(suffix, sizeof(suffix), "@%u", uid); /* fits */
    (void)str_format(keeper->tenant.name, sizeof(keeper->tenant.name), "%.*s%s",
                     (int)(sizeof(keeper->tenant.name) - 1 - strlen(suffix)), name, suffix);
    keeper->is_observed = true;
    keeper->tenant.uid = uid;
    keeper->state = SNAPSHOT_STARTING;
    keeper->started_ns = clock_now_ns();
    keeper->status.process_most = OBSERVED_MOST;
    keeper->coming.process_most = OBSERVED_MOST;
    keeper->watch = talk_new(&talk_config);
    if (!keeper->watch || talk_use(keeper->watch, &taken) < 0) {
        keeper_free(keeper);
        return -ENOMEM;
    }
    *ret_keeper = keeper;
    return 0;
}

void keeper_end(struct keeper *keeper)
{
    end(keeper, keeper->state == SNAPSHOT_STARTING ? -EIO : 0);
}

void keeper_free(struct keeper *keeper)
{
    if (!keeper)
        return;
    keeper->is_gone = true;
    list_remove(&keeper->node);
    close_lines(keeper);
    attr_close(&keeper->lock_fd);
    attr_close(&keeper->ledger_fd);
    attr_close(&keeper->listen_fd);
    if (keeper->is_child)
        close_handle(keeper, (uv_handle_t *)&keeper->process);
    close_handle(keeper, (uv_handle_t *)&keeper->retry);
}
