/*
 * The libFuzzer target of hypervisor/accept_header: any bytes as the value of an Accept header, for
 * a medium with a version and one without.
 */
#include "hypervisor/accept_header.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void match(const char *header, const struct accept_header_media *media)
{
    struct accept_header_match match = accept_header_match(header, media);

    if (match.quality_milli > 1000 || match.closeness > ACCEPT_HEADER_VERSION)
        abort();
    if (match.closeness == ACCEPT_HEADER_NOTHING && match.quality_milli)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* On the heap and of its size, so that a look beyond its end is seen. */
    char *header = malloc(size + 1);

    if (!header)
        abort();
    memcpy(header, data, size);
    header[size] = '\0';
    match(header, &(struct accept_header_media){"text", "plain", "0.0.4"});
    match(header, &(struct accept_header_media){"application", "json", NULL});
    free(header);
    return 0;
}
