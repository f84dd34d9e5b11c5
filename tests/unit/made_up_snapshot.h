#pragma once
/*
 * made_up_snapshot - a node with two GPUs and three tenants, for those who show one: a card that
 * answers everything, one that is lost; a tenant with limits, one without, one that has not
 * started; processes that belong to nobody, with names that somebody chose to break a format.
 */
#include "hypervisor/metrics_own.h"
#include "hypervisor/snapshot.h"

#define MADE_UP_UNIX_MS UINT64_C(1700000000250)

/* The caller has the one reference. Ends the program where there is no memory. */
struct snapshot *made_up_snapshot(void);

struct metrics_own made_up_own(void);
