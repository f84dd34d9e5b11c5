#pragma once
/*
 * node_service - the node in the daemon's frame: its configuration, signals, log and service
 * manager joined to its loop.
 */
#include "hypervisor/daemon.h"

/* A daemon_run: serves until SIGTERM or SIGINT. */
int node_service_run(struct daemon *daemon, struct err *err) MUST_CHECK;
