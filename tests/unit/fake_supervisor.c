/*
 * fake_supervisor - a program that a keeper starts in place of vgpu-supervisor. It holds what it is
 * given and answers as $FAKE_SUPERVISOR says when it is started:
 *
 *   answer   STATUS and WATCH are answered, SET with 0; END removes the tenant's directory
 *   refuse   every question is answered with -EPERM
 *   silent   takes connections and says nothing
 *   die      exits with 1
 *   die-late the same after more than a second, as where a driver is slow
 *   kill     is killed
 *   remove   removes the tenant's directory and exits with 0
 */
#include "ipc/message.h"
#include "supervisor/process.h"
#include "supervisor/runtime.h"
#include "supervisor/server.h"
#include "supervisor/tenant.h"
#include "utils/sock.h"
#include "utils/str.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define LISTEN_FD 3
#define FRONT_FD  5
#define LINES_MAX 16

static struct {
    struct runtime runtime;
    struct tenant tenant;
    const char *behaviour;
    char state_path[RUNTIME_PATH_MAX];
} here;

static int reply(int fd, int status)
{
    struct message_reply message = {.status = status};

    message_init(&message, MESSAGE_REPLY, sizeof(message));
    return sock_send(fd, &message, sizeof(message), NULL, 0);
}

static int tell_status(int fd)
{
    struct message_status_tenant tenant = {.supervisor_pid = getpid(),
                                           .state = here.tenant.is_suspended ? MESSAGE_SUSPENDED
                                                                             : MESSAGE_RUNNING,
                                           .uid = here.tenant.uid,
                                           .gpu_count = here.tenant.gpu_count};
    struct message_status_process process = {.pid = 77, .comm = "python3"};
    int rc;

    message_init(&tenant, MESSAGE_STATUS_TENANT, sizeof(tenant));
    message_init(&process, MESSAGE_STATUS_PROCESS, sizeof(process));
    rc = sock_send(fd, &tenant, sizeof(tenant), NULL, 0);
    for (int i = 0; i < 40 && !rc; i++, process.pid++)
        rc = sock_send(fd, &process, sizeof(process), NULL, 0);
    for (uint32_t i = 0; i < here.tenant.gpu_count && !rc; i++) {
        struct message_status_gpu gpu = {
            .weight = here.tenant.quotas[i].weight,
            .priority = here.tenant.quotas[i].priority,
            .memory_limit_bytes = here.tenant.quotas[i].memory_bytes,
            .cap_milli_percent = here.tenant.quotas[i].cap_milli_percent,
        };

        message_init(&gpu, MESSAGE_STATUS_GPU, sizeof(gpu));
        (void)str_format(gpu.uuid, sizeof(gpu.uuid), "%s", here.tenant.cards[i].uuid);
        rc = sock_send(fd, &gpu, sizeof(gpu), NULL, 0);
    }
    return rc ? rc : reply(fd, 0);
}

static int set(int fd, const struct message_set *message)
{
    int rc = tenant_change(&here.tenant, message, NULL);

    return reply(fd, rc ? rc : tenant_save(&here.tenant, here.state_path, NULL));
}

static int end(int fd)
{
    (void)!reply(fd, 0);
    runtime_remove(&here.runtime, here.tenant.name);
    exit(0);
}

static int take(int fd, const void *message, int type)
{
    if (str_equals(here.behaviour, "silent"))
        return 0;
    if (str_equals(here.behaviour, "refuse"))
        return reply(fd, -1);
    if (type == MESSAGE_STATUS || type == MESSAGE_WATCH)
        return tell_status(fd);
    if (type == MESSAGE_SET)
        return set(fd, message);
    return type == MESSAGE_END ? end(fd) : reply(fd, 0);
}

static bool serve_one(int fd)
{
    union {
        struct message_header header;
        char bytes[MESSAGE_SIZE_MAX];
    } message;
    ssize_t length = sock_receive(fd, &message, sizeof(message), NULL, 0);
    int type = length > 0 ? message_check(&message, (size_t)length) : -1;

    return type >= 0 && take(fd, &message, type) == 0;
}

static int serve(void)
{
    struct pollfd fds[LINES_MAX + 1] = {{.fd = LISTEN_FD, .events = POLLIN}};
    nfds_t count = 1;

    while (poll(fds, count, -1) > 0) {
        for (nfds_t i = count; i-- > 1;)
            if (fds[i].revents && !serve_one(fds[i].fd)) {
                (void)close(fds[i].fd);
                fds[i] = fds[--count];
            }
        if (fds[0].revents && count <= LINES_MAX) {
            int fd = accept4(LISTEN_FD, NULL, NULL, SOCK_CLOEXEC);

            if (fd >= 0)
                fds[count++] = (struct pollfd){.fd = fd, .events = POLLIN};
        }
    }
    return 1;
}

int main(int argc, char **argv)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    here.behaviour = getenv("FAKE_SUPERVISOR");
    if (argc != 7 || !here.behaviour || runtime_at(&here.runtime, argv[1], NULL) < 0 ||
        runtime_path(&here.runtime, argv[2], "state", here.state_path, NULL) < 0 ||
        tenant_load(&here.tenant, here.state_path, NULL) < 0)
        return 2;
    if (str_equals(here.behaviour, "die-late"))
        (void)usleep(1100000);
    if (str_starts_with(here.behaviour, "die"))
        return 1;
    if (str_equals(here.behaviour, "kill"))
        (void)raise(SIGKILL);
    if (str_equals(here.behaviour, "remove")) {
        runtime_remove(&here.runtime, here.tenant.name);
        return 0;
    }
    here.tenant.generation++;
    here.tenant.supervisor_pid = getpid();
    if (process_start_time(getpid(), &here.tenant.supervisor_start_time) < 0 ||
        tenant_save(&here.tenant, here.state_path, NULL) < 0)
        return 2;
    if (argv[5][0] != '-' && server_tell(FRONT_FD, SERVER_READY, argv[6]) < 0)
        return 2;
    return serve();
}
