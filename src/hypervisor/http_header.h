#pragma once
/*
 * http_header - the header of a request as it was sent, and not as the library shows it.
 *
 * libmicrohttpd 0.9 repairs silently: it ends names and values at a NUL, joins folded lines (and
 * not the way RFC 9112 says), and takes lines that end with LF alone. All of its strings lie in the
 * one buffer that the header was received into. So it can be seen whether they lie there without a
 * gap, as they do where each line is `name: value` CR LF; what does not is refused. Versions from
 * 1.0 on keep them elsewhere, have a strictness of their own for this, and are believed.
 */
#include "hypervisor/http_request.h"
#include "utils/attr.h"
#include "utils/err.h"

#include <stddef.h>

struct MHD_Connection;

/*
 * -EINVAL: it is not to be understood in one way only. `target` is where the library keeps the
 * request's target, `length` what it was long before the library cut it at the query.
 */
int http_header_check(struct MHD_Connection *library, const char *target, size_t length,
                      const struct http_request_line *line, struct err *err) MUST_CHECK;
