#pragma once
/*
 * survey - makes a snapshot of all that the daemon's loop knows.
 */
#include "hypervisor/snapshot.h"
#include "supervisor/gpus.h"
#include "supervisor/verdict.h"
#include "utils/list.h"

struct health;
struct outlook;

struct survey {
    const char *node_name, *driver_version;
    const struct gpus_card *cards;
    const enum verdict *verdicts; /* of each card */
    uint32_t card_count;
    const struct list *keepers;    /* of struct keeper */
    const struct list *observed;   /* those of other users' `vgpu run` */
    const struct outlook *outlook; /* NULL: nothing is measured */
    const struct list *waiting;    /* of struct waiting (admission's queue) */
    const struct health *health;
    uint64_t sequence;
    bool is_ready;
};

/* NULL: no memory. */
struct snapshot *survey_make(const struct survey *survey);
