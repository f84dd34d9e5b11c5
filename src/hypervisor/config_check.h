#pragma once
/*
 * config_check - what follows from the values together: defaults that depend on others or on the
 * machine, and what the daemon must not be started with.
 */
#include "hypervisor/config.h"

/* Fills in and judges; -EINVAL or -EOPNOTSUPP with words. */
int config_check(struct config *config, struct err *err) MUST_CHECK;
