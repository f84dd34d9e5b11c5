#include "hypervisor/node.h"

#include "hypervisor/chronicle.h"
#include "hypervisor/control_socket.h"
#include "hypervisor/disk_probe.h"
#include "hypervisor/keeper_watch.h"
#include "hypervisor/node_state.h"
#include "hypervisor/outlook.h"
#include "hypervisor/request.h"
#include "hypervisor/requests.h"
#include "hypervisor/standalone.h"
#include "hypervisor/survey.h"
#include "hypervisor/words.h"
#include "supervisor/gpus.h"
#include "utils/clock.h"
#include "utils/file.h"
#include "utils/log.h"
#include "utils/paths.h"
#include "utils/str.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define SOON_MS       20
#define LOOK_MOST_MS  1000
#define GLANCE_MS     200
#define GPUS_RETRY_NS (10 * NS_PER_SEC)
#define DISK_NS       (5 * NS_PER_SEC)

/* --- for its parts --- */

/* From the newest: one that has just lost its name to another is about to end. */
struct keeper *node_find(const struct node *node, const char *name)
{
    for (struct list *at = node->keepers.previous; at != &node->keepers; at = at->previous) {
        struct keeper *keeper = CONTAINER_OF(at, struct keeper, node);

        if (str_equals(keeper->tenant.name, name))
            return keeper;
    }
    return NULL;
}

struct admit node_admit(struct node *node)
{
    return (struct admit){.cards = node->cards,
                          .card_count = node->card_count,
                          .lost_mask = node->lost_mask,
                          .keepers = &node->keepers,
                          .waiting = &node->waiting,
                          .policy = node->config.policy,
                          .groups = &node->groups};
}

void node_tell(const struct node *node, enum event_kind kind, const struct keeper *keeper,
               const char *format, ...)
{
    struct event event = {.kind = kind};
    struct str text;
    va_list args;

    if (keeper)
        (void)str_format(event.tenant, sizeof(event.tenant), "%s",
                         keeper->tenant.name); /* same size */
    str_init(&text, event.text, sizeof(event.text));
    va_start(args, format);
    str_add_list(&text, format, args);
    va_end(args);
    event_log_add(node->events, &event);
    log_info("%s%s%s", event.tenant, event.tenant[0] ? ": " : "", event.text);
}

/* --- snapshots --- */

static void make_snapshot(struct node *node)
{
    const struct survey survey = {.node_name = node->node_name,
                                  .driver_version = node->driver_version,
                                  .cards = node->cards,
                                  .verdicts = node->verdicts,
                                  .card_count = node->card_count,
                                  .keepers = &node->keepers,
                                  .observed = standalone_keepers(node->standalone),
                                  .outlook = node->outlook,
                                  .waiting = &node->waiting,
                                  .health = &node->health,
                                  .sequence = ++node->sequence,
                                  .is_ready = node->is_taken_over && node->card_count};
    struct snapshot *fresh = survey_make(&survey), *old;

    if (!fresh)
        return; /* the old one ages, and /healthz says so */
    (void)pthread_mutex_lock(&node->lock);
    old = node->snapshot;
    node->snapshot = fresh;
    (void)pthread_mutex_unlock(&node->lock);
    snapshot_release(old);
}

static struct snapshot *get_snapshot(void *context)
{
    struct node *node = context;
    struct snapshot *snapshot;

    (void)pthread_mutex_lock(&node->lock);
    snapshot = snapshot_hold(node->snapshot);
    (void)pthread_mutex_unlock(&node->lock);
    return snapshot;
}

static void on_soon(uv_timer_t *timer)
{
    make_snapshot(timer->data);
}

void node_changed(struct node *node)
{
    if (!uv_is_active((uv_handle_t *)&node->soon))
        (void)uv_timer_start(&node->soon, on_soon, SOON_MS, 0); /* cannot fail */
}

/* --- keepers --- */

static void on_change(void *context, struct keeper *keeper, const struct keeper_status *before)
{
    chronicle_compare(context, keeper, before);
    node_changed(context);
}

