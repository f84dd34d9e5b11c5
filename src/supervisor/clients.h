#pragma once
/*
 * clients - what `vgpu` and the daemon ask of a supervisor, and its answers: a REPLY for each
 * question, with what was asked for before it. Anybody who is let in may look; only root and the
 * supervisor's own user may change anything, so that a tenant that the daemon keeps for somebody
 * cannot raise its own limits.
 */
#include "utils/attr.h"
#include "utils/sock.h"

#include <stdbool.h>

struct connections_config;

/* One question; -EPROTO where it is none, or the error of a client that does not read. */
int clients_take(const struct connections_config *config, int fd, const struct sock_peer *peer,
                 const void *message) MUST_CHECK;

/* The answer to STATUS, which watchers are sent as well. */
int clients_send_status(const struct connections_config *config, int fd) MUST_CHECK;
