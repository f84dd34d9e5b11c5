#pragma once
/*
 * quota - the tenant's region as this process sees it, and the memory that it is charged for. All
 * functions but quota_get_memory() are called with the guest's lock held.
 *
 * What is charged is counted here as well as in the ledger: before there is a region, and when a
 * new supervisor brings another ledger, the count says what is to be charged there. Without a
 * region memory is not limited (or, where the environment says `closed`, refused).
 */
#include "ipc/ledger.h"
#include "ipc/region.h"
#include "rm/port.h"
#include "utils/attr.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The region as WELCOME brought it. Takes over both descriptors in any case. A negative errno where
 * they are no region; the old one stays then.
 */
int quota_join(int control_fd, int ledger_fd, const struct ledger_row *row) MUST_CHECK;

bool quota_is_joined(void);
const struct region_control *quota_control(void); /* NULL before the first region */
enum region_on_loss quota_on_loss(void);

/* The region's two descriptors, for a supervisor that takes over; false where there is none. */
bool quota_get_fds(int ret_fds[2]);

bool quota_is_allowed(uint32_t device_instance);
/* Asks for the cache lines that the next two will need, of the first card. */
void quota_prefetch(void);

bool quota_reserve(uint32_t device_instance, uint64_t bytes);
void quota_release(uint32_t device_instance, uint64_t bytes);
/* Any thread, at any time; limit and use are of one and the same region. */
void quota_get_memory(uint32_t device_instance, struct port_memory *ret_memory);

/* In a forked child: no row, nothing charged. */
void quota_forget(void);

/* The program took one of our descriptors' numbers. */
void quota_lose_descriptor(int fd);
