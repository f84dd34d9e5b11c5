#pragma once
/*
 * observed_peer - a tenant of somebody's `vgpu run` in a runtime directory of its own, whose
 * supervisor is the test: it answers while the test serves it.
 */
#include "ipc/message.h"

#include <stdbool.h>
#include <stdint.h>

#define OBSERVED_PIDS_MAX 8

struct observed_peer {
    char base[32];
    int listen_fd, peer_fd;
    bool is_silent; /* it takes connections and says nothing */
    struct message_status_tenant tenant;
    int32_t pids[OBSERVED_PIDS_MAX]; /* that it claims */
    uint32_t pid_count;
    uint32_t answers;
};

/* Its directory begins with /tmp/vgpeer. */
void observed_peer_start(struct observed_peer *peer, const char *name);
void observed_peer_serve(struct observed_peer *peer);
void observed_peer_stop(struct observed_peer *peer);
