#pragma once
/*
 * config_print - the configuration in force as YAML that can be read again, each value with where
 * it comes from.
 */
#include "hypervisor/config.h"

#include <stdio.h>

/* -EIO and so on with words. */
int config_print(const struct config *config, FILE *file, struct err *err) MUST_CHECK;
