#include "cli/client.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/limit_options.h"
#include "supervisor/runtime.h"
#include "supervisor/tenant.h"
#include "utils/log.h"
#include "utils/parse.h"

#include <errno.h>

/* `set NAME --compute 60%`: the options stand behind the name. */
static int read_rest(const struct command_line *line, struct command_line *ret_rest)
{
    *ret_rest = *line;
    return command_parse(ret_rest, line->operands + 1);
}

/* The GPUs meant, and whether what is asked for can be had there. */
static int check_gpus(const struct command_line *line, const struct tenant *tenant,
                      struct message_set *set)
{
    int status = limit_options_read_gpus(line, tenant->cards, tenant->gpu_count, &set->gpu_mask);

    for (uint32_t i = 0; !status && i < tenant->gpu_count; i++) {
        if (!(set->gpu_mask & (1u << i)))
            continue;
        if (!tenant->quotas[i].is_allowed && command_has(line, "gpu"))
            return command_usage_error(line, "--gpu: tenant '%s' does not have GPU %u",
                                       tenant->name, tenant->cards[i].nvml_index);
        if (tenant->quotas[i].is_allowed)
            status = limit_options_check_memory(line, set, &tenant->cards[i]);
    }
    return status;
}

static int check(const struct command_line *line, const struct runtime *runtime, const char *name,
                 struct message_set *set)
{
    char state[RUNTIME_PATH_MAX];
    struct tenant tenant;
    struct err err;
    int rc = runtime_path(runtime, name, "state", state, &err);

    if (!rc)
        rc = tenant_load(&tenant, state, &err);
    if (rc == -ENOENT)
        return COMMAND_OK; /* no such tenant: the request says so */
    if (rc < 0) {
        log_error("set: %s", err.text);
        return COMMAND_FAILED;
    }
    return check_gpus(line, &tenant, set);
}

static int read_suspended(const struct command_line *line, struct message_set *set)
{
    bool is_suspend = command_has(line, "suspend"), is_resume = command_has(line, "resume");

    if (is_suspend && is_resume)
        return command_usage_error(line, "--suspend and --resume exclude each other");
    if (is_suspend || is_resume)
        set->fields |= MESSAGE_SET_SUSPENDED;
    set->is_suspended = is_suspend;
    return COMMAND_OK;
}

static int change(const struct command_line *line, const char *name)
{
    struct message_set set;
    struct runtime runtime;
    struct err err;
    int status = limit_options_read(line, &set);

    if (!status)
        status = read_suspended(line, &set);
    if (status)
        return status;
    if (!set.fields)
        return command_usage_error(line, "nothing to change: --memory, --compute, --weight, "
                                         "--priority, --suspend, --resume");
    if (parse_name(name, &err) < 0)
        return command_usage_error(line, "%s", err.text);
    if (runtime_open(&runtime, &err) < 0) {
        log_error("set: %s", err.text);
        return COMMAND_FAILED;
    }
    status = check(line, &runtime, name, &set);
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
