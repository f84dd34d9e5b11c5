#pragma once
/*
 * legacy_stream - /api/v1/limiter/events/{client_id}: the tasks of a client as server-sent events
 * without a name, `data: ` and legacy_tasks_json(). It begins with a comment, so that the client
 * knows that it is heard, has another one where there is nothing else for a while, and ends with
 * the process, or when the process opens another stream.
 */
#include "hypervisor/http_request.h"
#include "hypervisor/legacy_tasks.h"
#include "utils/attr.h"
#include "utils/err.h"

#include <stdint.h>

#define LEGACY_STREAM_KEEP_ALIVE_NS (15 * UINT64_C(1000000000))

/* The tasks stay the caller's, and outlive the stream. */
int legacy_stream_new(struct http_stream **ret_stream, struct legacy_tasks *tasks,
                      const struct legacy_stream_key *key, struct err *err) MUST_CHECK;

/* As http_stream.read, at an instant. */
ssize_t legacy_stream_read(struct http_stream *stream, char *buffer, size_t size, uint64_t now_ns,
                           uint64_t *ret_wake_ns);
