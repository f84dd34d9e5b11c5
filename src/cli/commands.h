#pragma once
/*
 * commands - one function for each row of commands.def, in cmd_<name>.c. Each returns the exit
 * status.
 */
struct command_line;

#define COMMAND(name, operands, summary, description)                                              \
    int cmd_##name(const struct command_line *line);
#define OPTION(letter, name, argument, help)
#define END
#include "cli/commands.def"
