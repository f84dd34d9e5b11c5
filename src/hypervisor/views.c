#include "hypervisor/views.h"

#include "hypervisor/api_routes.h"
#include "hypervisor/backend.h"
#include "hypervisor/config.h"
#include "hypervisor/event_log.h"
#include "hypervisor/foreign_region.h"
#include "hypervisor/gpu_info.h"
#include "hypervisor/http_pages.h"
#include "hypervisor/http_server.h"
#include "hypervisor/legacy_routes.h"
#include "hypervisor/metrics_file.h"
#include "hypervisor/metrics_own.h"
#include "hypervisor/metrics_writer.h"
#include "hypervisor/node.h"
#include "hypervisor/scheduler_event.h"
#include "hypervisor/snapshot.h"
#include "hypervisor/tenant_pod.h"
#include "hypervisor/token_file.h"
#include "hypervisor/usage_batch.h"
#include "utils/atomics.h"
#include "utils/clock.h"
#include "utils/log.h"
#include "utils/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_NS       (10 * NS_PER_SEC)
#define HEARTBEAT_MS   500
#define LISTENERS      2
#define EVENTS_AT_ONCE 64

static const struct pod_rule pods = {.name = tenant_pod_name};

struct listener {
    char address[CONFIG_TEXT_SIZE];
    uint64_t retry_ns;                                      /* 0: it listens, or is not wanted */
    char fault[sizeof(((struct snapshot_fault *)0)->text)]; /* what was told; empty: nothing */
};

/* A file or directory that cannot be had is no reason not to keep tenants. */
struct late_view {
    char path[CONFIG_TEXT_SIZE];
    uint64_t retry_ns;                                      /* 0: it is open, or is not wanted */
    char fault[sizeof(((struct snapshot_fault *)0)->text)]; /* what was told; empty: nothing */
};

struct views {
    struct node *node;
    struct http_server *server;
    struct api *api;
    struct http_pages *pages;
    struct legacy_routes *legacy; /* NULL: not served */
    struct listener listeners[LISTENERS];
    uint64_t start_unix_ms;
    uint64_t look_ns, looked_ns; /* between two looks; the last one: for the loop's lag */
    _Atomic uint64_t samples;    /* looks; relaxed: it guards nothing */
    _Atomic uint64_t lag_ns;     /* relaxed: it guards nothing; UINT64_MAX: not known yet */
    struct gpu_info *gpu_info;
    struct late_view usage;
    _Atomic(struct metrics_writer *) writer; /* release-acquire: set later, read on any thread */
    struct usage_batch *batch;
    uint64_t told_event; /* the last one that the usage lines have */
    struct late_view shared;
    struct foreign_region *region; /* NULL: not open */
    uv_timer_t
        *heartbeat; /* the loop's until its close callback, which is later than views_free() */
};

/* --- HTTP --- */

/* One fault a listener: that another one listens does not end it. */
static void set_listener_fault(struct views *views, struct listener *listener, const char *text)
{
    if (str_equals(listener->fault, text))
        return;
    if (listener->fault[0])
        node_set_fault(views->node, false, "api", listener->fault);
    (void)str_format(listener->fault, sizeof(listener->fault), "%s", text); /* cut at worst */
    if (listener->fault[0])
        node_set_fault(views->node, true, "api", listener->fault);
}

static void listen_when_due(struct views *views, struct listener *listener, uint64_t now_ns)
{
    struct err err;

    if (!listener->retry_ns || now_ns < listener->retry_ns)
        return;
    if (http_server_listen(views->server, listener->address, &err) < 0) {
        listener->retry_ns = now_ns + RETRY_NS;
        set_listener_fault(views, listener, err.text);
        return;
    }
    listener->retry_ns = 0;
    set_listener_fault(views, listener, "");
    if (listener->address[0] != '/')
        log_info("HTTP on %s, port %u", listener->address, http_server_port(views->server, 0));
}

static int load_tokens(struct views *views, const struct config *config, struct err *err)
{
    struct token_file *tokens = NULL;
    int rc = config->api_token_file[0] ? token_file_load(&tokens, config->api_token_file, err) : 0;

    if (!rc)
        http_server_set_tokens(views->server, tokens);
    return rc;
}

/* Its address first, so that its port is the one that is told. */
static void want_listeners(struct views *views, const struct config *config)
{
    struct listener *tcp = &views->listeners[0], *local = &views->listeners[1];
    uint64_t now_ns = clock_now_ns();

    (void)str_format(tcp->address, sizeof(tcp->address), "%s", config->api_listen_addr); /* same */
    (void)str_format(local->address, sizeof(local->address), "%s", config->api_socket);
    for (size_t i = 0; i < LISTENERS; i++) {
        views->listeners[i].retry_ns = views->listeners[i].address[0] ? 1 : 0;
        listen_when_due(views, &views->listeners[i], now_ns);
    }
}

