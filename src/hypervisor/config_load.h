#pragma once
/*
 * config_load - the whole configuration: defaults, the file, the environment and the flags, each
 * above the one before; then what follows from others, and what must not be together.
 */
#include "hypervisor/config.h"
#include "hypervisor/config_flags.h"

/*
 * -EINVAL and so on with words that say where the mistake is, -EAGAIN where it is none and may go
 * by itself; *ret_config is untouched then. Nothing on the machine is changed.
 */
int config_load(struct config *ret_config, const struct config_flags *flags,
                struct err *err) MUST_CHECK;

/*
 * Of a `newer` one, read while the daemon runs with `current`: what only a start changes keeps the
 * value it has. Returns those options, a bit each.
 */
uint64_t config_keep_started(struct config *newer, const struct config *current);

/* Those that somebody set and that have no effect, a bit each. */
uint64_t config_without_effect(const struct config *config);
