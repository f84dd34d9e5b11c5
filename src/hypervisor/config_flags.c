#include "hypervisor/config_flags.h"

#include "hypervisor/nearest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NAME_SIZE 64

/* A word taken apart. */
struct word {
    const char *text;     /* as it was given */
    char name[NAME_SIZE]; /* with '_' for '-' */
    const char *value;    /* behind '='; NULL: none */
};

static const struct action {
    const char *name, *argument, *help;
} actions[] = {
#define ACTION(name, argument, help) {name, argument, help},
#include "hypervisor/options.def"
};

static int fail_unknown(const struct word *word, struct err *err)
{
    struct nearest nearest;
    char flag[NAME_SIZE];

    nearest_begin(&nearest, word->name);
    for (int option = 0; option < CONFIG_OPTION_COUNT; option++)
        nearest_offer(&nearest, config_rows[option].name);
    for (size_t i = 0; i < ARRAY_LENGTH(actions); i++)
        nearest_offer(&nearest, actions[i].name);
    if (!nearest_get(&nearest))
        return err_say(err, EINVAL, "'%s' is not understood (--help)", word->text);
    (void)str_format(flag, sizeof(flag), "%s",
                     nearest_get(&nearest)); /* all known ones are short */
    for (char *at = flag; *at; at++)
        if (*at == '_')
            *at = '-';
    return err_say(err, EINVAL, "'%s' is not understood; is '--%s' meant?", word->text, flag);
}

static int split(struct word *ret_word, const char *text, struct err *err)
{
    const char *equals = strchr(text, '=');
    size_t length = equals ? (size_t)(equals - text) : strlen(text);

    if (!str_starts_with(text, "--") || length < 3 ||
        !str_format(ret_word->name, sizeof(ret_word->name), "%.*s", (int)length - 2, text + 2))
        return err_say(err, EINVAL, "'%s' is not understood (--help)", text);
    for (char *at = ret_word->name; *at; at++)
        if (*at == '-')
            *at = '_';
    ret_word->text = text;
    ret_word->value = equals ? equals + 1 : NULL;
    return 0;
}

static void set_action(struct config_flags *flags, const char *name, const char *value)
{
    if (str_equals(name, "config"))
        flags->file = value;
    else if (str_equals(name, "print_config"))
        flags->wants_print = true;
    else if (str_equals(name, "check_config"))
        flags->wants_check = true;
    else if (str_equals(name, "version"))
        flags->wants_version = true;
    else
        flags->wants_help = true;
}

static bool is_action(const char *known, const char *name)
{
    for (; *known && (*known == *name || (*known == '-' && *name == '_')); known++)
        name++;
    return !*known && !*name;
}

/* Whether `next` may be the value of a switch that is given without '='. */
static bool is_value(enum config_option option, const char *next)
{
    bool value;

    return next && config_value_read(&config_rows[option].type, next, &value, NULL) == 0;
}

/* An option or action that is known; returns the number of words it took. */
static int take(struct config_flags *flags, const struct word *word, const char *next,
                struct err *err)
{
    int option = config_find(word->name, strlen(word->name)), taken = word->value ? 1 : 2;
    const char *value = word->value ? word->value : next;

    if (option >= 0 && config_rows[option].type.kind == CONFIG_VALUE_BOOLEAN && !word->value &&
        !is_value((enum config_option)option, next)) {
        value = "true";
        taken = 1;
    }
    if (!value)
        return err_say(err, EINVAL, "'%s' needs a value", word->text);
    if (option >= 0)
        flags->values[option] = value;
    else
        set_action(flags, word->name, value);
    return taken;
}

static int read_word(struct config_flags *flags, char *const *words, struct err *err)
{
    const struct action *action = NULL;
    struct word word;
    int rc;

    if (str_equals(words[0], "-h")) {
        flags->wants_help = true;
        return 1;
    }
    rc = split(&word, words[0], err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < ARRAY_LENGTH(actions); i++)
        if (is_action(actions[i].name, word.name))
            action = &actions[i];
    if (!action && config_find(word.name, strlen(word.name)) < 0)
        return fail_unknown(&word, err);
    if (!action || action->argument)
        return take(flags, &word, words[1], err);
    if (word.value)
        return err_say(err, EINVAL, "'--%s' takes no value", action->name);
    set_action(flags, word.name, NULL);
    return 1;
}

int config_flags_read(struct config_flags *ret_flags, char *const *words, struct err *err)
{
    struct config_flags flags = {0};

    while (*words) {
        int taken = read_word(&flags, words, err);

        if (taken < 0)
            return taken;
        words += taken;
    }
    *ret_flags = flags;
    return 0;
}

int config_flags_apply(const struct config_flags *flags, struct config *config, struct err *err)
{
    const struct config_source source = {.kind = CONFIG_FLAG};
    int rc = 0;

    for (unsigned int option = 0; !rc && option < CONFIG_OPTION_COUNT; option++)
        if (flags->values[option])
            rc = config_set(config, option, flags->values[option], source, err);
    return rc;
}

static void print_option(const char *name, const char *argument)
{
    char left[NAME_SIZE];
    struct str str;

    str_init(&str, left, sizeof(left));
    str_add(&str, "--");
    for (; *name; name++)
        str_add(&str, "%c", *name == '_' ? '-' : *name);
    if (argument)
        str_add(&str, " %s", argument);
    printf("  %s\n", left);
}

void config_flags_print_help(void)
{
    for (size_t i = 0; i < ARRAY_LENGTH(actions); i++) {
        print_option(actions[i].name, actions[i].argument);
        printf("        %s\n", actions[i].help);
    }
    for (int option = 0; option < CONFIG_OPTION_COUNT; option++) {
        const struct config_row *row = &config_rows[option];

        print_option(row->name, row->type.argument);
        printf("        %s", row->help);
        if (row->notice)
            printf(": %s", row->notice);
        if (row->standard[0])
            printf(" (default %s)", row->standard);
        if (row->variables[0])
            printf(" [%s]", row->variables);
        printf("\n");
    }
}
