#pragma once
/*
 * connection - the processes connected to the simulator and the open files they hold, their
 * requests and the answers that are not due yet.
 *
 * A round of the loop: connections_ready() for everything that epoll names, which only reads; then
 * connections_serve(), which takes the requests in the order in which they were sent, so that what
 * two processes do at nearly the same time does not depend on whose socket was looked at first.
 */
#include "sim/machine.h"
#include "utils/attr.h"
#include "utils/list.h"

#include <stdbool.h>
#include <stdint.h>

enum connection_kind {
    CONNECTION_LISTENER,
    CONNECTION_TIMER,
    CONNECTION_SIGNALS,
    CONNECTION_PROCESS,
    CONNECTION_FILE,
};

/* What epoll gives back; the first member of whatever it is. */
struct connection_source {
    enum connection_kind kind;
};

struct connections {
    struct machine *machine;
    int epoll_fd;
    struct list processes, files;
    bool is_look_wanted; /* the model is to be brought up to now in this round */
};

void connections_init(struct connections *connections, struct machine *machine, int epoll_fd);
void connections_fini(struct connections *connections);

/* Takes the descriptor over. */
void connections_add(struct connections *connections, int fd);
void connections_ready(struct connections *connections, struct connection_source *source,
                       uint32_t events);
void connections_want_look(struct connections *connections);
void connections_serve(struct connections *connections, uint64_t now_ns);

/* When the next answer is due; UINT64_MAX if none waits. */
uint64_t connections_due_ns(const struct connections *connections);
bool connections_is_empty(const struct connections *connections);
