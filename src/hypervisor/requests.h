#pragma once
/*
 * requests - does what the views ask of the daemon's loop (request.h), and keeps those that wait
 * for room.
 */
struct keeper;
struct node;
struct request;

void requests_do(struct node *node, struct request *request);

/* Its first word came, or it ended before that: whoever asked for it is told. */
void requests_finish_creation(struct keeper *keeper, int status, const char *words);

/* Room may have come free. */
void requests_retry_waiters(struct node *node);

/* Time has passed. */
void requests_look(struct node *node);

/* Whoever asked has gone: where it waits for room, it waits no more, and is answered. */
void requests_cancel(struct node *node, const struct request *request);

/* The daemon ends: one is refused, or all that waits for room or for a supervisor's first word. */
void requests_refuse(struct request *request);
void requests_refuse_all(struct node *node);
