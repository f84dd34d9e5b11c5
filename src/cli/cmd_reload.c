#include "cli/command.h"
#include "cli/commands.h"
#include "cli/node_client.h"
#include "utils/log.h"

int cmd_reload(const struct command_line *line)
{
    struct err err;

    if (line->operand_count)
        return command_usage_error(line, "'%s' is one word too many", line->operands[0]);
    if (node_client_reload(&err) < 0) {
        log_error("reload: %s", err.text);
        return COMMAND_FAILED;
    }
    return COMMAND_OK;
}
