#pragma once
/*
 * daemon - the frame around the daemon's loop: its command line and configuration, its log, its
 * signals, and reading all of that again.
 *
 * In this order: flags, configuration, log, environment, service manager, signals, then `run`. What
 * fails before is said and ends the program with status 2 (asked wrongly) or 1.
 *
 * SIGHUP, SIGTERM and SIGINT are blocked before there is any thread and come as a readable
 * descriptor. Whoever starts a program without uv_spawn() unblocks them in the child.
 */
#include "hypervisor/config.h"

struct daemon;

struct daemon_handlers {
    /* `newer` is in force until the next call; `older` was until now, and goes afterwards. */
    void (*reload)(void *context, const struct config *newer, const struct config *older);
    void (*stop)(void *context); /* once for each SIGTERM or SIGINT */
    void *context;
};

/* Works until it is stopped; 0, or a negative errno with words. */
typedef int daemon_run(struct daemon *daemon, struct err *err);

/* `words` are those behind the program's name and its subcommand. Returns the exit status. */
int daemon_main(char *const *words, daemon_run *run);

/* --- for `run`, on its own thread --- */

/* In force until the next reload; what another thread is to know is copied for it. */
const struct config *daemon_config(const struct daemon *daemon);

void daemon_set_handlers(struct daemon *daemon, const struct daemon_handlers *handlers);

/* Readable (poll it) when daemon_handle_signals() has something to do; borrowed. */
int daemon_signal_fd(const struct daemon *daemon);
void daemon_handle_signals(struct daemon *daemon);

/*
 * Reads the configuration again and calls the handler, as SIGHUP does. Where it is not good, or its
 * log cannot be opened, the old one stays: negative errno with words, which are logged too.
 */
int daemon_reload(struct daemon *daemon, struct err *err) MUST_CHECK;
