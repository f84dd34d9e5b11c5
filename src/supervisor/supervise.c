#include "supervisor/supervise.h"

#include "supervisor/runtime.h"
#include "utils/file.h"
#include "utils/log.h"
#include "utils/str.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define TITLE_MAX 4096
#define ROOM_FDS  1024

/*
 * So that ps and pkill tell it from the front it was forked from: the words that were executed are
 * overwritten, as far as there is room. Nothing points into them here but `name`, which is copied.
 */
static void set_title(const char *name)
{
    char title[TITLE_MAX], *words = program_invocation_name;
    ssize_t length = file_read("/proc/self/cmdline", title, sizeof(title), NULL);

    (void)prctl(PR_SET_NAME, "vgpu-supervisor");
    if (length <= 0 || length >= TITLE_MAX - 1 || strcmp(title, words) != 0)
        return;
    (void)str_format(title, sizeof(title), "vgpu supervise %s", name); /* fits */
    memset(words, 0, (size_t)length);
    (void)str_format(words, (size_t)length, "%s", title); /* cut at worst */
}

static void open_log(const char *path, bool is_verbose)
{
    const char *level = getenv("VGPU_LOG");
    int fd;

    if (level && str_equals(level, "debug"))
        log_set_level(LOG_LEVEL_DEBUG);
    else if (level && str_equals(level, "info"))
        log_set_level(LOG_LEVEL_INFO);
    else if (!level && (path || is_verbose))
        log_set_level(LOG_LEVEL_INFO); /* who wants a log wants to read in it */
    if (!path)
        return;
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        log_warn("log file '%s' cannot be opened: %s", path, strerror(errno));
    else
        log_set_fd(fd);
}

/* A session of its own, without the terminal and its signals: those are for the command. */
static void leave_terminal(int words_fd)
{
    CLEANUP_CLOSE int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    (void)setsid();
    (void)dup2(null_fd, STDIN_FILENO);
    (void)dup2(null_fd, STDOUT_FILENO);
    if (words_fd != STDERR_FILENO) {
        (void)dup2(words_fd, STDERR_FILENO);
        (void)close(words_fd); /* standard error is it now */
    }
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN); /* the tenant decides when it ends, not a terminal */
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN);
}

/*
 * A descriptor or two for each process of the tenant: room for them while there is one thread,
 * since with several the kernel takes up to 30 ms to make it.
 */
static void make_room(void)
{
    int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, ROOM_FDS - 1);

    if (fd >= 0)
        (void)close(fd); /* the room stays */
}

int supervise(const struct supervise *supervise)
{
    struct server_config config = {
        .runtime = supervise->runtime,
        .listen_fd = supervise->listen_fd,
        .ledger_fd = supervise->ledger_fd,
        .front_fd = supervise->front_fd,
        .is_successor = supervise->is_successor,
    };
    char state[RUNTIME_PATH_MAX];
    struct err err = {0};
    int rc;

    leave_terminal(supervise->words_fd);
    file_allow_many(); /* duplicates of the driver's files, and a socket a process */
    make_room();
    open_log(supervise->log_path, supervise->is_verbose);
    rc = runtime_path(supervise->runtime, supervise->name, "state", state, &err);
    if (!rc)
        rc = tenant_load(&config.tenant, state, &err);
    if (!rc) {
        set_title(config.tenant.name);
        rc = server_run(&config, &err);
    }
    if (rc < 0 && server_tell(config.front_fd, SERVER_FAILED, err.text) < 0)
        log_error("tenant '%s': %s", config.tenant.name, err.text);
    return rc < 0 ? 1 : 0;
}
