#include "hypervisor/daemon.h"

#include "hypervisor/config_load.h"
#include "hypervisor/config_print.h"
#include "hypervisor/journal.h"
#include "hypervisor/notify.h"
#include "utils/clock.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define STATUS_FAILED 1
#define STATUS_USAGE  2

struct daemon {
    struct config_flags flags;
    struct config *config; /* ours; never NULL once it runs */
    struct daemon_handlers handlers;
    uint64_t warned; /* options without effect that were told of, a bit each */
    int signal_fd;
};

const struct config *daemon_config(const struct daemon *daemon)
{
    return daemon->config;
}

void daemon_set_handlers(struct daemon *daemon, const struct daemon_handlers *handlers)
{
    daemon->handlers = *handlers;
}

int daemon_signal_fd(const struct daemon *daemon)
{
    return daemon->signal_fd;
}

/* --- what a configuration changes in the frame --- */

static int open_journal(const struct config *config, bool is_patient, struct err *err)
{
    struct journal_options options = {
        .format = (enum log_line_format)config->log_format,
        .path = config->log_file,
        .limits = {.size_bytes = config->log_file_size,
                   .age_ms = config->log_file_age / NS_PER_MS,
                   .kept = config->log_files_kept},
        .is_patient = is_patient,
    };
    int rc = log_levels_parse(&options.levels, config->enable_log ? config->log_level : "off", err);

    return rc < 0 ? rc : journal_open(&options, err);
}

static void warn_without_effect(struct daemon *daemon)
{
    uint64_t options = config_without_effect(daemon->config) & ~daemon->warned;

    for (unsigned int option = 0; option < CONFIG_OPTION_COUNT; option++)
        if (options & UINT64_C(1) << option)
            log_warn("option '%s' has no effect: %s", config_rows[option].name,
                     config_rows[option].notice);
    daemon->warned |= options;
}

static void warn_kept(uint64_t options)
{
    for (unsigned int option = 0; option < CONFIG_OPTION_COUNT; option++)
        if (options & UINT64_C(1) << option)
            log_warn("option '%s' was changed, which takes effect when the daemon is started anew",
                     config_rows[option].name);
}

/* --- reading it again --- */

static int replace_config(struct daemon *daemon, struct err *err)
{
    CLEANUP_FREE struct config *newer = malloc(sizeof(*newer));
    struct config *older = daemon->config;
    uint64_t kept;
    int rc;

    if (!newer)
        return err_set(err, ENOMEM, "read the configuration");
    rc = config_load(newer, &daemon->flags, err);
    if (rc < 0)
        return rc;
    kept = config_keep_started(newer, older);
    rc = open_journal(newer, false, err);
    if (rc < 0)
        return rc;
    daemon->config = TAKE_POINTER(newer);
    warn_kept(kept);
    warn_without_effect(daemon);
    if (daemon->handlers.reload)
        daemon->handlers.reload(daemon->handlers.context, daemon->config, older);
    free(older);
    return 0;
}

/* The service manager not hearing us is no reason to stop. */
static void say_unheard(int rc, const struct err *err)
{
    if (rc < 0)
        log_warn("%s, going on", err->text);
}

int daemon_reload(struct daemon *daemon, struct err *err)
{
    struct err reason, unheard;
    int rc;

    say_unheard(notify_reloading(clock_now_ns(), &unheard), &unheard);
    rc = replace_config(daemon, &reason);
    if (rc < 0) {
        log_error("the configuration stays as it was: %s", reason.text);
        rc = err_say(err, reason.code, "%s", reason.text);
    } else {
        log_info("the configuration was read again%s%s", daemon->config->file[0] ? " from " : "",
                 daemon->config->file);
    }
    say_unheard(notify_ready(NULL, &unheard), &unheard);
    return rc;
}

/* --- signals --- */

static int take_signals(struct daemon *daemon, struct err *err)
{
    sigset_t signals;

    (void)sigemptyset(&signals); /* none of these can fail for signals that there are */
    (void)sigaddset(&signals, SIGHUP);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
        return err_set(err, errno, "block signals");
    /* A reader that went away and a file that is too large are errors of the call, not our end. */
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || signal(SIGXFSZ, SIG_IGN) == SIG_ERR)
        return err_set(err, errno, "ignore signals");
    daemon->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    return daemon->signal_fd < 0 ? err_set(err, errno, "wait for signals") : 0;
}

