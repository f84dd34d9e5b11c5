#pragma once
/*
 * config_file - the YAML file of the configuration: a mapping from the names of options to values,
 * and `policy`, a list of rules. A key that is not known is a mistake, and the words name the
 * nearest that is.
 */
#include "hypervisor/config.h"

/*
 * Sets in `config` what the file has. -EINVAL with file:line:column and words, and
 * `config` is of no use then.
 */
int config_file_load(struct config *config, const char *path, struct err *err) MUST_CHECK;
/* The same from memory. */
int config_file_parse(struct config *config, const char *path, const char *text, size_t length,
                      struct err *err) MUST_CHECK;
