#include "cli/client.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/launch.h"
#include "supervisor/runtime.h"
#include "utils/log.h"
#include "utils/parse.h"
#include "utils/str.h"

#include <errno.h>
#include <unistd.h>

/* The same GPUs as the tenant's command sees, where not all of them are allowed. */
static const char *list_visible(const struct client_tenant *tenant, char *text, size_t size)
{
    struct str str;

    str_init(&str, text, size);
    for (size_t i = 0; i < tenant->gpu_count; i++)
        str_add(&str, "%s%s", i ? "," : "", tenant->gpus[i].uuid);
    return tenant->gpu_count == tenant->tenant.gpu_count ? NULL : text;
}

static int prepare(const char *name, struct err *err)
{
    char control[RUNTIME_PATH_MAX], visible[1024];
    struct client_tenant status;
    struct runtime runtime;
    int rc = parse_name(name, err);

    if (!rc)
        rc = client_open_runtime(&runtime, err);
    if (!rc)
        rc = client_status(&runtime, name, &status, err);
    if (rc < 0)
        return rc;
    /* Its supervisor would not have us, and we would run without any limit. */
    if (geteuid() != 0 && geteuid() != status.tenant.uid)
        rc = err_say(err, EPERM, "tenant '%s' belongs to somebody else", name);
    if (!rc)
        rc = client_find_runtime(&runtime, name, err);
    if (!rc)
        rc = runtime_path(&runtime, name, "control", control, err);
    if (!rc)
        rc = launch_set_environment(control, status.tenant.on_loss == REGION_CLOSED,
                                    list_visible(&status, visible, sizeof(visible)), err);
    client_tenant_fini(&status);
    return rc;
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
