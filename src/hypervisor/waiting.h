#pragma once
/*
 * waiting - a tenant that was asked for and does not fit yet: it waits for its turn, and whoever
 * asked waits with it.
 */
#include "utils/list.h"

#include <stdint.h>

struct request;
struct snapshot_tenant;

struct waiting {
    struct list node; /* in the order in which they came */
    struct request *request;
    uint64_t until_ns; /* then it is refused */
};

/* As a tenant in state QUEUED. */
void waiting_show(const struct waiting *waiting, struct snapshot_tenant *ret_tenant);
