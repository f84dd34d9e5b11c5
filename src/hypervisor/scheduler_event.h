#pragma once
/*
 * scheduler_event - what happened, as the `tf_scheduler_event` lines that existing collectors read;
 * line protocol also where usage is written as JSON, as it always was.
 *
 *     register_process  a process joined a tenant: tags event_type, pid, qos (Low, Medium, High:
 *                       the tenant's priority); field weight (i)
 *     remove_process    it left: tags event_type, pid; field value=1i
 *
 * There is no on_trap: an allocation beyond the limit is refused, and no process waits for memory.
 */
#include <stdbool.h>
#include <stdio.h>

struct event;
struct snapshot;

/*
 * Writes the line of an event, if it is one that has a line; returns whether it has. The tenant is
 * looked up in `snapshot`: of one that is not there `qos` and `weight` are left out.
 */
bool scheduler_event_print(const struct event *event, const struct snapshot *snapshot, FILE *file);
