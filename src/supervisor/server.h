#pragma once
/*
 * server - a tenant's supervisor: one libuv loop around the control socket, its guests, its peers
 * and the controller. It ends when the tenant has no process left, and removes the tenant's
 * directory then.
 */
#include "supervisor/tenant.h"
#include "utils/attr.h"
#include "utils/err.h"

struct runtime;

/* What a front hands to its supervisor; all descriptors become the server's. */
struct server_config {
    const struct runtime *runtime;
    struct tenant tenant;
    int listen_fd;     /* bound to `control` already */
    int ledger_fd;     /* the tenant's ledger; -1: an adopter waits for a guest to bring it */
    int front_fd;      /* a socket to the front; -1: there is none */
    bool is_successor; /* rows and processes may be there already */
};

/* What travels on front_fd, either way. */
enum server_word {
    SERVER_READY = 1, /* to the front: guests are served from now on */
    SERVER_FAILED,    /* to the front: `text` says why */
    SERVER_WARNING,   /* to the front: `text` is for the person */
    SERVER_COMMAND,   /* to the supervisor: `pid` is the command */
};

struct server_message {
    int32_t word; /* enum server_word */
    int32_t pid;
    char text[240];
};

/* One word to the front; a negative errno where it is not there any more. */
int server_tell(int front_fd, enum server_word word, const char *text) MUST_CHECK;

/* Serves until the tenant is gone. Returns 0, or a negative errno with words: it did not begin. */
int server_run(const struct server_config *config, struct err *err) MUST_CHECK;
