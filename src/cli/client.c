#include "cli/client.h"

#include "cli/node_client.h"
#include "supervisor/runtime.h"
#include "utils/sock.h"
#include "utils/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_MS 500
#define ANSWER_MS  2000

union packet {
    struct message_header header;
    struct message_status_tenant tenant;
    struct message_status_process process;
    struct message_status_gpu gpu;
    struct message_reply reply;
    struct message_explained explained;
    char bytes[MESSAGE_SIZE_MAX];
};

/*
 * A tenant of the user's own, elsewhere than the daemon's: whoever answers for it is asked without
 * the daemon, which does not know it and may be slow to say so.
 */
static bool connect_own(const struct runtime *runtime, const char *path, int *ret_fd)
{
    return !str_equals(runtime->base, node_client_base()) &&
           sock_connect(ret_fd, path, CONNECT_MS, NULL) == 0;
}

static int open_control(const struct runtime *runtime, const char *name, int *ret_fd,
                        struct err *err)
{
    char path[RUNTIME_PATH_MAX];
    int rc = runtime_path(runtime, name, "control", path, err);

    if (rc < 0)
        return rc;
    if (connect_own(runtime, path, ret_fd))
        return 0;
    /* What is the daemon's is asked of the daemon, which knows what is allowed. */
    if (node_client_select(ret_fd, name, NULL) == 0)
        return 0;
    rc = sock_connect(ret_fd, path, CONNECT_MS, err);
    if (rc == -ENOENT)
        return err_say(err, ENOENT, "there is no tenant '%s' (vgpu ps lists them)", name);
    if (rc == -ECONNREFUSED)
        return err_say(err, ECONNREFUSED,
                       "tenant '%s' has no supervisor (vgpu run --adopt %s gives it one)", name,
                       name);
    return rc;
}

static int receive(int fd, const char *name, union packet *packet, struct err *err)
{
    ssize_t length = sock_receive(fd, packet, sizeof(*packet), NULL, ANSWER_MS);
    int type;

    if (length == -EAGAIN)
        return err_say(err, ETIMEDOUT, "the supervisor of '%s' does not answer", name);
    if (length <= 0)
        return err_say(err, ECONNRESET, "the supervisor of '%s' ended the connection", name);
    type = message_check(packet, (size_t)length);
    if (type < 0)
        return err_say(err, EPROTO, "the supervisor of '%s' is of another version", name);
    return type;
}

static int read_reply(const union packet *packet, struct err *err)
{
    if (packet->reply.status >= 0)
        return 0;
    return err_say(err, -packet->reply.status, "%s", packet->reply.text);
}

static int take(struct client_tenant *tenant, const union packet *packet)
{
    switch (packet->header.type) {
    case MESSAGE_STATUS_TENANT:
        tenant->tenant = packet->tenant;
        return 0;
    case MESSAGE_STATUS_PROCESS:
        if (tenant->process_count < CLIENT_PROCESSES_MAX)
            tenant->processes[tenant->process_count++] = packet->process;
        return 0;
    case MESSAGE_STATUS_GPU:
        if (tenant->gpu_count < REGION_GPUS_MAX)
            tenant->gpus[tenant->gpu_count++] = packet->gpu;
        return 0;
    default:
        return -EPROTO;
    }
}

/* The daemon answers for a supervisor that is just being replaced: there is none, as without it. */
static int judge_status_reply(const struct message_reply *reply, struct err *err)
{
    if (reply->status >= 0)
        return 0;
    if (reply->status == -EAGAIN || reply->status == -ECONNRESET)
        return err_say(err, ECONNREFUSED, "%s", reply->text);
    return err_say(err, -reply->status, "%s", reply->text);
}

int client_status(const struct runtime *runtime, const char *name, struct client_tenant *ret_tenant,
                  struct err *err)
{
    struct client_tenant tenant = {0};
    struct message_header request;
    CLEANUP_CLOSE int fd = -1;
    union packet packet;
    int rc = open_control(runtime, name, &fd, err);

