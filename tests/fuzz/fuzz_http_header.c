/*
 * The libFuzzer target of hypervisor/http_header, with the library that it mistrusts before it: any
 * bytes as what a client sends, or as the fields between a first line and an empty one, in two
 * pieces. A request that is taken was one in the bytes too, whoever reads them: no NUL, each line
 * with CR LF, none folded.
 */
#include "hypervisor/http_header.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TURNS            4
#define CONNECTION_BYTES ((size_t)32 * 1024) /* as http_listener.c has it */
#define FIRST            "GET / HTTP/1.1\r\nHost: a\r\n"
#define LAST             "\r\n\r\n"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct MHD_Daemon *library;
static const char *sent;
static size_t sent_size, target_length;
static const char *target_begin;
static unsigned int request_count;

static bool is_end_byte(char byte)
{
    return byte == '\r' || byte == '\n' || byte == '\0';
}

/*
 * CR LF, or what looks like it in the library's buffer, as it puts NULs over both: known not to be
 * seen, and harmless (docs/design/http.md).
 */
static bool is_line_end(const char *bytes, const char *end)
{
    return end - bytes >= 2 && is_end_byte(bytes[0]) && is_end_byte(bytes[1]) &&
           (bytes[0] || bytes[1]);
}

/*
 * The last field's CR LF and the empty line's, or what looks like them: a field of a colon alone is
 * an empty line for the library.
 */
static bool is_header_end(const char *bytes, const char *end)
{
    for (size_t i = 0; i < 4; i++)
        if (end - bytes < 4 || !(is_end_byte(bytes[i]) || bytes[i] == ':'))
            return false;
    return is_end_byte(bytes[0]);
}

/* The header up to its empty line, as RFC 9112 has it. */
static bool is_plain(const char *bytes, const char *end)
{
    while (is_line_end(bytes, end)) /* servers ignore these before it */
        bytes += 2;
    for (; bytes < end; bytes++) {
        if (is_header_end(bytes, end))
            return true;
        if (is_line_end(bytes, end)) {
            bytes += 2;
            if (bytes < end && (*bytes == ' ' || *bytes == '\t'))
                return false;
        }
        if (bytes < end && is_end_byte(*bytes))
            return false;
    }
    return false;
}

static void *on_target(void *context, const char *target, struct MHD_Connection *connection)
{
    target_begin = target;
    target_length = strlen(target);
    request_count++;
    return NULL;
}

static size_t leave_escaped(void *context, struct MHD_Connection *connection, char *text)
{
    return strlen(text);
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *bytes,
                                  size_t *size, void **request)
{
    const struct http_request_line line = {.method = method, .version = version};

    /* Where a second one begins in the bytes the library alone knows. */
    if (http_header_check(connection, target_begin, target_length, &line, NULL) == 0 &&
        request_count == 1 && !is_plain(sent, sent + sent_size))
        abort();
    return MHD_NO;
}

static void on_log(void *context, const char *format, va_list args)
{
}

static void start(void)
{
    bool is_old = strncmp(MHD_get_version(), "0.", 2) == 0;

    library = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ERROR_LOG, 0,
                               NULL, NULL, on_request, NULL, MHD_OPTION_EXTERNAL_LOGGER, on_log,
                               NULL, MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES,
                               MHD_OPTION_STRICT_FOR_CLIENT, is_old ? -1 : 1,
                               MHD_OPTION_URI_LOG_CALLBACK, on_target, NULL,
                               MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL, MHD_OPTION_END);
    if (!library)
        abort();
}

static void send_piece(int fd, const void *bytes, size_t size)
{
    (void)!send(fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    for (int i = 0; i < TURNS; i++)
        (void)MHD_run(library);
}

/* The first byte says where it is cut, and whether the rest is all or the fields alone. */
static void make_request(const uint8_t *data, size_t size)
{
    static char bytes[CONNECTION_BYTES + sizeof(FIRST LAST)];
    bool is_whole = data[0] & 1;
    size_t begin = is_whole ? 0 : strlen(FIRST), end = is_whole ? 0 : strlen(LAST);

    memcpy(bytes, FIRST, begin);
    memcpy(bytes + begin, data + 1, size - 1);
    memcpy(bytes + begin + size - 1, LAST, end);
    sent = bytes;
    sent_size = begin + size - 1 + end;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct sockaddr address = {.sa_family = AF_UNIX};
    size_t first;
    int fds[2];

    if (!library)
        start();
    if (!size || size > CONNECTION_BYTES)
        return 0;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0 ||
        MHD_add_connection(library, fds[1], &address, sizeof(address)) != MHD_YES)
        abort();
    make_request(data, size);
    request_count = 0;
    first = data[0] < sent_size ? data[0] : sent_size;
    send_piece(fds[0], sent, first);
    send_piece(fds[0], sent + first, sent_size - first);
    (void)close(fds[0]);
    for (int i = 0; i < TURNS; i++)
        (void)MHD_run(library);
    return 0;
}
