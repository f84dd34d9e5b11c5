#pragma once
/*
 * accept_header - what a client of HTTP would rather have: the Accept header of RFC 9110, section
 * 12.5.1, with its q-values. The range that names a medium most closely decides, also where another
 * one has a higher q-value. A part of the header that is not well formed is passed over, the rest
 * counts.
 */
#include <stdint.h>

/* In lower case; all borrowed. */
struct accept_header_media {
    const char *type, *subtype;
    const char *version; /* of the parameter `version`; NULL: it has none */
};

enum accept_header_closeness {
    ACCEPT_HEADER_NOTHING,  /* no range fits, or there is no header */
    ACCEPT_HEADER_ANYTHING, /* a range of all types */
    ACCEPT_HEADER_TYPE,     /* type and any subtype */
    ACCEPT_HEADER_SUBTYPE,  /* type and subtype */
    ACCEPT_HEADER_VERSION,  /* and a version, the same */
};

struct accept_header_match {
    enum accept_header_closeness closeness;
    uint32_t quality_milli; /* 0: not wanted .. 1000: the q-value; 0 with ACCEPT_HEADER_NOTHING */
};

/*
 * How much `media` is wanted. `header` may be NULL. A range with another version does not fit; its
 * other parameters (charset, escaping) are not looked at.
 */
struct accept_header_match accept_header_match(const char *header,
                                               const struct accept_header_media *media);
