#pragma once
/*
 * views - all that shows the node to others, as the configuration has it: the HTTP API with metrics
 * and the page, the file of usage lines, the shared files for foreign readers. What cannot be had
 * (an address in use, a directory that is read-only) is a fault of /healthz and is tried again;
 * tenants are kept all the same.
 */
#include "utils/attr.h"
#include "utils/err.h"

struct config;
struct node;
struct snapshot;
struct views;

/* On the loop's thread, as all of it; the configuration is read during the call alone. */
int views_new(struct views **ret_views, struct node *node, const struct config *config,
              struct err *err) MUST_CHECK;

/* Once after each look of the node's. */
void views_look(struct views *views, struct snapshot *snapshot);

void views_reload(struct views *views, const struct config *config);

/* After the loop has ended, before the node is freed. NULL is fine. */
void views_free(struct views *views);
