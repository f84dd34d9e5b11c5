#include "cli/command.h"

#include "cli/commands.h"
#include "utils/err.h"
#include "utils/log.h"
#include "utils/str.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define COMMAND(name, operands, summary, description)                                              \
    static const struct command_option options_##name[] = {
#define OPTION(letter, name, argument, help) {letter, name, argument, help},
#define END                                                                                        \
    {                                                                                              \
        0, NULL, NULL, NULL                                                                        \
    }                                                                                              \
    }                                                                                              \
    ;
#include "cli/commands.def"

const struct command command_table[] = {
#define COMMAND(name, operands, summary, description)                                              \
    {#name, operands, summary, description, options_##name, cmd_##name, false},
#define HIDDEN(name, operands, summary, description)                                               \
    {#name, operands, summary, description, options_##name, cmd_##name, true},
#define OPTION(letter, name, argument, help)
#define END
#include "cli/commands.def"
    {NULL, NULL, NULL, NULL, NULL, NULL, true},
};

static int find_option(const struct command *command, const char *name, size_t length)
{
    for (int i = 0; command->options[i].name; i++)
        if (strlen(command->options[i].name) == length &&
            strncmp(command->options[i].name, name, length) == 0)
            return i;
    return -1;
}

static int find_letter(const struct command *command, char letter)
{
    for (int i = 0; command->options[i].name; i++)
        if (letter && command->options[i].letter == letter)
            return i;
    return -1;
}

size_t command_values(const struct command_line *line, const char *name,
                      const char *const **ret_values)
{
    int i = find_option(line->command, name, strlen(name));

    if (i < 0)
        return 0;
    *ret_values = line->values[i];
    return line->counts[i];
}

const char *command_value(const struct command_line *line, const char *name)
{
    const char *const *values;
    size_t count = command_values(line, name, &values);

    return count ? values[count - 1] : NULL;
}

bool command_has(const struct command_line *line, const char *name)
{
    return command_value(line, name) != NULL;
}

int command_usage_error(const struct command_line *line, const char *format, ...)
{
    char words[512];
    struct str str;
    va_list args;

    str_init(&str, words, sizeof(words));
    va_start(args, format);
    str_add_list(&str, format, args);
    va_end(args);
    log_error("%s: %s", line->command->name, words);
    return COMMAND_USAGE;
}

static void print_help(const struct command *command)
{
    printf("usage: vgpu %s%s%s%s\n\n%s\n", command->name,
           command->options[0].name ? " [OPTION...]" : "", command->operands[0] ? " " : "",
           command->operands, command->description);
    if (command->options[0].name)
        printf("\n");
    for (const struct command_option *option = command->options; option->name; option++) {
        char left[64];

        (void)snprintf(left, sizeof(left), "%c%c%s--%s%s%s", option->letter ? '-' : ' ',
                       option->letter ? option->letter : ' ', option->letter ? ", " : "  ",
                       option->name, option->argument ? " " : "",
                       option->argument ? option->argument : "");
        printf("  %-30s %s\n", left, option->help);
    }
}

static void print_overview(void)
{
    printf("vgpu - fractions of an NVIDIA GPU, enforced where the driver decides\n\n"
           "usage: vgpu COMMAND [OPTION...]\n\n");
    for (const struct command *command = command_table; command->name; command++)
        if (!command->is_hidden)
            printf("  %-8s %s\n", command->name, command->summary);
    printf("\n'vgpu COMMAND --help' says more about each.\n");
}

static int store(struct command_line *line, int option, const char *value)
{
    if (line->counts[option] == COMMAND_VALUES_MAX)
        return command_usage_error(line, "'--%s' is given more than %d times",
                                   line->command->options[option].name, COMMAND_VALUES_MAX);
    line->values[option][line->counts[option]++] = value;
    return COMMAND_OK;
}

/* One option at argv[0]; returns the number of words it took, or -1 after saying what is wrong. */
static int read_option(struct command_line *line, char **argv)
{
    const char *word = argv[0], *equals = strchr(word, '=');
    bool is_long = word[1] == '-';
    size_t length = !is_long ? 0 : equals ? (size_t)(equals - word) - 2 : strlen(word) - 2;
    int option = is_long           ? find_option(line->command, word + 2, length)
                 : word[2] == '\0' ? find_letter(line->command, word[1])
                                   : -1;

    if (option < 0) {
        (void)command_usage_error(line, "unknown option '%s' (see vgpu %s --help)", word,
                                  line->command->name);
        return -1;
    }
    if (!line->command->options[option].argument) {
        if (is_long && equals) {
            (void)command_usage_error(line, "'--%s' takes no value",
                                      line->command->options[option].name);
            return -1;
        }
        return store(line, option, "") ? -1 : 1;
    }
    if (is_long && equals)
        return store(line, option, equals + 1) ? -1 : 1;
    if (!argv[1]) {
        (void)command_usage_error(line, "'%s' needs a value: %s", word,
                                  line->command->options[option].argument);
        return -1;
    }
    return store(line, option, argv[1]) ? -1 : 2;
}

int command_parse(struct command_line *line, char **argv)
{
    line->operand_count = 0;
    while (*argv && (*argv)[0] == '-' && (*argv)[1]) {
        int taken;

        if (str_equals(*argv, "--")) {
            argv++;
            break;
        }
        taken = read_option(line, argv);
        if (taken < 0)
            return COMMAND_USAGE;
        argv += taken;
    }
    line->operands = argv;
    while (argv[line->operand_count])
        line->operand_count++;
    return COMMAND_OK;
}

static bool asks_for_help(char **argv)
{
    for (; *argv && !str_equals(*argv, "--"); argv++) {
        if (str_equals(*argv, "--help") || str_equals(*argv, "-h"))
            return true;
        if ((*argv)[0] != '-')
            return false;
    }
    return false;
}

static int run(const struct command *command, char **argv)
{
    struct command_line line = {.command = command, .words = argv};

    if (asks_for_help(argv)) {
        print_help(command);
        return COMMAND_OK;
    }
    if (command_parse(&line, argv) != COMMAND_OK)
        return COMMAND_USAGE;
    return command->function(&line);
}

static int dispatch(int argc, char **argv)
{
    if (argc < 2) {
        print_overview();
        return COMMAND_USAGE;
    }
    if (str_equals(argv[1], "--help") || str_equals(argv[1], "-h") || str_equals(argv[1], "help")) {
        print_overview();
        return COMMAND_OK;
    }
    if (str_equals(argv[1], "--version")) {
        printf("vgpu %s\n", VGPU_VERSION);
        return COMMAND_OK;
    }
    for (const struct command *command = command_table; command->name; command++)
        if (str_equals(argv[1], command->name))
            return run(command, argv + 2);
    log_error("unknown command '%s' (vgpu --help lists them)", argv[1]);
    return COMMAND_USAGE;
}

/* What was printed is part of the success, unless nobody wants to read it any more. */
static int flush_output(int status)
{
    bool is_broken = ferror(stdout) != 0;
    struct err err;

    errno = EIO; /* of what was lost before */
    if (fflush(stdout) == 0 && !is_broken)
        return status;
    if (status != COMMAND_OK || errno == EPIPE)
        return status; /* it is told of already, or there is nobody to tell */
    (void)err_set(&err, errno, "write the output");
    log_error("%s", err.text);
    return COMMAND_FAILED;
}

int command_main(int argc, char **argv)
{
    return flush_output(dispatch(argc, argv));
}
