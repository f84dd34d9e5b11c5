#include "cli/client.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/launch.h"
#include "supervisor/runtime.h"
#include "supervisor/tenant.h"
#include "utils/log.h"
#include "utils/parse.h"
#include "utils/str.h"

/* The same GPUs as the tenant's command sees, where not all of them are allowed. */
static const char *list_visible(const struct tenant *tenant, char *text, size_t size)
{
    struct str str;
    uint32_t allowed = 0;

    str_init(&str, text, size);
    for (uint32_t i = 0; i < tenant->gpu_count; i++) {
        if (!tenant->quotas[i].is_allowed)
            continue;
        str_add(&str, "%s%s", allowed ? "," : "", tenant->cards[i].uuid);
        allowed++;
    }
    return allowed == tenant->gpu_count ? NULL : text;
}

static int prepare(const char *name, struct err *err)
{
    char control[RUNTIME_PATH_MAX], state[RUNTIME_PATH_MAX], visible[1024];
    struct client_tenant status;
    struct runtime runtime;
    struct tenant tenant;
    int rc = parse_name(name, err);

    if (!rc)
        rc = runtime_open(&runtime, err);
    if (!rc)
        rc = client_status(&runtime, name, &status, err);
    if (rc < 0)
        return rc;
    client_tenant_fini(&status);
    rc = runtime_path(&runtime, name, "control", control, err);
    if (!rc)
        rc = runtime_path(&runtime, name, "state", state, err);
    if (!rc)
        rc = tenant_load(&tenant, state, err);
    if (rc < 0)
        return rc;
    return launch_set_environment(control, tenant.on_loss == REGION_CLOSED,
                                  list_visible(&tenant, visible, sizeof(visible)), err);
}

int cmd_exec(const struct command_line *line)
{
    struct err err = {0};
    char **command;
    int status;

    if (line->operand_count < 2)
        return command_usage_error(line, "a tenant's name and a command are needed");
    /* The parser stopped at the name. */
    command = line->operands + (str_equals(line->operands[1], "--") ? 2 : 1);
    if (!command[0])
        return command_usage_error(line, "a command is needed");
    if (prepare(line->operands[0], &err) < 0) {
        log_error("exec: %s", err.text);
        return COMMAND_FAILED;
    }
    status = launch_execute(command, &err);
    log_error("exec: %s", err.text);
    return status;
}
