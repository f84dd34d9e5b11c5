#pragma once
/*
 * status - what `vgpu ps` shows of a tenant, as messages.
 */
#include "utils/attr.h"

struct controller;
struct guests;
struct tenant;

struct status_source {
    const struct tenant *tenant;
    struct guests *guests;
    struct controller *controller;
};

/* One STATUS_TENANT, a STATUS_PROCESS for each process, a STATUS_GPU for each allowed GPU. */
int status_send(int fd, const struct status_source *source) MUST_CHECK;