static void on_ready(void *context, struct keeper *keeper)
{
    int32_t pid = keeper->status.tenant.supervisor_pid;

    if (!keeper->is_inherited)
        node_tell(context, EVENT_TENANT_CREATED, keeper, "it has a supervisor (process %d)", pid);
    else if (keeper->is_child)
        node_tell(context, EVENT_SUPERVISOR_STARTED, keeper,
                  "it is taken over without a supervisor, and has one now (process %d)", pid);
    else
        log_info("%s: it is taken over with its supervisor (process %d)", keeper->tenant.name, pid);
    requests_finish_creation(keeper, 0, "");
}

static void on_lost(void *context, struct keeper *keeper)
{
    node_tell(context, EVENT_SUPERVISOR_LOST, keeper,
              "its supervisor is lost, and another one follows");
    node_changed(context);
}

static void on_end(void *context, struct keeper *keeper, int status)
{
    struct node *node = context;

    requests_finish_creation(keeper, status ? status : -ECONNRESET,
                             "its supervisor did not begin (the log says why)");
    node_tell(node, EVENT_TENANT_ENDED, keeper, "it has ended");
    keeper_free(keeper);
    node_changed(node);
    requests_retry_waiters(node);
}

static void on_child(uv_signal_t *signal, int number)
{
    struct node *node = signal->data;

    (void)number;
    LIST_EACH(at, &node->keepers)
    keeper_look_at_child(CONTAINER_OF(at, struct keeper, node));
}

/* --- requests --- */

static void post(void *context, struct request *request)
{
    struct node *node = context;

    request->next = NULL;
    (void)pthread_mutex_lock(&node->lock);
    if (node->last_posted)
        node->last_posted->next = request;
    else
        node->first_posted = request;
    node->last_posted = request;
    (void)pthread_mutex_unlock(&node->lock);
    (void)uv_async_send(&node->posted); /* fails for misuse only */
}

static struct request *take_posted(struct node *node)
{
    struct request *first;

    (void)pthread_mutex_lock(&node->lock);
    first = node->first_posted;
    node->first_posted = NULL;
    node->last_posted = NULL;
    (void)pthread_mutex_unlock(&node->lock);
    return first;
}

static void on_posted(uv_async_t *async)
{
    struct node *node = async->data;
    struct request *next;

    for (struct request *request = take_posted(node); request; request = next) {
        next = request->next;
        requests_do(node, request);
    }
}

/* --- GPUs --- */

static void find_gpus(struct node *node)
{
    struct gpus *gpus;
    struct err err;

    node->gpus_retry_ns = clock_now_ns() + GPUS_RETRY_NS;
    if (gpus_open(&gpus, &err) < 0) {
        node_set_fault(node, true, "gpu", "no GPU can be reached");
        return;
    }
    node_set_fault(node, false, "gpu", "no GPU can be reached");
    node->card_count = gpus_count(gpus);
    (void)str_format(node->driver_version, sizeof(node->driver_version), "%s",
                     gpus_driver_version(gpus)); /* cut at worst */
    for (uint32_t i = 0; i < node->card_count; i++) {
        node->cards[i] = *gpus_card(gpus, i);
        node->verdicts[i] = verdict_load(&node->runtime, node->cards[i].uuid, node->driver_version);
    }
    gpus_close(gpus);
}

/* --- time --- */

/* Or at the next look where something could not be written (requests.c). */
static void look_at_disk(struct node *node, uint64_t now_ns)
{
    char words[sizeof(node->disk_fault)];

    if (now_ns < node->disk_due_ns)
        return;
    node->disk_due_ns = now_ns + DISK_NS;
    if (disk_probe(node->runtime.base, words, sizeof(words)) == 0)
        node_replace_fault(node, "disk", node->disk_fault, words);
}

