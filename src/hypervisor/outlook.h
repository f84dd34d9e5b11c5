#pragma once
/*
 * outlook - the hardware and the processes on it, as the loop sees them once a second: the newest
 * reading of the cards, which of them are lost, and who uses them without a tenant.
 */
#include "hypervisor/config.h"
#include "hypervisor/hardware.h"
#include "hypervisor/snapshot.h"
#include "utils/attr.h"
#include "utils/err.h"

struct node;
struct outlook;

int outlook_new(struct outlook **ret_outlook, const struct node *node, uint64_t interval_ns,
                struct err *err) MUST_CHECK;
/* NULL is fine. */
void outlook_free(struct outlook *outlook);

/* Reads, tells what has changed (events, faults), and does what the policy says about strangers. */
void outlook_look(struct outlook *outlook, struct node *node, enum config_foreign_policy policy);

/* Fills in what was measured, in a snapshot that has all the rest. */
void outlook_show(const struct outlook *outlook, struct snapshot *snapshot);
