#pragma once
/*
 * config_flags - the command line of `vgpu-hypervisor daemon`, taken apart: values are looked at
 * when they are set, above those of file and environment, and again at each reload.
 */
#include "hypervisor/config.h"

struct config_flags {
    const char *file;                        /* of --config; NULL: not given; all are borrowed */
    const char *values[CONFIG_OPTION_COUNT]; /* the last given; NULL: none */
    bool wants_help, wants_version, wants_print, wants_check;
};

/*
 * Reads `words` (NULL-terminated). `--name value` and `--name=value`; a BOOLEAN without a value
 * that it could have is true. -EINVAL with words that name the nearest option for one not known.
 */
int config_flags_read(struct config_flags *ret_flags, char *const *words,
                      struct err *err) MUST_CHECK;

/* -EINVAL with the flag and words. */
int config_flags_apply(const struct config_flags *flags, struct config *config,
                       struct err *err) MUST_CHECK;

/* All options and actions, for --help. */
void config_flags_print_help(void);