/* On a thread of the HTTP server's. */
static void fill_own(void *context, struct metrics_own *own)
{
    struct views *views = context;
    uint64_t lag_ns = load_relaxed(&views->lag_ns);
    struct metrics_writer *writer = load_acquire(&views->writer);

    own->start_unix_ms = views->start_unix_ms;
    own->samples = load_relaxed(&views->samples);
    own->loop_lag_ns = lag_ns == UINT64_MAX ? SNAPSHOT_UNKNOWN : lag_ns;
    if (writer)
        own->usage_lines_lost = metrics_writer_lost(writer);
}

static int start_http(struct views *views, const struct config *config, struct err *err)
{
    char names[HTTP_HOST_NAMES_SIZE];
    const struct http_server_options options = {.host_names = names};
    int rc;

    (void)str_format(names, sizeof(names), "%s %s", config->node_name,
                     config->api_host_names); /* fits: config_check() */
    for (char *comma = names; (comma = strchr(comma, ',')) != NULL;)
        *comma = ' ';
    rc = http_server_new(&views->server, &options, err);

    if (!rc)
        rc = api_new(&views->api, node_backend(views->node), views->server, err);
    if (!rc)
        rc = http_pages_new(&views->pages, views->server,
                            &(struct http_pages_context){node_backend(views->node), fill_own, views,
                                                         config->enable_metrics},
                            err);
    if (!rc && config->legacy_api)
        rc =
            legacy_routes_new(&views->legacy, node_backend(views->node), views->server, &pods, err);
    if (!rc)
        rc = load_tokens(views, config, err);
    return rc;
}

/* --- what is opened now or later --- */

static void want(struct late_view *view, const char *path)
{
    (void)str_format(view->path, sizeof(view->path), "%s", path); /* the same size */
    view->retry_ns = 1;
}

static bool is_due(const struct late_view *view)
{
    return view->retry_ns && clock_now_ns() >= view->retry_ns;
}

/* What came of a try: the fault, NULL where it is open. */
static void settle(const struct views *views, struct late_view *view, const char *component,
                   const char *fault)
{
    char text[sizeof(view->fault)] = "";

    if (fault)
        (void)str_format(text, sizeof(text), "%s", fault); /* cut at worst */
    view->retry_ns = fault ? clock_now_ns() + RETRY_NS : 0;
    if (str_equals(text, view->fault))
        return;
    if (view->fault[0])
        node_set_fault(views->node, false, component, view->fault);
    if (text[0])
        node_set_fault(views->node, true, component, text);
    memcpy(view->fault, text, sizeof(text));
}

/* --- usage lines --- */

static double find_tflops(void *context, const char *model)
{
    const struct views *views = context;
    double tflops;

    return gpu_info_find(views->gpu_info, model, &tflops) < 0 ? -1 : tflops;
}

static void emit(void *context, const char *lines, size_t length)
{
    const struct views *views = context;

    metrics_writer_add(load_relaxed(&views->writer), lines, length); /* our own store */
}

/* Which pod a tenant is, where its name says so (tenant_pod.h). */
static void identify(void *context, const struct snapshot_tenant *tenant,
                     struct usage_identity *identity)
{
    static struct pod_name pod; /* borrowed until the next call, on the loop's thread */

    (void)context;
    if (!tenant_pod_name(NULL, tenant, &pod))
        return;
    identity->worker = pod.name;
    identity->namespace_name = pod.namespace;
}

static int make_batch(struct views *views, const struct config *config, struct err *err)
{
    const struct usage_settings settings = {
        .batch_size = config->metrics_batch_size,
        .format = config->metrics_format == CONFIG_METRICS_JSON ? LINE_PROTOCOL_JSON
                                                                : LINE_PROTOCOL_INFLUX,
        .pool = config->gpu_pool,
        .extra_labels = config->metrics_extra_labels,
        .tflops = find_tflops,
        .identify = identify,
        .emit = emit,
        .context = views,
    };
    struct usage_batch *batch;
    int rc = usage_batch_new(&batch, &settings, err);

    if (rc < 0)
        return rc;
    usage_batch_free(views->batch);
    views->batch = batch;
    return 0;
}

static void open_usage(struct views *views)
{
    struct metrics_writer *writer;
    struct metrics_file *file;
    struct err err;
    int rc = metrics_file_new(&file, views->usage.path, clock_unix_ms(), &err);

    if (!rc)
        rc = metrics_writer_new(&writer, file, &err);
    if (!rc)
        store_release(&views->writer, writer);
    settle(views, &views->usage, "metrics", rc ? err.text : NULL);
}

static int start_usage(struct views *views, const struct config *config, struct err *err)
{
    if (!config->enable_metrics || !config->gpu_metrics_file[0])
        return 0;
    views->told_event = event_log_before(node_backend(views->node)->events);
    want(&views->usage, config->gpu_metrics_file);
    return make_batch(views, config, err);
}

static void tell_event(const struct views *views, const struct snapshot *snapshot,
                       const struct event *event)
{
    char *line = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&line, &length);
    bool is_line = stream && scheduler_event_print(event, snapshot, stream);

    if (stream && fclose(stream) == 0 && is_line)
        metrics_writer_add(load_relaxed(&views->writer), line, length); /* our own store */
    free(line);
}

