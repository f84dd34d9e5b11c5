/*
 * The HTTP server, with the pages and the metrics, over a backend of its own making: two GPUs and
 * three tenants, one of which has values that nobody knows. Protocol tests talk to it without a
 * daemon.
 *
 *     http_fake [--tokens FILE] ADDRESS...     listens, says "port N" a TCP address, then "ready"
 *     http_fake --routes                       prints METHOD PATH of each route
 *
 * Lines on its stdin make things happen:
 *
 *     event TEXT       an event
 *     events N         so many of them
 *     fault TEXT       the snapshots have a fault from now on; without TEXT: none any more
 *     stall            no new snapshots; `go on` makes them again
 *     hold             requests are not done; `release` does those that were held, `lose` fails
 *                      them as a supervisor's end does
 *     join TENANT PID  a tenant with so many more: without PID, one that has no processes yet; with
 *                      an @ in its name it is a standalone one
 *     leave PID        a process has ended; `leave` alone: all such tenants have
 *     tokens           the file of tokens is read again
 *     requests         says how many were posted so far, instead of "done"
 *     stop             the server is stopped, "stopped" is said, and the program ends
 *
 * Its end of stdin is `stop`, too.
 */
#include "hypervisor/api_routes.h"
#include "hypervisor/backend.h"
#include "hypervisor/event_log.h"
#include "hypervisor/http_pages.h"
#include "hypervisor/http_request.h"
#include "hypervisor/http_server.h"
#include "hypervisor/legacy_routes.h"
#include "hypervisor/metrics_own.h"
#include "hypervisor/request.h"
#include "hypervisor/snapshot.h"
#include "hypervisor/tenant_pod.h"
#include "hypervisor/token_file.h"
#include "supervisor/verdict.h"
#include "utils/clock.h"
#include "utils/parse.h"
#include "utils/str.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HELD_MAX    64
#define MEMBERS_MAX 64
#define SNAPSHOT_MS 100

/* A process that has joined a tenant; the pid 0: the tenant alone. */
struct member {
    char tenant[64];
    int32_t pid;
};

static struct {
    pthread_mutex_t lock;
    struct snapshot *snapshot;
    uint64_t sequence;
    char fault[112];
    bool is_stalled, is_holding, is_losing;
    struct request *held[HELD_MAX];
    size_t held_count;
    uint32_t posted_count;
    struct member members[MEMBERS_MAX];
    size_t member_count;
    struct legacy_routes *legacy;
    struct http_server *server;
    const char *token_path; /* NULL: there are no tokens */
    struct backend backend;
} fake = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void fill_gpu(struct snapshot_gpu *gpu, uint32_t index)
{
    memset(gpu, 0xff, sizeof(*gpu)); /* all is unknown, but: */
    (void)str_format(gpu->uuid, sizeof(gpu->uuid), "GPU-00000000-0000-0000-0000-00000000000%u",
                     index);
    (void)str_format(gpu->model, sizeof(gpu->model), "Simulated GPU");
    gpu->nvml_index = index;
    gpu->is_lost = index == 1;
    gpu->memory_bytes = UINT64_C(80) << 30;
    gpu->verdict = index == 0 ? VERDICT_OBEYS : VERDICT_NONE;
    if (index != 0)
        return;
    gpu->memory_used_bytes = UINT64_C(9) << 30;
    gpu->memory_reserved_bytes = UINT64_C(8) << 30;
    gpu->compute_reserved_milli_percent = 33333;
    gpu->busy_percent = 97;
    gpu->power_milliwatts = 345678;
    gpu->pcie_receive_kib_per_s = 2;
}

static void fill_tenant(struct snapshot_tenant *tenant, uint32_t i)
{
    static const char *const names[] = {"alpha", "beta", "gamma"};
    struct snapshot_share *share = &tenant->shares[0];

    (void)str_format(tenant->name, sizeof(tenant->name), "%s", names[i]);
    tenant->uid = i == 2 ? SNAPSHOT_NO_UID : 1000 + i;
    tenant->state = i == 2 ? SNAPSHOT_STARTING : SNAPSHOT_RUNNING;
    tenant->supervisor_pid = i == 2 ? 0 : 100 + (int32_t)i;
    tenant->refusals = SNAPSHOT_UNKNOWN;
    tenant->share_count = 1;
    memset(share, 0xff, sizeof(*share)); /* all is unknown, but: */
    share->gpu = 0;
    share->weight = 100;
    share->priority = REGION_NORMAL;
    share->cap_milli_percent = i == 0 ? 33333 : 100000;
    if (i == 0)
        share->used_milli_percent = 12345;
    if (i == 0)
        share->memory_limit_bytes = UINT64_C(8) << 30;
    if (i != 0)
        return;
    tenant->processes = calloc(1, sizeof(*tenant->processes));
    if (!tenant->processes)
        abort();
    tenant->process_count = 1;
    tenant->processes[0].pid = 4711;
    memcpy(tenant->processes[0].comm,
           "tr\xff"
           "ain",
           7); /* no UTF-8 */
    tenant->processes[0].memory_bytes[0] = 12345;
}

