/*
 * generate_manuals - writes the man pages and the shell completion out of commands.def and env.def
 * while vgpu is built.
 *
 *     generate_manuals completion FILE
 *     generate_manuals man .../vgpu.1 .../vgpu-run.1 ...    one for each command that is shown
 */
#include "utils/roff.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum kind { COMMAND_ROW, HIDDEN_ROW, OPTION_ROW, END_ROW };

struct row {
    enum kind kind;
    char letter;
    const char *name;
    const char *argument; /* of an option; of a command: its operands */
    const char *words, *description;
};

static const struct row rows[] = {
#define COMMAND(name, operands, summary, description)                                              \
    {COMMAND_ROW, 0, #name, operands, summary, description},
#define HIDDEN(name, operands, summary, description)                                               \
    {HIDDEN_ROW, 0, #name, operands, summary, description},
#define OPTION(letter, name, argument, help) {OPTION_ROW, letter, name, argument, help, NULL},
#define END                                  {END_ROW, 0, NULL, NULL, NULL, NULL},
#include "cli/commands.def"
};

static const struct {
    const char *name, *words, *otherwise;
} variables[] = {
#define ENV(name, words, otherwise) {#name, words, otherwise},
#include "macro/env.def"
};

#define ROW_COUNT      (sizeof(rows) / sizeof(rows[0]))
#define VARIABLE_COUNT (sizeof(variables) / sizeof(variables[0]))

/* --- man pages --- */

static void print_head(FILE *file, const char *title, const char *summary)
{
    fprintf(file, ".TH %s 1 \"\" \"vgpu %s\" \"vgpu\"\n.SH NAME\n", title, VGPU_VERSION);
    roff_print(file, title);
    roff_line(file, " \\- ", summary);
}

static void print_option(FILE *file, const struct row *option)
{
    fputs(".TP\n", file);
    if (option->letter)
        fprintf(file, "\\fB\\-%c\\fR, ", option->letter);
    fputs("\\fB\\-\\-", file);
    roff_print(file, option->name);
    fputs("\\fR", file);
    if (option->argument) {
        fputs(" \\fI", file);
        roff_print(file, option->argument);
        fputs("\\fR", file);
    }
    roff_line(file, "\n", option->words);
}

static void print_command_page(FILE *file, const struct row *command)
{
    char title[64];

    (void)snprintf(title, sizeof(title), "vgpu-%s", command->name);
    print_head(file, title, command->words);
    fprintf(file, ".SH SYNOPSIS\n\\fBvgpu %s\\fR [\\fIOPTION\\fR...] ", command->name);
    roff_line(file, "", command->argument);
    roff_line(file, ".SH DESCRIPTION\n", command->description);
    if (command[1].kind == OPTION_ROW)
        fputs(".SH OPTIONS\n", file);
    for (const struct row *row = command + 1; row->kind == OPTION_ROW; row++)
        print_option(file, row);
    fputs(".SH SEE ALSO\n\\fBvgpu\\fR(1)\n", file);
}

static void print_overview(FILE *file)
{
    print_head(file, "vgpu", "fractions of an NVIDIA GPU, enforced where the driver decides");
    fputs(".SH SYNOPSIS\n\\fBvgpu\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR...]\n"
          ".SH DESCRIPTION\n"
          "Gives each tenant of a GPU a guaranteed and a bounded part of its memory and its time, "
          "without a change to the program.\n.SH COMMANDS\n",
          file);
    for (size_t i = 0; i < ROW_COUNT; i++)
        if (rows[i].kind == COMMAND_ROW) {
            fprintf(file, ".TP\n\\fBvgpu\\-%s\\fR(1)\n", rows[i].name);
            roff_line(file, "", rows[i].words);
        }
    fputs(".SH EXIT STATUS\n"
          "0 where all went well, 1 for what failed, 2 for what was asked wrongly. "
          "\\fBvgpu run\\fR and \\fBvgpu sim\\fR end with the status of their command; 126 and 127 "
          "say that it could not be executed or was not found.\n.SH ENVIRONMENT\n",
          file);
    for (size_t i = 0; i < VARIABLE_COUNT; i++) {
        fprintf(file, ".TP\n\\fB%s\\fR\n", variables[i].name);
        roff_print(file, variables[i].words);
        if (variables[i].otherwise[0])
            roff_line(file, "; default: ", variables[i].otherwise);
        else
            fputc('\n', file);
    }
}

static const struct row *find_command(const char *name, size_t length)
{
    for (size_t i = 0; i < ROW_COUNT; i++)
        if (rows[i].kind == COMMAND_ROW && strlen(rows[i].name) == length &&
            strncmp(rows[i].name, name, length) == 0)
            return &rows[i];
    return NULL;
}

static int write_page(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t length = strcspn(name, ".");
    const struct row *command = length > 5 ? find_command(name + 5, length - 5) : NULL;
    bool is_overview = strcmp(name, "vgpu.1") == 0;
    FILE *file = command || is_overview ? fopen(path, "we") : NULL;

    if (!file) {
        fprintf(stderr, "generate_manuals: there is no command for '%s', or it cannot be written\n",
                path);
        return 1;
    }
    if (is_overview)
        print_overview(file);
    else
        print_command_page(file, command);
    return fclose(file) ? 1 : 0;
}

static int write_pages(char **paths, size_t count)
{
    size_t commands = 0;

    for (size_t i = 0; i < ROW_COUNT; i++)
        commands += rows[i].kind == COMMAND_ROW;
    if (count != commands + 1) {
        fprintf(stderr, "generate_manuals: %zu pages for %zu commands: see meson.build\n", count,
                commands);
        return 1;
    }
    for (size_t i = 0; i < count; i++)
        if (write_page(paths[i]))
            return 1;
    return 0;
}

/* --- completion --- */

/* `high|normal|low` and the like are words to choose from. */
static bool is_choice(const char *argument)
{
    if (!strchr(argument, '|'))
        return false;
    for (; *argument; argument++)
        if (!islower((unsigned char)*argument) && *argument != '|')
            return false;
    return true;
}

static void print_values(FILE *file, const struct row *option)
{
    if (!option->argument)
        return;
    fprintf(file, "    --%s)\n        ", option->name);
    if (is_choice(option->argument)) {
        fputs("COMPREPLY=($(compgen -W \"", file);
        for (const char *at = option->argument; *at; at++)
            fputc(*at == '|' ? ' ' : *at, file);
        fputs("\" -- \"$word\"))\n", file);
    } else if (strcmp(option->argument, "FILE") == 0 || strcmp(option->argument, "DIR") == 0) {
        fputs("COMPREPLY=($(compgen -f -- \"$word\"))\n", file);
    } else {
        fputs("COMPREPLY=()\n", file);
    }
    fputs("        return\n        ;;\n", file);
}

static void print_case(FILE *file, const struct row *command)
{
    bool wants_name = strstr(command->argument, "NAME") == command->argument ||
                      strcmp(command->argument, "[NAME...]") == 0;

    fprintf(file, "%s)\n    case $before in\n", command->name);
    for (const struct row *row = command + 1; row->kind == OPTION_ROW; row++)
        print_values(file, row);
    fputs("    esac\n    words=\"--help", file);
    for (const struct row *row = command + 1; row->kind == OPTION_ROW; row++)
        fprintf(file, " --%s", row->name);
    fputs("\"\n", file);
    if (wants_name)
        fputs("    [[ $word == -* ]] || words=$(vgpu ps 2>/dev/null |\n"
              "        awk 'NR > 1 && /^[^ ]/ { print $1 }')\n",
              file);
    fputs("    ;;\n", file);
}

static int write_completion(const char *path)
{
    FILE *file = fopen(path, "we");

    if (!file) {
        perror(path);
        return 1;
    }
    fputs("# Completion of vgpu for bash; made from the table of commands.\n"
          "_vgpu() {\n"
          "local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} words= i\n"
          "for ((i = 2; i < COMP_CWORD; i++)); do\n"
          "    [[ ${COMP_WORDS[i]} == -- ]] || continue\n"
          "    if declare -F _command_offset >/dev/null; then\n"
          "        _command_offset $((i + 1))\n"
          "    else\n"
          "        COMPREPLY=($(compgen -c -f -- \"$word\"))\n"
          "    fi\n"
          "    return\n"
          "done\n"
          "if ((COMP_CWORD == 1)); then\n"
          "    COMPREPLY=($(compgen -W \"--help --version",
          file);
    for (size_t i = 0; i < ROW_COUNT; i++)
        if (rows[i].kind == COMMAND_ROW)
            fprintf(file, " %s", rows[i].name);
    fputs("\" -- \"$word\"))\n    return\nfi\ncase ${COMP_WORDS[1]} in\n", file);
    for (size_t i = 0; i < ROW_COUNT; i++)
        if (rows[i].kind == COMMAND_ROW)
            print_case(file, &rows[i]);
    fputs("esac\nCOMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n}\n"
          "complete -F _vgpu vgpu\n",
          file);
    return fclose(file) ? 1 : 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "completion") == 0)
        return write_completion(argv[2]);
    if (argc > 2 && strcmp(argv[1], "man") == 0)
        return write_pages(argv + 2, (size_t)argc - 2);
    fprintf(stderr, "usage: generate_manuals completion FILE | man FILE...\n");
    return 2;
}
