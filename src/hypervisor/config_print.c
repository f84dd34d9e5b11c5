#include "hypervisor/config_print.h"

#include "hypervisor/policy_file.h"

#include <errno.h>

/* Quotes may double what they hold. */
#define LINE_SIZE (2 * CONFIG_JSON_SIZE + PATH_MAX)

static void print_option(const struct config *config, enum config_option option, FILE *file)
{
    const struct config_row *row = &config_rows[option];
    char line[LINE_SIZE];
    struct str str;

    str_init(&str, line, sizeof(line));
    str_add(&str, "%s: ", row->name);
    config_value_write(&str, &row->type, config_value_const(config, option));
    str_add(&str, "  # ");
    if (config->sources[option].kind == CONFIG_FROM_FILE)
        str_add(&str, "from ");
    config_add_source(&str, config, option);
    (void)fprintf(file, "%s\n", line); /* ferror() tells at the end */
}

static void print_policy(const struct config *config, FILE *file)
{
    if (!config->policy.count) {
        (void)fprintf(file, "policy: []  # %s\n", config->policy_line ? "empty" : "default");
        return;
    }
    (void)fprintf(file, "policy:  # from %s:%u\n", config->file, config->policy_line);
    for (size_t i = 0; i < config->policy.count; i++) {
        const struct policy_rule *rule = &config->policy.rules[i];
        char line[512];
        struct str str;

        str_init(&str, line, sizeof(line));
        policy_file_write(&str, rule);
        (void)fprintf(file, "  - %s  # from %s:%u\n", line, config->file, rule->line);
    }
}

int config_print(const struct config *config, FILE *file, struct err *err)
{
    for (unsigned int option = 0; option < CONFIG_OPTION_COUNT; option++)
        /* What has no effect would only be warned of when this is read again. */
        if (!config_rows[option].notice || config->sources[option].kind != CONFIG_DEFAULT)
            print_option(config, option, file);
    print_policy(config, file);
    if (fflush(file) || ferror(file))
        return err_set(err, errno ? errno : EIO, "print the configuration");
    return 0;
}
