#include "bootstrap/bootstrap.h"
#include "bootstrap/bootstrap_options.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "utils/log.h"

int cmd_bootstrap(const struct command_line *line)
{
    struct bootstrap_options options;
    struct err err = {0};

    if (line->operand_count)
        return command_usage_error(line, "'%s' is not understood", line->operands[0]);
    /* The parser of the static program reads the words: the two do the same by the same table. */
    if (bootstrap_options_read(&options, (const char *const *)line->words, &err) < 0)
        return command_usage_error(line, "%s", err.text);
    if (bootstrap_run(&options, &err) < 0) {
        log_error("bootstrap: %s", err.text);
        return COMMAND_FAILED;
    }
    return COMMAND_OK;
}