static bool is_first_of_tenant(size_t member)
{
    for (size_t i = 0; i < member; i++)
        if (str_equals(fake.members[i].tenant, fake.members[member].tenant))
            return false;
    return true;
}

/* A tenant that somebody joined: an operator's, half of whose memory is used. */
static void fill_joined(struct snapshot_tenant *tenant, const char *name)
{
    (void)str_format(tenant->name, sizeof(tenant->name), "%s", name);
    tenant->uid = geteuid();
    tenant->is_standalone = strchr(name, '@');
    tenant->state = SNAPSHOT_RUNNING;
    tenant->share_count = 1;
    tenant->shares[0] = (struct snapshot_share){.memory_limit_bytes = UINT64_C(8) << 30,
                                                .memory_used_bytes = UINT64_C(4) << 30,
                                                .cap_milli_percent = 30000,
                                                .priority = REGION_HIGH,
                                                .weight = 100};
    tenant->processes = calloc(MEMBERS_MAX, sizeof(*tenant->processes));
    if (!tenant->processes)
        abort();
    for (size_t i = 0; i < fake.member_count; i++)
        if (fake.members[i].pid && str_equals(fake.members[i].tenant, name))
            tenant->processes[tenant->process_count++].pid = fake.members[i].pid;
}

static int compare_names(const void *a, const void *b)
{
    const struct snapshot_tenant *left = a, *right = b;

    return strcmp(left->name, right->name);
}

static struct snapshot *make_tenants(void)
{
    struct snapshot *snapshot = snapshot_new(3 + (uint32_t)fake.member_count);

    if (!snapshot)
        abort();
    for (uint32_t i = 0; i < 3; i++)
        fill_tenant(&snapshot->tenants[i], i);
    snapshot->tenant_count = 3;
    for (size_t i = 0; i < fake.member_count; i++)
        if (is_first_of_tenant(i))
            fill_joined(&snapshot->tenants[snapshot->tenant_count++], fake.members[i].tenant);
    qsort(snapshot->tenants, snapshot->tenant_count, sizeof(*snapshot->tenants), compare_names);
    return snapshot;
}

static struct snapshot *make_snapshot(void)
{
    struct snapshot *snapshot = make_tenants();

    snapshot->sequence = ++fake.sequence;
    snapshot->taken_ns = clock_now_ns();
    snapshot->taken_unix_ms = clock_unix_ms();
    (void)str_format(snapshot->node_name, sizeof(snapshot->node_name), "fake");
    snapshot->is_ready = true;
    snapshot->gpu_count = 2;
    for (uint32_t i = 0; i < 2; i++)
        fill_gpu(&snapshot->gpus[i], i);
    snapshot->foreign_count = 1;
    snapshot->foreign[0] = (struct snapshot_foreign){
        .pid = 99, .comm = "stranger", .uid = 5, .memory_bytes = SNAPSHOT_UNKNOWN};
    if (fake.fault[0]) {
        struct snapshot_fault *fault = &snapshot->faults[snapshot->fault_count++];

        (void)str_format(fault->component, sizeof(fault->component), "sampler");
        (void)str_format(fault->text, sizeof(fault->text), "%s", fake.fault);
    }
    return snapshot;
}

static void renew_snapshot(void)
{
    struct snapshot *before;

    (void)pthread_mutex_lock(&fake.lock);
    before = fake.snapshot;
    if (!fake.is_stalled) {
        fake.snapshot = make_snapshot();
        snapshot_release(before);
        if (fake.legacy)
            legacy_routes_prune(fake.legacy, fake.snapshot);
    }
    (void)pthread_mutex_unlock(&fake.lock);
}

static struct snapshot *get_snapshot(void *context)
{
    struct snapshot *snapshot;

    (void)pthread_mutex_lock(&fake.lock);
    snapshot = snapshot_hold(fake.snapshot);
    (void)pthread_mutex_unlock(&fake.lock);
    return snapshot;
}

static void refuse(struct request *request, int status, const char *words)
{
    request->status = status;
    (void)str_format(request->words, sizeof(request->words), "%s", words);
}

