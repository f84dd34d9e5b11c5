#pragma once
/*
 * http_guard - what is looked at before a request is believed: whom it was meant for, which page
 * sent it, and the fields by which its end is found. Pure functions of text.
 *
 * A page of any site may have a browser send requests to a server on its own machine. By a name
 * that is bound anew to 127.0.0.1 (DNS rebinding) it could even read the answers: therefore a
 * request has to name the server by an address or a name that nobody else can own. And a request
 * that changes something has to come from our own page or from no page at all.
 */
#include "utils/attr.h"
#include "utils/err.h"

#include <stdbool.h>
#include <stddef.h>

/* How a listener may be called. */
struct http_guard_names {
    bool is_any;         /* a unix socket: no browser gets there */
    const char *address; /* what was listened on, without port and brackets; wildcards allowed */
    const char *others;  /* further names, separated by spaces; NULL: none */
};

/* A Host field: `name`, `name:port`, `[address]:port`. */
bool http_guard_host_is_ours(const char *host, const struct http_guard_names *names);

/*
 * Whether a change may be asked for by a page of this Origin and Sec-Fetch-Site (NULL: not sent),
 * where the request's Host is `host` (NULL: it has none). An origin of https is one whose TLS ends
 * in front of us.
 */
bool http_guard_origin_is_ours(const char *origin, const char *fetch_site, const char *host);

/* Whether the address, as inet_ntop() writes it, is of this machine alone. */
bool http_guard_is_loopback(const char *address);

/* `application/json`, with or without `; charset=utf-8`. */
bool http_guard_is_json(const char *content_type);

/* What of the header decides where a request ends, and so what the next one is. */
struct http_guard_framing {
    bool is_http_1_0;
    size_t host_count, length_count, encoding_count;
    const char *encoding; /* the last Transfer-Encoding; NULL: none */
};

/* Takes a field's part in the framing; -EINVAL: no field of RFC 9110. */
int http_guard_add_field(struct http_guard_framing *framing, const char *name, const char *value,
                         struct err *err) MUST_CHECK;

/* -EINVAL: two readers of this header could find different ends. */
int http_guard_check_framing(const struct http_guard_framing *framing, struct err *err) MUST_CHECK;
