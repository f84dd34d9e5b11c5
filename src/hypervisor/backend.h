#pragma once
/*
 * backend - what the views (HTTP, control socket, metrics) know of the daemon: three functions, so
 * that each is tested without one. All may be called on any thread.
 */
struct event_log;
struct request;
struct snapshot;

struct backend {
    /* The newest one, held for the caller (snapshot_release()); never NULL. */
    struct snapshot *(*get_snapshot)(void *context);
    /* Takes it over until its `done`; see request.h. */
    void (*post)(void *context, struct request *request);
    struct event_log *events; /* what has happened; borrowed */
    void *context;
};