static void explain(struct request *request)
{
    struct message_explained *explained = &request->explanations[0];

    *explained = (struct message_explained){.is_active = 1,
                                            .has_records = 1,
                                            .cap_milli_percent = 33333,
                                            .cap_in_force_milli_percent = 25000,
                                            .weight = 100,
                                            .priority = REGION_NORMAL,
                                            .entitled_milli_percent = 25000,
                                            .used_milli_percent = 24990,
                                            .duty_milli_percent = MESSAGE_UNKNOWN,
                                            .slice_us = 2000,
                                            .window_ns = 100 * NS_PER_MS,
                                            .planned_ns = 1,
                                            .balance_ns = -5,
                                            .tenant_count = 2,
                                            .neighbour_count = 1};
    (void)str_format(explained->neighbours[0].name, sizeof(explained->neighbours[0].name), "beta");
    explained->neighbours[0].cap_milli_percent = 100000;
    explained->neighbours[0].used_milli_percent = UINT32_MAX;
    request->explanation_count = 1;
}

/* What the loop would make of it. */
static void finish(struct request *request)
{
    bool is_known = snapshot_find(fake.snapshot, request->name) != NULL;

    request->status = 0;
    if (fake.is_losing) {
        refuse(request, -ECONNRESET, "its supervisor has ended");
    } else if (request->kind == REQUEST_CREATE) {
        (void)str_format(request->answer_name, sizeof(request->answer_name), "%s",
                         request->name[0] ? request->name : "tenant-1");
        request->answer_gpu_mask = request->gpu_mask ? request->gpu_mask : 1;
        if (is_known)
            refuse(request, -EEXIST, "the name is taken");
        else if (request->limits.memory_bytes != REGION_NO_LIMIT &&
                 request->limits.memory_bytes > UINT64_C(80) << 30)
            refuse(request, -ENOSPC, "it does not fit");
    } else if (!is_known) {
        refuse(request, -ENOENT, "there is no such tenant");
    } else if (!request->caller.is_operator && request->kind != REQUEST_EXPLAIN) {
        refuse(request, -EPERM, "the policy forbids it");
    } else if (request->kind == REQUEST_DELETE && !request->is_forced) {
        refuse(request, -EBUSY, "it has processes");
    } else if (request->kind == REQUEST_EXPLAIN) {
        explain(request);
    }
    request->done(request);
}

/* Synchronously: the hardest case for the handlers. */
static void post(void *context, struct request *request)
{
    (void)pthread_mutex_lock(&fake.lock);
    fake.posted_count++;
    if (fake.is_holding && fake.held_count < HELD_MAX)
        fake.held[fake.held_count++] = request;
    else
        finish(request);
    (void)pthread_mutex_unlock(&fake.lock);
}

static void fill_own(void *context, struct metrics_own *own)
{
    own->samples = 7;
}

static void release_held(bool is_losing)
{
    (void)pthread_mutex_lock(&fake.lock);
    fake.is_holding = false;
    fake.is_losing = is_losing;
    for (size_t i = 0; i < fake.held_count; i++)
        finish(fake.held[i]);
    fake.held_count = 0;
    fake.is_losing = false;
    (void)pthread_mutex_unlock(&fake.lock);
}

static void add_events(uint64_t count, const char *text)
{
    struct event event = {.kind = EVENT_TENANT_CHANGED, .tenant = "alpha"};

    (void)str_format(event.text, sizeof(event.text), "%s", text);
    for (uint64_t i = 0; i < count; i++)
        event_log_add(fake.backend.events, &event);
}

static void set(bool *flag, bool value)
{
    (void)pthread_mutex_lock(&fake.lock);
    *flag = value;
    (void)pthread_mutex_unlock(&fake.lock);
}

static void join(char *words)
{
    struct member *member = &fake.members[fake.member_count];
    char *space = strchr(words, ' ');
    uint64_t pid = 0;

    if (space)
        *space = '\0';
    if (fake.member_count == MEMBERS_MAX ||
        !str_format(member->tenant, sizeof(member->tenant), "%s", words) ||
        (space && parse_u64(&pid, space + 1, 1, INT32_MAX, NULL) < 0))
        abort();
    member->pid = (int32_t)pid;
    fake.member_count++;
}

static void leave(const char *word)
{
    size_t kept = 0;
    uint64_t pid = 0;

    if (*word && parse_u64(&pid, word + 1, 1, INT32_MAX, NULL) < 0)
        abort();
    for (size_t i = 0; *word && i < fake.member_count; i++)
        if (fake.members[i].pid != (int32_t)pid)
            fake.members[kept++] = fake.members[i];
    fake.member_count = kept;
}

