#include "bootstrap/bootstrap_options.h"

#include "utils/str.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

const struct bootstrap_option_row bootstrap_option_rows[] = {
#define OPTION(letter, name, argument, help) {name, argument, help},
#include "bootstrap/options.def"
#undef OPTION
    {NULL, NULL, NULL},
};

static const struct bootstrap_option_row *find_row(const char *name, size_t length)
{
    for (const struct bootstrap_option_row *row = bootstrap_option_rows; row->name; row++)
        if (strlen(row->name) == length && strncmp(row->name, name, length) == 0)
            return row;
    return NULL;
}

static void set_text(struct bootstrap_options *options, const char *name, const char *value)
{
    if (str_equals(name, "source")) {
        options->source = value;
        options->has_named_source = true;
    } else if (str_equals(name, "target")) {
        options->target = value;
    } else if (str_equals(name, "conf")) {
        options->conf = value;
    } else {
        options->nvidia_smi = value;
    }
}

static void set_switch(struct bootstrap_options *options, const char *name)
{
    if (str_equals(name, "no-limiter"))
        options->has_no_limiter = true;
    else if (str_equals(name, "gpu-node"))
        options->is_gpu_node = true;
    else if (str_equals(name, "downgrade"))
        options->may_downgrade = true;
    else if (str_equals(name, "dry-run"))
        options->is_dry_run = true;
    else
        options->is_undo = true;
}

/* One option at words[0]; returns the number of words it took. */
static int read_option(struct bootstrap_options *options, const char *const *words, struct err *err)
{
    const char *word = words[0], *equals = strchr(word, '=');
    const struct bootstrap_option_row *row = NULL;

    if (str_starts_with(word, "--"))
        row = find_row(word + 2, equals ? (size_t)(equals - word) - 2 : strlen(word) - 2);
    if (!row)
        return err_say(err, EINVAL, "'%s' is not understood (--help)", word);
    if (!row->argument) {
        if (equals)
            return err_say(err, EINVAL, "'--%s' takes no value", row->name);
        set_switch(options, row->name);
        return 1;
    }
    if (!equals && !words[1])
        return err_say(err, EINVAL, "'--%s' needs a value", row->name);
    set_text(options, row->name, equals ? equals + 1 : words[1]);
    return equals ? 1 : 2;
}

/* Variables that pods have already, so that their names are not ours (macro/env.def). */
static bool is_true(const char *name)
{
    const char *value = getenv(name);

    return value && str_equals(value, "true");
}

static int check(const struct bootstrap_options *options, struct err *err)
{
    if (options->target[0] != '/' || options->conf[0] != '/')
        return err_say(err, EINVAL, "'%s' is not an absolute path",
                       options->target[0] != '/' ? options->target : options->conf);
    if (strpbrk(options->target, ": \t\r\n#;,"))
        return err_say(err, EINVAL, "'%s' has a character that ld.so.preload cannot hold in a name",
                       options->target);
    if (!options->source[0] || !options->nvidia_smi[0])
        return err_say(err, EINVAL, "a path is empty");
    return 0;
}

int bootstrap_options_read(struct bootstrap_options *ret_options, const char *const *words,
                           struct err *err)
{
    struct bootstrap_options options = {
        .source = "/home/app",
        .target = "/tensor-fusion",
        .conf = "/tensor-fusion-conf",
        .nvidia_smi = "nvidia-smi-linux",
        .has_no_limiter = is_true("DISABLE_GPU_LIMITER"),
        .is_gpu_node = is_true("RUN_INSIDE_GPU_NODE"),
    };
    int rc;

    while (*words) {
        int taken = read_option(&options, words, err);

        if (taken < 0)
            return taken;
        words += taken;
    }
    rc = check(&options, err);
    if (rc == 0)
        *ret_options = options;
    return rc;
}