static void on_look(uv_timer_t *timer)
{
    struct node *node = timer->data;
    uint64_t now_ns = clock_now_ns();
    bool is_late = keeper_pace_is_late(&node->pace, now_ns, node_look_ns(node));

    if (!node->card_count && now_ns >= node->gpus_retry_ns)
        find_gpus(node);
    look_at_disk(node, now_ns);
    LIST_EACH_SAFE(at, following, &node->keepers)
    (is_late ? keeper_excuse : keeper_look)(CONTAINER_OF(at, struct keeper, node), now_ns);
    if (!is_late)
        standalone_look(node->standalone, node->config.standalone_patterns, now_ns);
    outlook_look(node->outlook, node, (enum config_foreign_policy)node->config.foreign_policy);
    requests_look(node);
    make_snapshot(node);
    if (node->config.on_look)
        node->config.on_look(node->config.context, node->snapshot);
}

static void on_glance(uv_timer_t *timer)
{
    const struct node *node = timer->data;

    LIST_EACH(at, &node->keepers)
    keeper_look_at_inherited(CONTAINER_OF(at, struct keeper, node));
}

/* --- begin and end --- */

static int take_over(void *context, const char *name)
{
    struct node *node = context;
    struct keeper *keeper;
    struct err err;

    if (keeper_take_over(&keeper, &node->keeper_config, name, &err) < 0) {
        struct event event = {.kind = EVENT_TENANT_REFUSED};

        log_warn("tenant '%s' is not taken over: %s", name, err.text);
        (void)str_format(event.tenant, sizeof(event.tenant), "%s", name); /* cut at worst */
        (void)str_format(event.text, sizeof(event.text), "it is not taken over: %s", err.text);
        event_log_add(node->events, &event);
        return 0;
    }
    list_append(&node->keepers, &keeper->node);
    return 0;
}

/* However rarely the hardware is sampled, who asks how we are is told of now. */
static uint64_t look_ms(const struct node *node)
{
    return node->config.sample_ms < LOOK_MOST_MS ? node->config.sample_ms : LOOK_MOST_MS;
}

static int start_loop(struct node *node, struct err *err)
{
    if (uv_loop_init(&node->loop) < 0)
        return err_say(err, EIO, "the event loop does not start");
    /* None of these can fail with a loop that is there. */
    (void)uv_async_init(&node->loop, &node->posted, on_posted);
    (void)uv_timer_init(&node->loop, &node->look);
    (void)uv_timer_init(&node->loop, &node->soon);
    (void)uv_timer_init(&node->loop, &node->glance);
    (void)uv_signal_init(&node->loop, &node->child);
    node->posted.data = node;
    node->look.data = node;
    node->soon.data = node;
    node->glance.data = node;
    node->child.data = node;
    (void)uv_signal_start(&node->child, on_child, SIGCHLD);
    (void)uv_timer_start(&node->look, on_look, 0, look_ms(node));
    (void)uv_timer_start(&node->glance, on_glance, GLANCE_MS, GLANCE_MS);
    return 0;
}

static int begin(struct node *node, struct err *err)
{
    int rc = runtime_open_daemon(&node->runtime, node->config.runtime_dir, err);

    if (!rc)
        rc = paths_find("vgpu-supervisor", node->program, sizeof(node->program), err);
    if (!rc)
        rc = event_log_new(&node->events, clock_unix_ms(), err);
    if (!rc)
        rc = start_loop(node, err);
    if (rc < 0)
        return rc;
    health_init(&node->health, node->events);
    rc = words_new(&node->words, &node->loop, err);
    if (rc < 0)
        return rc;
    node->backend = (struct backend){
        .get_snapshot = get_snapshot, .post = post, .events = node->events, .context = node};
    node->keeper_config = (struct keeper_config){.loop = &node->loop,
                                                 .runtime = &node->runtime,
                                                 .program = node->program,
                                                 .words_fd = words_fd(node->words),
                                                 .on_change = on_change,
                                                 .on_ready = on_ready,
                                                 .on_lost = on_lost,
                                                 .on_end = on_end,
                                                 .context = node};
    rc = standalone_new(&node->standalone, &node->loop, node->runtime.base, err);
    if (!rc)
        rc = outlook_new(&node->outlook, node, node->config.sample_ms * NS_PER_MS, err);
    if (!rc)
        rc = control_socket_new(&node->control_socket, node, err);
    if (rc < 0)
        return rc;
    find_gpus(node);
    rc = runtime_each(&node->runtime, take_over, node);
    if (rc < 0)
        return err_set(err, -rc, "read the tenant directory '%s'", node->runtime.base);
    node->is_taken_over = true;
    make_snapshot(node);
    return node->snapshot ? 0 : err_set(err, ENOMEM, "make the first snapshot");
}

