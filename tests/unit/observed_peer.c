#include "tests/unit/observed_peer.h"

#include "tests/harness.h"
#include "utils/sock.h"
#include "utils/str.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

void observed_peer_start(struct observed_peer *peer, const char *name)
{
    char path[160];
    struct err err;

    *peer = (struct observed_peer){.peer_fd = -1};
    (void)str_format(peer->base, sizeof(peer->base), "/tmp/vgpeerXXXXXX");
    CHECK(mkdtemp(peer->base) != NULL);
    (void)str_format(path, sizeof(path), "%s/tenants", peer->base);
    CHECK_EQ(mkdir(path, 0700), 0);
    (void)str_format(path, sizeof(path), "%s/tenants/%s", peer->base, name);
    CHECK_EQ(mkdir(path, 0700), 0);
    (void)str_format(path, sizeof(path), "%s/tenants/%s/control", peer->base, name);
    CHECK_OK(sock_listen(&peer->listen_fd, path, &err), &err);
    (void)str_format(peer->tenant.name, sizeof(peer->tenant.name), "%s", name);
}

static void answer(struct observed_peer *peer)
{
    struct message_status_process process = {.comm = "work"};
    struct message_reply reply = {.status = 0};

    message_init(&peer->tenant, MESSAGE_STATUS_TENANT, sizeof(peer->tenant));
    message_init(&process, MESSAGE_STATUS_PROCESS, sizeof(process));
    message_init(&reply, MESSAGE_REPLY, sizeof(reply));
    CHECK_EQ(sock_send(peer->peer_fd, &peer->tenant, sizeof(peer->tenant), NULL, 0), 0);
    for (uint32_t i = 0; i < peer->pid_count; i++) {
        process.pid = peer->pids[i];
        CHECK_EQ(sock_send(peer->peer_fd, &process, sizeof(process), NULL, 0), 0);
    }
    CHECK_EQ(sock_send(peer->peer_fd, &reply, sizeof(reply), NULL, 0), 0);
    peer->answers++;
}

void observed_peer_serve(struct observed_peer *peer)
{
    union {
        struct message_header header;
        char bytes[MESSAGE_SIZE_MAX];
    } message;
    int fd = accept4(peer->listen_fd, NULL, NULL, SOCK_CLOEXEC);

    if (fd >= 0) {
        if (peer->peer_fd >= 0)
            (void)close(peer->peer_fd);
        peer->peer_fd = fd;
    }
    if (peer->peer_fd >= 0 && !peer->is_silent &&
        sock_receive(peer->peer_fd, &message, sizeof(message), NULL, 0) > 0)
        answer(peer);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

void observed_peer_stop(struct observed_peer *peer)
{
    if (peer->peer_fd >= 0)
        (void)close(peer->peer_fd);
    (void)close(peer->listen_fd);
    CHECK_EQ(nftw(peer->base, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}
