#include "cli/client.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "supervisor/explanation.h"
#include "supervisor/explanation_json.h"
#include "supervisor/runtime.h"
#include "utils/log.h"
#include "utils/parse.h"
#include "utils/str.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static int print_json(const char *name, const struct client_explanation *explanation)
{
    json_t *all = explanation_json_new(name, explanation->gpus, explanation->gpu_count);

    if (!all || json_dumpf(all, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) < 0) {
        json_decref(all);
        log_error("explain: the answer cannot be written as JSON");
        return COMMAND_FAILED;
    }
    printf("\n");
    json_decref(all);
    return COMMAND_OK;
}

static void print_text(const char *name, const struct client_explanation *explanation)
{
    for (size_t i = 0; i < explanation->gpu_count; i++) {
        const struct message_explained *gpu = &explanation->gpus[i];
        char lines[EXPLANATION_TEXT_MAX], *rest = NULL;
        struct str text;

        str_init(&text, lines, sizeof(lines));
        explanation_write(gpu, &text);
        printf("%s%s on GPU %u (%s)\n", i ? "\n" : "", name, gpu->nvml_index, gpu->uuid);
        for (char *line = strtok_r(lines, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
            printf("  %s\n", line);
        str_init(&text, lines, sizeof(lines));
        explanation_write_neighbours(gpu, &text);
        if (text.length)
            printf("\n%s", lines);
    }
}

static int explain(const struct command_line *line, const char *name)
{
    struct client_explanation explanation;
    struct runtime runtime;
    struct err err;

    if (parse_name(name, &err) < 0)
        return command_usage_error(line, "%s", err.text);
    if (client_open_runtime(&runtime, &err) < 0 ||
        client_explain(&runtime, name, &explanation, &err) < 0) {
        log_error("explain: %s", err.text);
        return COMMAND_FAILED;
    }
    if (command_has(line, "json"))
        return print_json(name, &explanation);
    print_text(name, &explanation);
    return COMMAND_OK;
}

int cmd_explain(const struct command_line *line)
{
    struct command_line rest = *line;

    if (line->operand_count < 1)
        return command_usage_error(line, "a tenant's name is needed");
    /* `explain NAME --json`: options may stand behind the name. */
    if (command_parse(&rest, line->operands + 1))
        return COMMAND_USAGE;
    if (rest.operand_count)
        return command_usage_error(line, "'%s' is one name too many", rest.operands[0]);
    return explain(&rest, line->operands[0]);
}