int node_new(struct node **ret_node, const struct node_config *config, struct err *err)
{
    struct node *node = calloc(1, sizeof(*node));
    int rc;

    if (!node)
        return err_set(err, ENOMEM, "allocate the node");
    file_allow_many(); /* five for each tenant */
    node->config = *config;
    (void)str_format(node->node_name, sizeof(node->node_name), "%s",
                     config->node_name); /* a reload frees that one; cut at worst */
    node->config.node_name = node->node_name;
    list_init(&node->keepers);
    list_init(&node->waiting);
    (void)pthread_mutex_init(&node->lock, NULL); /* cannot fail without attributes */
    rc = begin(node, err);
    if (rc < 0)
        return rc; /* the process ends with this: nothing is freed one by one */
    *ret_node = node;
    return 0;
}

void node_run(struct node *node)
{
    (void)uv_run(&node->loop, UV_RUN_DEFAULT);
}

void node_stop(struct node *node)
{
    requests_refuse_all(node);
    uv_stop(&node->loop);
}

static void close_handle(uv_handle_t *handle, void *context)
{
    (void)context;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

/* Whoever has asked for something is told, before what it asked is gone. */
static void refuse_all(struct node *node)
{
    struct request *next;

    for (struct request *request = take_posted(node); request; request = next) {
        next = request->next;
        requests_refuse(request);
    }
    requests_refuse_all(node);
}

void node_free(struct node *node)
{
    refuse_all(node);
    LIST_EACH_SAFE(at, following, &node->keepers)
    keeper_free(CONTAINER_OF(at, struct keeper, node));
    standalone_free(node->standalone);
    outlook_free(node->outlook);
    control_socket_free(node->control_socket);
    words_free(node->words);
    uv_walk(&node->loop, close_handle, NULL);
    while (uv_run(&node->loop, UV_RUN_DEFAULT))
        ; /* what closes has its callbacks, also after a stop that came before the loop ran */
    (void)uv_loop_close(&node->loop);
    snapshot_release(node->snapshot);
    event_log_free(node->events);
    user_groups_forget(&node->groups);
    (void)pthread_mutex_destroy(&node->lock);
    free(node);
}

void node_configure(struct node *node, const struct node_config *config)
{
    node->config.policy = config->policy;
    node->config.queue_ns = config->queue_ns;
    node->config.standalone_patterns = config->standalone_patterns;
    node->config.foreign_policy = config->foreign_policy;
    user_groups_forget(&node->groups);
    /* The log has it from whoever has read it. */
    event_log_add(node->events, &(struct event){.kind = EVENT_CONFIGURATION_LOADED,
                                                .text = "the configuration was read again"});
}

uint64_t node_look_ns(const struct node *node)
{
    return look_ms(node) * NS_PER_MS;
}

uv_loop_t *node_loop(struct node *node)
{
    return &node->loop;
}

const struct backend *node_backend(const struct node *node)
{
    return &node->backend;
}

const char *node_runtime_base(const struct node *node)
{
    return node->runtime.base;
}

void node_set_fault(struct node *node, bool is_there, const char *component, const char *text)
{
    health_set(&node->health, is_there, component, text);
    node_changed(node);
}

void node_replace_fault(struct node *node, const char *component, char *said, const char *text)
{
    if (str_equals(said, text))
        return;
    if (said[0])
        node_set_fault(node, false, component, said);
    (void)str_format(said, sizeof(node->disk_fault), "%s", text); /* cut at worst */
    if (said[0])
        node_set_fault(node, true, component, said);
}
