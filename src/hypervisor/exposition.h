#pragma once
/*
 * exposition - all metrics of macro/metrics.def as text: Prometheus' format 0.0.4, or OpenMetrics
 * 1.0.0 for a client that asks for it. Promises: the order is always the same (that of the table,
 * then of the snapshot); what is not known is absent, with its HELP and TYPE where no series of it
 * is left; any bytes in names come out as valid UTF-8, escaped.
 *
 * It reads its arguments and nothing else: any thread may call it, for as long as the caller holds
 * the snapshot.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stddef.h>

struct metrics_own;
struct snapshot;

struct exposition {
    char *text; /* NUL-terminated; the caller's: exposition_fini(), or free() */
    size_t length;
    const char *content_type; /* constant */
};

/*
 * For GET /metrics. `accept` is the value of the Accept header; NULL: none. OpenMetrics is what the
 * client gets that names it and wants it at least as much as text; a client that wants neither gets
 * text. Returns 0 or -ENOMEM.
 */
int exposition_write(const struct snapshot *snapshot, const struct metrics_own *own,
                     const char *accept, struct exposition *ret_exposition,
                     struct err *err) MUST_CHECK;

void exposition_fini(struct exposition *exposition);
