#pragma once
/*
 * health - what is wrong now, for /healthz: each fault is logged once when it begins and once when
 * it ends, and is an event both times.
 */
#include "hypervisor/snapshot.h"
#include "utils/attr.h"

#include <stdbool.h>
#include <stdint.h>

struct event_log;

struct health {
    struct event_log *events; /* borrowed */
    struct snapshot_fault list[SNAPSHOT_FAULTS_MAX];
    uint32_t count;
};

void health_init(struct health *health, struct event_log *events);

/*
 * One fault for each component and text: begins where it is there and was not, ends vice versa.
 * That none is there, with an empty text, ends all of the component.
 */
void health_set(struct health *health, bool is_there, const char *component, const char *text);
