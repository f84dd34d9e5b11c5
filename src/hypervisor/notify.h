#pragma once
/*
 * notify - telling a service manager how we are, by the protocol of sd_notify(3): datagrams to the
 * socket that $NOTIFY_SOCKET names, a path or (with '@') an abstract name.
 *
 * Each returns 1 where somebody was told, 0 where there is nobody to tell, or a negative errno with
 * words; none waits.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stdint.h>

/*
 * Remembers $NOTIFY_SOCKET, $WATCHDOG_USEC and $WATCHDOG_PID and takes them out of the environment,
 * so that what we start does not speak in our name. Before there are threads; -EINVAL with words.
 */
int notify_open(struct err *err) MUST_CHECK;
void notify_close(void);

int notify_ready(const char *status, struct err *err) MUST_CHECK;
/* The configuration is being read again; notify_ready() ends it. */
int notify_reloading(uint64_t monotonic_ns, struct err *err) MUST_CHECK;
int notify_stopping(struct err *err) MUST_CHECK;
int notify_watchdog(struct err *err) MUST_CHECK;
/* One line for `systemctl status`. */
int notify_status(const char *status, struct err *err) MUST_CHECK;

/* How long the manager waits for a notify_watchdog() before it ends us; 0: it does not watch. */
uint64_t notify_watchdog_ns(void);
