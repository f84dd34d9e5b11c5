#include "hypervisor/http_header.h"

#include "hypervisor/http_guard.h"
#include "utils/str.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <string.h>

struct reading {
    struct http_guard_framing framing;
    const char *next; /* where the next line begins, if nothing is hidden; NULL: we do not look */
    bool is_gapless;
    int rc;
    struct err *err;
};

/* What the library put NULs over: a colon and spaces. */
static bool is_between(const char *from, const char *to)
{
    for (; from < to; from++)
        if (*from != '\0' && *from != ' ' && *from != '\t')
            return false;
    return from == to;
}

static enum MHD_Result read_field(void *context, enum MHD_ValueKind kind, const char *name,
                                  const char *value)
{
    struct reading *reading = context;

    if (!value) /* a version of the library's that does not point into its buffer */
        reading->is_gapless = false;
    if (reading->next && value) {
        reading->is_gapless =
            reading->is_gapless && name == reading->next && is_between(name + strlen(name), value);
        reading->next = value + strlen(value) + strlen("\r\n");
    }
    reading->rc = http_guard_add_field(&reading->framing, name, value ? value : "", reading->err);
    return reading->rc == 0 ? MHD_YES : MHD_NO;
}

/*
 * Behind the last field are the CR and LF of its line and of the empty one, all NUL by now, and
 * there the library has read up to: a line that begins with a NUL is an empty one for it.
 */
static bool ends_with_empty_line(struct MHD_Connection *library, const char *begin, const char *end)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(library, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);

    return memcmp(end - strlen("\r\n"), "\0\0\0\0", 4) == 0 && info &&
           info->header_size == (size_t)(end - begin) + strlen("\r\n");
}

int http_header_check(struct MHD_Connection *library, const char *target, size_t length,
                      const struct http_request_line *line, struct err *err)
{
    struct reading reading = {.is_gapless = true, .err = err};
    bool is_old = str_starts_with(MHD_get_version(), "0."); /* of what runs, not of its header */
    int count;

    reading.framing.is_http_1_0 = str_equals(line->version, "HTTP/1.0");
    if (is_old) {
        reading.is_gapless = line->version == target + length + 1;
        reading.next = line->version + strlen(line->version) + strlen("\r\n");
    }
    count = MHD_get_connection_values(library, MHD_HEADER_KIND, read_field, &reading);
    if (reading.rc < 0)
        return reading.rc;
    if (is_old && reading.is_gapless && count > 0)
        reading.is_gapless = ends_with_empty_line(library, line->method, reading.next);
    if (!reading.is_gapless)
        return err_say(err, EINVAL, "the header has a NUL, a folded line, or a line without CR LF");
    return http_guard_check_framing(&reading.framing, err);
}
