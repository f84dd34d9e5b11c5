#include "hypervisor/config.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define RELOADS  true
#define RESTARTS false
const struct config_row config_rows[] = {
#define OPTION(name, kind, argument, variables, standard, applies, help, notice)                   \
    {#name,                                                                                        \
     {CONFIG_VALUE_##kind, sizeof(((struct config *)0)->name), argument},                          \
     offsetof(struct config, name),                                                                \
     variables,                                                                                    \
     standard,                                                                                     \
     applies,                                                                                      \
     help,                                                                                         \
     notice},
#include "hypervisor/options.def"
};

/* config_load.h tells of several options by the bits of a word. */
_Static_assert(CONFIG_OPTION_COUNT <= 64, "more options than bits");

void config_init(struct config *ret_config)
{
    memset(ret_config, 0, sizeof(*ret_config));
    for (unsigned int option = 0; option < CONFIG_OPTION_COUNT; option++) {
        int rc = config_value_read(&config_rows[option].type, config_rows[option].standard,
                                   config_value(ret_config, option), NULL);

        assert(rc == 0); /* the table's own mistake */
        (void)rc;        /* where asserts are off */
    }
}

int config_find(const char *name, size_t length)
{
    for (int option = 0; option < CONFIG_OPTION_COUNT; option++) {
        const char *known = config_rows[option].name;
        size_t i = 0;

        while (i < length && known[i] && known[i] == name[i])
            i++;
        if (i == length && !known[i])
            return option;
    }
    return -1;
}

void *config_value(struct config *config, enum config_option option)
{
    return (char *)config + config_rows[option].offset;
}

const void *config_value_const(const struct config *config, enum config_option option)
{
    return (const char *)config + config_rows[option].offset;
}

int config_set(struct config *config, enum config_option option, const char *text,
               struct config_source source, struct err *err)
{
    struct err reason;

    config->sources[option] = source;
    if (config_value_read(&config_rows[option].type, text, config_value(config, option), &reason) <
        0)
        return config_fail(config, option, err, "%s", reason.text);
    return 0;
}

static void add_flag(struct str *str, const char *name)
{
    str_add(str, "flag --");
    for (; *name; name++)
        str_add(str, "%c", *name == '_' ? '-' : *name);
}

void config_add_source(struct str *str, const struct config *config, enum config_option option)
{
    const struct config_source *source = &config->sources[option];

    switch (source->kind) {
    case CONFIG_DEFAULT:
        str_add(str, "default");
        break;
    case CONFIG_FROM_FILE:
        str_add(str, "%s:%u", config->file, source->line);
        break;
    case CONFIG_ENVIRONMENT:
        str_add(str, "environment %s", source->variable);
        break;
    case CONFIG_FLAG:
        add_flag(str, config_rows[option].name);
        break;
    }
}

int config_fail(const struct config *config, enum config_option option, struct err *err,
                const char *format, ...)
{
    const struct config_source *source = &config->sources[option];
    char words[sizeof(err->text)];
    struct str str;
    va_list args;

    str_init(&str, words, sizeof(words));
    config_add_source(&str, config, option);
    if (source->kind == CONFIG_FROM_FILE)
        str_add(&str, ":%u", source->column);
    if (source->kind != CONFIG_FLAG) /* which has the name already */
        str_add(&str, ": %s", config_rows[option].name);
    str_add(&str, ": ");
    va_start(args, format);
    str_add_list(&str, format, args);
    va_end(args);
    return err_say(err, EINVAL, "%s", words);
}