    if (rc < 0)
        return rc;
    message_init(&request, MESSAGE_STATUS, sizeof(request));
    rc = sock_send(fd, &request, sizeof(request), NULL, 0);
    if (rc < 0)
        return err_set(err, -rc, "ask the supervisor of '%s'", name);
    tenant.processes = calloc(CLIENT_PROCESSES_MAX, sizeof(*tenant.processes));
    if (!tenant.processes)
        return err_set(err, ENOMEM, "show '%s'", name);
    do {
        rc = receive(fd, name, &packet, err);
        if (rc >= 0 && rc != MESSAGE_REPLY && take(&tenant, &packet) < 0)
            rc = err_say(err, EPROTO, "the supervisor of '%s' answered something else", name);
    } while (rc >= 0 && rc != MESSAGE_REPLY);
    if (rc == MESSAGE_REPLY)
        rc = judge_status_reply(&packet.reply, err);
    if (rc < 0) {
        client_tenant_fini(&tenant);
        return rc;
    }
    *ret_tenant = tenant;
    return 0;
}

void client_tenant_fini(struct client_tenant *tenant)
{
    free(tenant->processes);
    tenant->processes = NULL;
}

int client_set(const struct runtime *runtime, const char *name, const struct message_set *set,
               struct err *err)
{
    CLEANUP_CLOSE int fd = -1;
    union packet packet;
    int rc = open_control(runtime, name, &fd, err);

    if (rc < 0)
        return rc;
    rc = sock_send(fd, set, sizeof(*set), NULL, 0);
    if (rc < 0)
        return err_set(err, -rc, "ask the supervisor of '%s'", name);
    rc = receive(fd, name, &packet, err);
    if (rc < 0)
        return rc;
    if (rc != MESSAGE_REPLY)
        return err_say(err, EPROTO, "the supervisor of '%s' answered something else", name);
    return read_reply(&packet, err);
}

static int take_explained(struct client_explanation *explanation, const union packet *packet)
{
    if (packet->header.type != MESSAGE_EXPLAINED)
        return -EPROTO;
    if (explanation->gpu_count < REGION_GPUS_MAX)
        explanation->gpus[explanation->gpu_count++] = packet->explained;
    return 0;
}

int client_explain(const struct runtime *runtime, const char *name,
                   struct client_explanation *ret_explanation, struct err *err)
{
    struct message_header request;
    CLEANUP_CLOSE int fd = -1;
    union packet packet;
    int rc = open_control(runtime, name, &fd, err);

    if (rc < 0)
        return rc;
    message_init(&request, MESSAGE_EXPLAIN, sizeof(request));
    rc = sock_send(fd, &request, sizeof(request), NULL, 0);
    if (rc < 0)
        return err_set(err, -rc, "ask the supervisor of '%s'", name);
    ret_explanation->gpu_count = 0;
    do {
        rc = receive(fd, name, &packet, err);
        if (rc >= 0 && rc != MESSAGE_REPLY && take_explained(ret_explanation, &packet) < 0)
            rc = err_say(err, EPROTO, "the supervisor of '%s' answered something else", name);
    } while (rc >= 0 && rc != MESSAGE_REPLY);
    if (rc < 0)
        return rc;
    return read_reply(&packet, err);
}

int client_open_runtime(struct runtime *ret_runtime, struct err *err)
{
    CLEANUP_CLOSE int fd = -1;
    int rc = runtime_open(ret_runtime, err);

    if (!rc || node_client_connect(&fd, NULL) < 0)
        return rc;
    return runtime_at(ret_runtime, node_client_base(), err);
}

int client_find_runtime(struct runtime *runtime, const char *name, struct err *err)
{
    CLEANUP_CLOSE int fd = -1;
    char path[RUNTIME_PATH_MAX];
    int rc = runtime_path(runtime, name, "control", path, err);

    if (rc < 0)
        return rc;
    if (connect_own(runtime, path, &fd) || node_client_select(&fd, name, NULL) < 0)
        return 0;
    return runtime_at(runtime, node_client_base(), err);
}
