#include "hypervisor/node_service.h"

#include "hypervisor/journal.h"
#include "hypervisor/node.h"
#include "hypervisor/notify.h"
#include "hypervisor/snapshot.h"
#include "hypervisor/views.h"
#include "utils/clock.h"

#include <string.h>

struct service {
    struct daemon *daemon;
    struct node *node;
    struct views *views;
    uv_poll_t signals;
    uv_timer_t watchdog;
    bool is_announced;                                          /* READY=1 was told */
    char status[96];                                            /* that was told last */
    char log_fault[sizeof(((struct snapshot_fault *)0)->text)]; /* of the log's, likewise */
};

/* The manager not hearing us is said, and no reason to stop. */
static void say_unheard(int rc, const struct err *err)
{
    if (rc < 0)
        log_warn("%s, going on", err->text);
}

static int on_request(void *context, struct err *err)
{
    struct service *service = context;

    return daemon_reload(service->daemon, err);
}

static void on_reload(void *context, const struct config *newer, const struct config *older)
{
    struct service *service = context;

    node_configure(service->node, &(struct node_config){
                                      .policy = &newer->policy,
                                      .queue_ns = newer->queue_seconds,
                                      .standalone_patterns = newer->standalone_directories,
                                      .foreign_policy = newer->foreign_policy,
                                  });
    views_reload(service->views, newer);
}

static void on_stop(void *context)
{
    struct service *service = context;

    node_stop(service->node);
}

static void on_signal(uv_poll_t *poll, int status, int events)
{
    struct service *service = poll->data;

    daemon_handle_signals(service->daemon);
}

static void on_watchdog(uv_timer_t *timer)
{
    struct err err;

    say_unheard(notify_watchdog(&err), &err);
}

static void announce(struct service *service, const struct snapshot *snapshot)
{
    char status[sizeof(service->status)];
    struct err err;

    (void)str_format(status, sizeof(status), "%u GPUs, %u tenants", snapshot->gpu_count,
                     snapshot->tenant_count); /* always fits */
    if (service->is_announced && str_equals(status, service->status))
        return;
    memcpy(service->status, status, sizeof(status));
    say_unheard(service->is_announced ? notify_status(status, &err) : notify_ready(status, &err),
                &err);
    service->is_announced = true;
}

static void on_look(void *context, struct snapshot *snapshot)
{
    struct service *service = context;
    char text[sizeof(snapshot->faults[0].text)] = "";

    (void)journal_get_fault(text, sizeof(text)); /* none is empty */
    node_replace_fault(service->node, "disk", service->log_fault, text);
    if (service->views)
        views_look(service->views, snapshot);
    announce(service, snapshot);
}

static int watch(struct service *service, struct err *err)
{
    uv_loop_t *loop = node_loop(service->node);
    uint64_t interval_ms = notify_watchdog_ns() / NS_PER_MS / 3;
    int rc = uv_poll_init(loop, &service->signals, daemon_signal_fd(service->daemon));

    service->signals.data = service;
    if (!rc)
        rc = uv_poll_start(&service->signals, UV_READABLE, on_signal);
    if (!rc)
        rc = uv_timer_init(loop, &service->watchdog);
    if (!rc && interval_ms)
        rc = uv_timer_start(&service->watchdog, on_watchdog, 0, interval_ms);
    return rc ? err_set(err, -rc, "watch signals") : 0; /* libuv's errors are errnos */
}

int node_service_run(struct daemon *daemon, struct err *err)
{
    struct service service = {.daemon = daemon};
    const struct config *config = daemon_config(daemon);
    const struct node_config node_config = {
        .runtime_dir = config->runtime_dir,
        .node_name = config->node_name,
        .policy = &config->policy,
        .queue_ns = config->queue_seconds,
        .sample_ms = config->sample_interval_ms,
        .standalone_patterns = config->standalone_directories,
        .foreign_policy = config->foreign_policy,
        .on_reload = on_request,
        .on_look = on_look,
        .context = &service,
    };
    int rc = node_new(&service.node, &node_config, err);

    if (rc < 0)
        return rc;
    daemon_set_handlers(daemon, &(struct daemon_handlers){on_reload, on_stop, &service});
    rc = watch(&service, err);
    if (!rc)
        rc = views_new(&service.views, service.node, config, err);
    if (!rc)
        node_run(service.node);
    daemon_set_handlers(daemon, &(struct daemon_handlers){NULL, NULL, NULL});
    views_free(service.views);
    node_free(service.node);
    return rc;
}
