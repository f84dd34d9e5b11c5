#include "cli/client.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/limit_options.h"
#include "supervisor/runtime.h"
#include "supervisor/tenant.h"
#include "utils/log.h"
#include "utils/parse.h"

/* `set NAME --compute 60%`: the options stand behind the name. */
static int read_rest(const struct command_line *line, struct command_line *ret_rest)
{
    *ret_rest = *line;
    return command_parse(ret_rest, line->operands + 1);
}

static int read_mask(const struct command_line *line, const struct runtime *runtime,
                     const char *name, uint32_t *ret_mask)
{
    char state[RUNTIME_PATH_MAX];
    struct tenant tenant;
    struct err err;

    if (!command_has(line, "gpu"))
        return COMMAND_OK;
    if (runtime_path(runtime, name, "state", state, &err) < 0 ||
        tenant_load(&tenant, state, &err) < 0) {
        log_error("set: %s", err.text);
        return COMMAND_FAILED;
    }
    return limit_options_read_gpus(line, tenant.cards, tenant.gpu_count, ret_mask);
}

static int change(const struct command_line *line, const char *name)
{
    struct message_set set;
    struct runtime runtime;
    struct err err;
    int status = limit_options_read(line, &set);

    if (status)
        return status;
    if (!set.fields)
        return command_usage_error(line,
                                   "nothing to change: --memory, --compute, --weight, --priority");
    if (parse_name(name, &err) < 0)
        return command_usage_error(line, "%s", err.text);
    if (runtime_open(&runtime, &err) < 0) {
        log_error("set: %s", err.text);
        return COMMAND_FAILED;
    }
    status = read_mask(line, &runtime, name, &set.gpu_mask);
    if (status)
        return status;
    if (client_set(&runtime, name, &set, &err) < 0) {
        log_error("set: %s", err.text);
        return COMMAND_FAILED;
    }
    return COMMAND_OK;
}

int cmd_set(const struct command_line *line)
{
    struct command_line rest;

    if (line->operand_count < 1)
        return command_usage_error(line, "a tenant's name is needed");
    if (read_rest(line, &rest))
        return COMMAND_USAGE;
    if (rest.operand_count)
        return command_usage_error(line, "'%s' is one name too many", rest.operands[0]);
    return change(&rest, line->operands[0]);
}