static void tell_events(struct views *views, const struct snapshot *snapshot)
{
    struct event_log *events = node_backend(views->node)->events;
    struct event list[EVENTS_AT_ONCE];
    int count;

    do {
        count = event_log_read(events, views->told_event, list, EVENTS_AT_ONCE);
        if (count < 0) /* more than are kept happened since the last look */
            views->told_event = event_log_last(events);
        for (int i = 0; i < count; i++) {
            tell_event(views, snapshot, &list[i]);
            views->told_event = list[i].number;
        }
    } while (count > 0);
}

static void look_usage(struct views *views, const struct snapshot *snapshot)
{
    struct err err;

    if (is_due(&views->usage))
        open_usage(views);
    if (!load_relaxed(&views->writer))
        return;
    if (usage_batch_add(views->batch, snapshot, &err) < 0)
        log_warn("%s", err.text);
    tell_events(views, snapshot);
}

/* --- shared files --- */

static void open_region(struct views *views)
{
    const struct foreign_region_options options = {.base_path = views->shared.path, .rule = pods};
    struct err err;
    int rc = foreign_region_new(&views->region, &options, &err);

    settle(views, &views->shared, "shared-files", rc ? err.text : NULL);
}

static void on_heartbeat(uv_timer_t *timer)
{
    struct views *views = timer->data;
    const struct backend *backend = node_backend(views->node);
    struct snapshot *snapshot;

    if (is_due(&views->shared))
        open_region(views);
    if (!views->region)
        return;
    snapshot = backend->get_snapshot(backend->context);
    foreign_region_update(views->region, snapshot, clock_unix_ms() / 1000);
    snapshot_release(snapshot);
}

static void on_heartbeat_closed(uv_handle_t *handle)
{
    free(handle);
}

static int start_region(struct views *views, const struct config *config, struct err *err)
{
    if (!config->shared_memory_base_path[0])
        return 0;
    views->heartbeat = malloc(sizeof(*views->heartbeat));
    if (!views->heartbeat)
        return err_set(err, ENOMEM, "allocate the shared files' timer");
    want(&views->shared, config->shared_memory_base_path);
    (void)uv_timer_init(node_loop(views->node), views->heartbeat); /* neither can fail */
    views->heartbeat->data = views;
    (void)uv_timer_start(views->heartbeat, on_heartbeat, 0, HEARTBEAT_MS);
    return 0;
}

/* --- all --- */

int views_new(struct views **ret_views, struct node *node, const struct config *config,
              struct err *err)
{
    struct views *views = calloc(1, sizeof(*views));
    int rc;

    if (!views)
        return err_set(err, ENOMEM, "allocate the views");
    views->node = node;
    views->start_unix_ms = clock_unix_ms();
    views->look_ns = node_look_ns(node);
    store_relaxed(&views->lag_ns, UINT64_MAX);
    views->gpu_info = gpu_info_open(config->gpu_info_path);
    rc = start_http(views, config, err);
    if (!rc)
        rc = start_usage(views, config, err);
    if (!rc)
        rc = start_region(views, config, err);
    if (rc < 0) {
        views_free(views);
        return rc;
    }
    want_listeners(views, config); /* last: handlers read what was made above on their threads */
    *ret_views = views;
    return 0;
}

void views_look(struct views *views, struct snapshot *snapshot)
{
    uint64_t now_ns = clock_now_ns(), late_ns = now_ns - views->looked_ns;

    if (views->looked_ns)
        store_relaxed(&views->lag_ns, late_ns > views->look_ns ? late_ns - views->look_ns : 0);
    views->looked_ns = now_ns;
    (void)add_relaxed(&views->samples, 1);
    for (size_t i = 0; i < LISTENERS; i++)
        listen_when_due(views, &views->listeners[i], now_ns);
    if (views->legacy)
        legacy_routes_prune(views->legacy, snapshot);
    look_usage(views, snapshot);
}

void views_reload(struct views *views, const struct config *config)
{
    struct err err;

    gpu_info_free(views->gpu_info);
    views->gpu_info = gpu_info_open(config->gpu_info_path);
    if (load_tokens(views, config, &err) < 0)
        log_error("the old tokens stay: %s", err.text);
    if (views->batch && make_batch(views, config, &err) < 0)
        log_error("the old labels of metrics stay: %s", err.text);
}

void views_free(struct views *views)
{
    if (!views)
        return;
    if (views->server)
        http_server_stop(views->server);
    legacy_routes_free(views->legacy);
    http_pages_free(views->pages);
    api_free(views->api);
    http_server_free(views->server);
    usage_batch_free(views->batch);
    metrics_writer_free(load_relaxed(&views->writer));
    gpu_info_free(views->gpu_info);
    if (views->heartbeat)
        uv_close((uv_handle_t *)views->heartbeat, on_heartbeat_closed);
    foreign_region_free(views->region);
    free(views);
}
