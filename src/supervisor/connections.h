#pragma once
/*
 * connections - who is connected to a tenant's control socket, and what they ask (ipc/message.h): a
 * guest's HELLO, after which its messages go to supervisor/guests.h; a peer's, which is given the
 * control page; and what `vgpu` wants to know or to change (supervisor/clients.h). Only processes
 * of this user, of the tenant's and of root are listened to, and who sends garbage loses its own
 * connection.
 */
#include "utils/list.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct controller;
struct guests;
struct region_control;
struct tenant;

/* All of it is borrowed for as long as the loop runs. */
struct connections_config {
    uv_loop_t *loop;
    int listen_fd;          /* non-blocking */
    struct tenant *tenant;  /* a SET changes it, ... */
    const char *state_path; /* ... and is kept here */
    struct region_control *control;
    struct guests *guests; /* their ledger, where there is none yet, comes with the first guest */
    struct controller *controller;
    void (*on_departure)(void *context); /* a process of the tenant has left */
    void (*on_peer)(void *context);      /* another supervisor asked for the control page */
    /* The tenant is to end; -EBUSY where it has processes and is not forced. */
    int (*on_end)(void *context, bool is_forced);
    void *context;
};

struct connections {
    struct connections_config config;
    uv_poll_t listener;
    uv_timer_t expiry; /* runs while a guest is lost */
    uv_timer_t news;   /* runs while something is to be told to watchers */
    uv_timer_t pause;  /* runs while there is no descriptor to accept with */
    struct list head;
    uint32_t count;
};

/* Serves the socket from now on; it ends with the loop. */
void connections_start(struct connections *connections, const struct connections_config *config);

/* Something that STATUS shows has changed: those that watch are told. */
void connections_tell(struct connections *connections);
