#include "hypervisor/config_load.h"

#include "hypervisor/config_check.h"
#include "hypervisor/config_file.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The first of an option's variables that is set, and not empty, counts. */
static int read_environment_of(struct config *config, enum config_option option, struct err *err)
{
    const char *names = config_rows[option].variables;

    while (*names) {
        struct config_source source = {.kind = CONFIG_ENVIRONMENT};
        size_t length = strcspn(names, " ");
        const char *value;

        assert(length < sizeof(source.variable)); /* the table's own mistake */
        memcpy(source.variable, names, length);
        names += length + (names[length] == ' ');
        value = getenv(source.variable);
        if (value && *value)
            return config_set(config, option, value, source, err);
    }
    return 0;
}

static int read_environment(struct config *config, struct err *err)
{
    int rc = 0;

    for (unsigned int option = 0; !rc && option < CONFIG_OPTION_COUNT; option++)
        rc = read_environment_of(config, option, err);
    return rc;
}

/* The file that nobody named need not be there; one that is there has to be good. */
static int read_file(struct config *config, const char *named, struct err *err)
{
    struct err reason;
    int rc = config_file_load(config, named ? named : CONFIG_FILE, &reason);

    if (rc == -ENOENT && !named)
        return 0;
    return rc < 0 ? err_say(err, reason.code, "%s", reason.text) : 0;
}

int config_load(struct config *ret_config, const struct config_flags *flags, struct err *err)
{
    CLEANUP_FREE struct config *config = malloc(sizeof(*config)); /* large for a stack */
    int rc;

    if (!config)
        return err_set(err, ENOMEM, "read the configuration");
    config_init(config);
    rc = read_file(config, flags->file, err);
    if (!rc)
        rc = read_environment(config, err);
    if (!rc)
        rc = config_flags_apply(flags, config, err);
    if (!rc)
        rc = config_check(config, err);
    if (!rc)
        *ret_config = *config;
    return rc;
}

uint64_t config_keep_started(struct config *newer, const struct config *current)
{
    uint64_t kept = 0;

    for (unsigned int option = 0; option < CONFIG_OPTION_COUNT; option++) {
        const struct config_row *row = &config_rows[option];

        if (row->reloads || config_value_equals(&row->type, config_value_const(newer, option),
                                                config_value_const(current, option)))
            continue;
        memcpy(config_value(newer, option), config_value_const(current, option), row->type.size);
        newer->sources[option] = current->sources[option];
        kept |= UINT64_C(1) << option;
    }
    return kept;
}

/* KUBECONFIG is there for other programs: nobody meant us. */
static bool is_given(const struct config *config, unsigned int option)
{
    enum config_source_kind kind = config->sources[option].kind;

    return kind != CONFIG_DEFAULT && !(option == CONFIG_kubeconfig && kind == CONFIG_ENVIRONMENT);
}

uint64_t config_without_effect(const struct config *config)
{
    uint64_t options = 0;

    for (unsigned int option = 0; option < CONFIG_OPTION_COUNT; option++)
        if (config_rows[option].notice && is_given(config, option))
            options |= UINT64_C(1) << option;
    return options;
}