void daemon_handle_signals(struct daemon *daemon)
{
    struct signalfd_siginfo signal;

    while (read(daemon->signal_fd, &signal, sizeof(signal)) == (ssize_t)sizeof(signal)) {
        if (signal.ssi_signo == SIGHUP && daemon_reload(daemon, NULL) < 0)
            continue; /* it has said what is wrong, and nothing is changed */
        if (signal.ssi_signo != SIGHUP && daemon->handlers.stop)
            daemon->handlers.stop(daemon->handlers.context);
    }
}

/* --- start and end --- */

static int prepare(struct daemon *daemon, struct err *err)
{
    int rc = open_journal(daemon->config, true, err);

    if (rc < 0)
        return rc;
    warn_without_effect(daemon);
    /* What the supervisor library and all that we start go by. */
    if (setenv("VGPU_RUNTIME_DIR", daemon->config->runtime_dir, 1) < 0)
        return err_set(err, errno, "set VGPU_RUNTIME_DIR");
    rc = notify_open(err);
    return rc < 0 ? rc : take_signals(daemon, err);
}

static int work(struct daemon *daemon, daemon_run *run)
{
    struct err err = {0}, unheard;
    int rc = prepare(daemon, &err);

    if (!rc) {
        log_info("vgpu-hypervisor %s begins", VGPU_VERSION);
        rc = run(daemon, &err);
        say_unheard(notify_stopping(&unheard), &unheard);
    }
    if (rc < 0)
        log_error("%s", err.text);
    attr_close(&daemon->signal_fd);
    notify_close();
    journal_close();
    return rc < 0 ? STATUS_FAILED : 0;
}

static int answer(const struct daemon *daemon)
{
    struct err err;

    if (daemon->flags.wants_check) {
        uint64_t options = config_without_effect(daemon->config);

        for (unsigned int option = 0; option < CONFIG_OPTION_COUNT; option++)
            if (options & UINT64_C(1) << option)
                printf("option '%s' has no effect: %s\n", config_rows[option].name,
                       config_rows[option].notice);
        printf("the configuration is good\n");
        return 0;
    }
    if (config_print(daemon->config, stdout, &err) == 0)
        return 0;
    log_error("%s", err.text);
    return STATUS_FAILED;
}

static void print_help(void)
{
    printf(
        "usage: vgpu-hypervisor [daemon] [OPTION...]\n"
        "       vgpu-hypervisor tui [--refresh-interval SECONDS]\n"
        "       vgpu-hypervisor mount-shm [--mount-point DIR] [--size-mb N]\n"
        "       vgpu-hypervisor show-shm --namespace NAME --pod-name NAME [--shm-base-path DIR]\n"
        "\nKeeps the tenants of a machine's GPUs. What can be given here can be written in a file\n"
        "too, with '_' for '-': see vgpu-hypervisor.yaml(5).\n\n");
    config_flags_print_help();
}

int daemon_main(char *const *words, daemon_run *run)
{
    struct daemon daemon = {.signal_fd = -1};
    struct err err;
    int status, rc;

    if (config_flags_read(&daemon.flags, words, &err) < 0) {
        log_error("%s", err.text);
        return STATUS_USAGE;
    }
    if (daemon.flags.wants_help || daemon.flags.wants_version) {
        if (daemon.flags.wants_help)
            print_help();
        else
            printf("vgpu-hypervisor %s\n", VGPU_VERSION);
        return 0;
    }
    daemon.config = malloc(sizeof(*daemon.config));
    rc = daemon.config ? config_load(daemon.config, &daemon.flags, &err)
                       : err_set(&err, ENOMEM, "read the configuration");
    if (rc < 0) {
        log_error("%s", err.text);
        free(daemon.config);
        /* What may be better in a second is tried again by the service manager. */
        return rc == -EAGAIN || rc == -ENOMEM ? STATUS_FAILED : STATUS_USAGE;
    }
    status =
        daemon.flags.wants_check || daemon.flags.wants_print ? answer(&daemon) : work(&daemon, run);
    free(daemon.config);
    return status;
}
