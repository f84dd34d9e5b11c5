#include "cli/command.h"
#include "cli/commands.h"
#include "supervisor/runtime.h"
#include "supervisor/server.h"
#include "utils/log.h"
#include "utils/parse.h"
#include "utils/str.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* A descriptor that the front left open for us; -1 where it gave none. */
static int take_fd(const struct command_line *line, const char *option)
{
    const char *text = command_value(line, option);
    uint64_t fd;

    if (!text || parse_u64(&fd, text, 0, 1 << 20, NULL) < 0)
        return -1;
    return fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0 ? -1 : (int)fd;
}

/* A duplicate for each of the driver's files that the tenant has open, and a socket a process. */
static void allow_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* up to there it is always allowed */
}

static void open_log(const struct command_line *line)
{
    const char *path = command_value(line, "log"), *level = getenv("VGPU_LOG");
    int fd;

    if (level && str_equals(level, "debug"))
        log_set_level(LOG_LEVEL_DEBUG);
    else if (level && str_equals(level, "info"))
        log_set_level(LOG_LEVEL_INFO);
    if (!path)
        return;
    if (!level)
        log_set_level(LOG_LEVEL_INFO); /* who wants a log wants to read in it */
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        log_warn("log file '%s' cannot be opened: %s", path, strerror(errno));
    else
        log_set_fd(fd);
}

int cmd_supervise(const struct command_line *line)
{
    struct server_config config = {
        .listen_fd = take_fd(line, "listen-fd"),
        .ledger_fd = take_fd(line, "ledger-fd"),
        .front_fd = take_fd(line, "front-fd"),
        .is_successor = command_has(line, "successor"),
    };
    char state[RUNTIME_PATH_MAX];
    struct runtime runtime;
    struct err err = {0};
    int rc;

    if (line->operand_count != 1 || config.listen_fd < 0 || take_fd(line, "lock-fd") < 0)
        return command_usage_error(line, "this is for 'vgpu run' alone");
    open_log(line);
    allow_files();
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN); /* the tenant decides when it ends, not a terminal */
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN);
    (void)prctl(PR_SET_NAME, "vgpu-supervisor");
    rc = runtime_open(&runtime, &err);
    if (!rc)
        rc = runtime_path(&runtime, line->operands[0], "state", state, &err);
    if (!rc)
        rc = tenant_load(&config.tenant, state, &err);
    config.runtime = &runtime;
    if (!rc)
        rc = server_run(&config, &err);
    if (rc < 0 && server_tell(config.front_fd, SERVER_FAILED, err.text) < 0)
        log_error("tenant '%s': %s", line->operands[0], err.text);
    return rc < 0 ? COMMAND_FAILED : COMMAND_OK;
}
