#pragma once
/*
 * bootstrap_options - what a bootstrap is to do, from its command line and the environment.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>

struct bootstrap_options {
    const char *source, *target, *conf; /* directories; all texts are borrowed */
    const char *nvidia_smi;             /* a file */
    bool has_no_limiter, is_gpu_node, may_downgrade, is_dry_run, is_undo;
    bool has_named_source; /* it was asked for, and is not the default */
};

/*
 * Reads the options among `words` (NULL-terminated) and the environment behind them. -EINVAL with
 * words in `err` for what cannot be understood, or would not work: `target` and `conf` have to be
 * absolute, and `target` cannot hold what separates names in ld.so.preload.
 */
int bootstrap_options_read(struct bootstrap_options *ret_options, const char *const *words,
                           struct err *err) MUST_CHECK;

/* The options, a line each, for a help text; ended by NULL names. */
struct bootstrap_option_row {
    const char *name, *argument /* NULL: a switch */, *help;
};
extern const struct bootstrap_option_row bootstrap_option_rows[];
