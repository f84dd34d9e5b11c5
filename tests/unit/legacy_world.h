#pragma once
/*
 * legacy_world - a node with two pods, for the tests of the old system's routes: `shop/web-0` is
 * the tenant `web` with this very process and the foreign one 71, `lab/train` is the tenant `train`
 * with the process 4200900. And the callers that a server may have.
 */
#include "hypervisor/legacy_caller.h"

#include <jansson.h>

struct legacy_world {
    struct snapshot *snapshot;
    struct pod_rule rule;
    struct legacy_tasks *tasks;
    struct legacy_caller web, train, stranger; /* pods' tokens; one of a pod without a tenant */
    struct legacy_caller operator, reader;     /* tokens that are no pods' */
    struct legacy_caller nobody;               /* no token, a wrong one, one that has expired */
};

void legacy_world_init(struct legacy_world *world);
void legacy_world_fini(struct legacy_world *world);

struct legacy_view legacy_world_view(struct legacy_world *world,
                                     const struct legacy_caller *caller);

/* Whether the JSON is the literal one; puts it away. */
bool legacy_world_is(json_t *json, const char *literal);

/* Whether it is a problem with that status; puts it away. */
bool legacy_world_is_problem(json_t *json, int status);
