#pragma once
/*
 * command - the table of commands (commands.def), and what a command line says by it. Whoever finds
 * a command line wrong says so on one line and returns COMMAND_USAGE.
 */
#include "utils/attr.h"

#include <stdbool.h>
#include <stddef.h>

#define COMMAND_OK     0
#define COMMAND_FAILED 1
#define COMMAND_USAGE  2

#define COMMAND_OPTIONS_MAX 24
#define COMMAND_VALUES_MAX  16

struct command_option {
    char letter;          /* 0: none */
    const char *name;     /* NULL ends the list */
    const char *argument; /* NULL: a switch */
    const char *help;
};

struct command_line {
    const struct command *command;
    const char *values[COMMAND_OPTIONS_MAX][COMMAND_VALUES_MAX]; /* by place in command->options */
    size_t counts[COMMAND_OPTIONS_MAX];
    char **words;    /* all that stood behind the command's name, NULL-terminated */
    char **operands; /* of them, those behind the options */
    int operand_count;
};

struct command {
    const char *name, *operands, *summary, *description;
    const struct command_option *options;
    int (*function)(const struct command_line *line);
    bool is_hidden;
};

/* All of them, ended by a NULL name. */
extern const struct command command_table[];

/* The last value of an option, NULL where it was not given; "" for a switch that was. */
const char *command_value(const struct command_line *line, const char *name);
bool command_has(const struct command_line *line, const char *name);
/* All values of an option; returns their number. */
size_t command_values(const struct command_line *line, const char *name,
                      const char *const **ret_values);

/*
 * Takes in options up to the first operand; the rest is line->operands. Options already there stay.
 */
int command_parse(struct command_line *line, char **argv) MUST_CHECK;

/* Says "vgpu: <command>: <words>" on stderr; returns COMMAND_USAGE. */
int command_usage_error(const struct command_line *line, const char *format, ...) PRINTF_LIKE(2, 3);

/* Runs what argv asks for; returns the exit status. */
int command_main(int argc, char **argv);
