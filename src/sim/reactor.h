#pragma once
/*
 * reactor - the simulated machine as a process: one loop that reads what programs send
 * (sim/wire.h), asks the machine, and answers when the hardware would have. It never blocks and
 * never trusts.
 */
#include "sim/machine.h"
#include "utils/attr.h"
#include "utils/err.h"

#include <sys/types.h>

struct reactor;

/* Listens at `path`. Machine and path are borrowed until reactor_free(). */
int reactor_new(struct reactor **ret_reactor, struct machine *machine, const char *path,
                struct err *err) MUST_CHECK;
void reactor_free(struct reactor *reactor);

/*
 * Serves until the command and every process that is connected or holds a device's file have ended,
 * or until a signal asks for the end once the command has ended. Signals that a process sends us
 * are passed on to the command; SIGCHLD and those are blocked by the caller
 * (reactor_block_signals). Returns the command's wait status.
 */
int reactor_run(struct reactor *reactor, pid_t command);

/* Blocks them, and says what was blocked before, for the command. */
void reactor_block_signals(sigset_t *ret_before);