/* What the legacy routes' tests have happen; false: it is none of these. */
static bool obey_for_pods(char *line)
{
    if (str_starts_with(line, "join "))
        join(line + strlen("join "));
    else if (str_starts_with(line, "leave"))
        leave(line + strlen("leave"));
    else
        return false;
    return true;
}

static bool say_requests(void)
{
    uint32_t count;

    (void)pthread_mutex_lock(&fake.lock);
    count = fake.posted_count;
    (void)pthread_mutex_unlock(&fake.lock);
    return printf("%u\n", count) > 0;
}

static void fail(const struct err *err)
{
    (void)fprintf(stderr, "http_fake: %s\n", err->text);
    exit(1);
}

static void load_tokens(void)
{
    struct token_file *tokens;
    struct err err;

    if (token_file_load(&tokens, fake.token_path, &err) < 0)
        fail(&err);
    http_server_set_tokens(fake.server, tokens);
}

/* False: the program ends. */
static bool obey(char *line)
{
    uint64_t count;

    if (str_starts_with(line, "event "))
        add_events(1, line + strlen("event "));
    else if (str_starts_with(line, "events ") &&
             parse_u64(&count, line + strlen("events "), 1, 100000, NULL) == 0)
        add_events(count, "one of many");
    else if (str_starts_with(line, "fault"))
        (void)str_format(fake.fault, sizeof(fake.fault), "%s", line + strlen("fault"));
    else if (str_equals(line, "stall"))
        set(&fake.is_stalled, true);
    else if (str_equals(line, "go on"))
        set(&fake.is_stalled, false);
    else if (str_equals(line, "hold"))
        set(&fake.is_holding, true);
    else if (str_equals(line, "release"))
        release_held(false);
    else if (str_equals(line, "lose"))
        release_held(true);
    else if (str_equals(line, "tokens"))
        load_tokens();
    else if (str_equals(line, "requests"))
        return say_requests();
    else if (!obey_for_pods(line))
        return false;
    renew_snapshot();
    printf("done\n");
    return true;
}

static void serve(void)
{
    char line[256];
    struct pollfd polled = {.fd = STDIN_FILENO, .events = POLLIN};

    do {
        while (poll(&polled, 1, SNAPSHOT_MS) == 0)
            renew_snapshot();
        if (!fgets(line, sizeof(line), stdin))
            return;
        line[strcspn(line, "\n")] = '\0';
    } while (obey(line));
}

static void print_routes(const struct http_server *server)
{
    static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};
    const struct http_routes *routes = http_server_routes(server);

    for (size_t i = 0; i < routes->count; i++)
        printf("%s %s\n", methods[routes->routes[i].method], routes->routes[i].path);
}

static int start(struct http_server *server, char **arguments)
{
    struct err err;

    fake.server = server;
    if (*arguments && str_equals(*arguments, "--tokens") && arguments[1]) {
        fake.token_path = arguments[1];
        load_tokens();
        arguments += 2;
    }
    for (size_t i = 0; arguments[i]; i++) {
        if (http_server_listen(server, arguments[i], &err) < 0)
            fail(&err);
        printf("port %u\n", http_server_port(server, i));
    }
    printf("ready\n");
    return 0;
}

int main(int count, char **arguments)
{
    static const struct pod_rule rule = {.name = tenant_pod_name};
    struct http_server_options options = {.idle_seconds = 2, .request_seconds = 4};
    struct http_server *server;
    struct event_log *events;
    struct http_pages_context context = {&fake.backend, fill_own, NULL, true};
    struct http_pages *pages;
    struct api *api;
    struct err err;

    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (event_log_new(&events, 0, &err) < 0 || http_server_new(&server, &options, &err) < 0)
        fail(&err);
    fake.backend = (struct backend){get_snapshot, post, events, NULL};
    renew_snapshot();
    if (api_new(&api, &fake.backend, server, &err) < 0 ||
        http_pages_new(&pages, server, &context, &err) < 0 ||
        legacy_routes_new(&fake.legacy, &fake.backend, server, &rule, &err) < 0)
        fail(&err);
    if (count == 2 && str_equals(arguments[1], "--routes")) {
        print_routes(server);
    } else {
        (void)start(server, arguments + 1);
        serve();
    }
    http_server_stop(server);
    printf("stopped\n");
    http_pages_free(pages);
    legacy_routes_free(fake.legacy);
    api_free(api);
    http_server_free(server);
    release_held(false); /* later than the server's end, as the loop may be */
    event_log_free(events);
    snapshot_release(fake.snapshot);
    return 0;
}
