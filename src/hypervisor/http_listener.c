#include "hypervisor/http_listener.h"

#include "hypervisor/http_clock.h"
#include "hypervisor/http_request.h"
#include "hypervisor/http_server.h"
#include "hypervisor/listen_address.h"
#include "utils/log.h"
#include "utils/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 256
/* Of the library, for one connection: a request's header has to fit, or is refused with 431. */
#define CONNECTION_BYTES (size_t)(32 * 1024)
/* Of one user at a unix socket, so that no user keeps the others out. */
#define USER_CONNECTIONS_MAX 128
/* Places at a unix socket kept for operators, whom some users together keep out neither. */
#define OPERATOR_CONNECTIONS 64

struct http_listener {
    struct http_server *server;
    struct MHD_Daemon *library;
    struct http_listener_address address;
    uint16_t port; /* the real one; 0: a unix socket */
};

union socket_address {
    struct sockaddr any;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
    struct sockaddr_un local;
};

static uint16_t port_of(const union socket_address *socket)
{
    return ntohs(socket->any.sa_family == AF_INET6 ? socket->six.sin6_port : socket->four.sin_port);
}

int http_listener_parse(struct http_listener_address *ret_address, const char *text,
                        struct err *err)
{
    struct http_listener_address address = {.is_unix = *text == '/'};
    struct listen_address parsed;
    union socket_address socket;
    int rc;

    if (address.is_unix) {
        if (!str_format(address.text, sizeof(address.text), "%s", text))
            return err_say(err, EINVAL, "the path '%s' is too long for a socket", text);
        *ret_address = address;
        return 0;
    }
    rc = listen_address_parse(&parsed, text, err);
    if (rc < 0)
        return rc;
    memcpy(&socket, &parsed.address, parsed.length);
    if (socket.any.sa_family == AF_INET6) /* neither can fail: they fit */
        (void)inet_ntop(AF_INET6, &socket.six.sin6_addr, address.text, sizeof(address.text));
    else
        (void)inet_ntop(AF_INET, &socket.four.sin_addr, address.text, sizeof(address.text));
    address.port = port_of(&socket);
    *ret_address = address;
    return 0;
}

static socklen_t fill(union socket_address *filled, const struct http_listener_address *address)
{
    memset(filled, 0, sizeof(*filled));
    if (address->is_unix) {
        filled->local.sun_family = AF_UNIX;
        memcpy(filled->local.sun_path, address->text, strlen(address->text));
        return sizeof(filled->local);
    }
    if (inet_pton(AF_INET, address->text, &filled->four.sin_addr) == 1) {
        filled->four.sin_family = AF_INET;
        filled->four.sin_port = htons(address->port);
        return sizeof(filled->four);
    }
    (void)inet_pton(AF_INET6, address->text, &filled->six.sin6_addr); /* it was parsed so */
    filled->six.sin6_family = AF_INET6;
    filled->six.sin6_port = htons(address->port);
    return sizeof(filled->six);
}

/* Removes a socket at the path that nobody listens on. */
static int clear_path(const union socket_address *filled, struct err *err)
{
    const char *path = filled->local.sun_path;
    CLEANUP_CLOSE int fd = -1;
    struct stat st;

    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : err_set(err, errno, "stat '%s'", path);
    if (!S_ISSOCK(st.st_mode))
        return err_say(err, EEXIST, "'%s' is there and no socket", path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set(err, errno, "make a socket");
    if (connect(fd, &filled->any, sizeof(filled->local)) == 0 || errno == EAGAIN)
        return err_say(err, EADDRINUSE, "somebody listens on '%s'", path);
    if (unlink(path) < 0 && errno != ENOENT)
        return err_set(err, errno, "replace socket '%s'", path);
    return 0;
}

static int set_options(int fd, const union socket_address *filled)
{
    int on = 1;

    if (filled->any.sa_family == AF_UNIX)
        return 0;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
        return -1;
    return filled->any.sa_family == AF_INET6
               ? setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on))
               : 0;
}

static int open_socket(int *ret_fd, const struct http_listener_address *address, struct err *err)
{
    union socket_address filled;
    socklen_t length = fill(&filled, address);
    CLEANUP_CLOSE int fd =
        socket(filled.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int rc;

    if (fd < 0 || set_options(fd, &filled) < 0)
        return err_set(err, errno, "make a socket");
    rc = address->is_unix ? clear_path(&filled, err) : 0;
    if (rc < 0)
        return rc;
    if (bind(fd, &filled.any, length) < 0)
        return err_set(err, errno, "bind '%s', port %u", address->text, address->port);
    /* After bind(), as umask took from the mode; before listen(), when nobody gets in yet. */
    if (address->is_unix && chmod(address->text, 0666) < 0)
        return err_set(err, errno, "open '%s' to all", address->text);
    if (listen(fd, BACKLOG) < 0)
        return err_set(err, errno, "listen on '%s', port %u", address->text, address->port);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static uint16_t real_port(int fd)
{
    union socket_address filled = {0};
    socklen_t length = sizeof(filled);

    if (getsockname(fd, &filled.any, &length) < 0 || filled.any.sa_family == AF_UNIX)
        return 0;
    return port_of(&filled);
}

static struct http_connection *connection_of(struct MHD_Connection *library)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(library, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info ? info->socket_context : NULL;
}

static struct http_connection *new_connection(struct http_listener *listener,
                                              struct MHD_Connection *library)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(library, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct http_connection *connection = info ? calloc(1, sizeof(*connection)) : NULL;
    struct ucred peer = {.uid = (uid_t)-1, .gid = (gid_t)-1};
    socklen_t length = sizeof(peer);

    if (!connection)
        return NULL;
    connection->library = library;
    connection->fd = info->connect_fd;
    connection->listened = &listener->address;
    if (listener->address.is_unix)
        /* Where it fails, the peer stays unknown. */
        (void)getsockopt(connection->fd, SOL_SOCKET, SO_PEERCRED, &peer, &length);
    connection->uid = peer.uid;
    connection->gid = peer.gid;
    connection->pid = peer.pid;
    return connection;
}

/* Whether there is a place for it. */
static bool is_welcome(const struct http_listener *listener,
                       const struct http_connection *connection, struct http_clock_load load)
{
    uint32_t places = http_server_limits(listener->server)->connections_max;

    if (!listener->address.is_unix || connection->uid == 0 || connection->uid == geteuid())
        return true;
    return load.of_user <= USER_CONNECTIONS_MAX && load.of_all + OPERATOR_CONNECTIONS <= places;
}

static void on_connection(void *context, struct MHD_Connection *library, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http_listener *listener = context;
    struct http_clock *clock = http_server_clock(listener->server);
    struct http_connection *connection;
    struct http_clock_load load;

    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (!*socket_context)
            return;
        http_clock_remove(clock, *socket_context);
        free(*socket_context);
        *socket_context = NULL;
        return;
    }
    connection = new_connection(listener, library);
    *socket_context = connection;
    if (!connection) /* no memory: its first request is answered by closing it */
        return;
    load = http_clock_add(clock, connection, http_server_limits(listener->server)->request_ns);
    if (!is_welcome(listener, connection, load))
        (void)shutdown(connection->fd, SHUT_RDWR); /* the library sees the end and closes it */
}

static void *on_target(void *context, const char *target, struct MHD_Connection *library)
{
    struct http_listener *listener = context;

    return http_request_new(listener->server, library, target);
}

/* We decode, once and after splitting; the library is to leave everything as it is. */
static size_t leave_escaped(void *context, struct MHD_Connection *library, char *text)
{
    return strlen(text);
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *library, const char *url,
                                  const char *method, const char *version, const char *bytes,
                                  size_t *size, void **request)
{
    struct http_connection *connection = connection_of(library);
    struct http_request_line line = {.method = method, .version = version};

    if (!connection || !*request)
        return MHD_NO;
    return http_request_step(*request, connection, &line, bytes, size) ? MHD_YES : MHD_NO;
}

static void on_completed(void *context, struct MHD_Connection *library, void **request,
                         enum MHD_RequestTerminationCode code)
{
    struct http_listener *listener = context;
    struct http_connection *connection = connection_of(library);

    if (*request && code == MHD_REQUEST_TERMINATED_TIMEOUT_REACHED)
        http_request_tell_timeout(*request);
    http_request_free(*request);
    *request = NULL;
    if (connection)
        http_clock_set_timeout(http_server_clock(listener->server), connection,
                               http_server_limits(listener->server)->request_ns);
}

static void on_log(void *context, const char *format, va_list args)
{
    char line[256];
    int length = vsnprintf(line, sizeof(line), format, args);

    if (length > 0)
        log_debug("http: %.*s", (int)strcspn(line, "\n"), line);
}

/*
 * The strictest that the library can do, whose scale was turned round: -1 is strictest in 0.9, and
 * the most lenient of all from 1.0 on, where 1 is strict.
 */
static int strictness(void)
{
    return str_starts_with(MHD_get_version(), "0.") ? -1 : 1;
}

static struct MHD_Daemon *start(struct http_listener *listener, int fd)
{
    const struct http_server_limits *limits = http_server_limits(listener->server);
    sigset_t all, before;
    struct MHD_Daemon *library;

    /* Signals are for the loop's thread; the library's thread inherits the mask. */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    library = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL,
        on_request, listener, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_LISTEN_SOCKET,
        fd, MHD_OPTION_CONNECTION_LIMIT, limits->connections_max,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        listener->address.is_unix ? 0 : limits->connections_per_ip_max,
        MHD_OPTION_CONNECTION_TIMEOUT, limits->idle_seconds, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        CONNECTION_BYTES, MHD_OPTION_STRICT_FOR_CLIENT, strictness(), MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, listener, MHD_OPTION_NOTIFY_COMPLETED, on_completed, listener,
        MHD_OPTION_URI_LOG_CALLBACK, on_target, listener, MHD_OPTION_UNESCAPE_CALLBACK,
        leave_escaped, NULL, MHD_OPTION_END);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return library;
}

int http_listener_new(struct http_listener **ret_listener, struct http_server *server,
                      const char *address, struct err *err)
{
    CLEANUP_FREE struct http_listener *listener = calloc(1, sizeof(*listener));
    CLEANUP_CLOSE int fd = -1;
    int rc;

    if (!listener)
        return err_set(err, ENOMEM, "listen on '%s'", address);
    listener->server = server;
    rc = http_listener_parse(&listener->address, address, err);
    if (rc == 0)
        rc = open_socket(&fd, &listener->address, err);
    if (rc < 0)
        return rc;
    listener->port = real_port(fd);
    listener->library = start(listener, fd);
    if (!listener->library)
        return err_say(err, EIO, "libmicrohttpd does not start on '%s'", address);
    fd = -1; /* the library's */
    *ret_listener = TAKE_POINTER(listener);
    return 0;
}

void http_listener_free(struct http_listener *listener)
{
    if (!listener)
        return;
    MHD_stop_daemon(listener->library);
    if (listener->address.is_unix)
        (void)unlink(listener->address.text); /* it may be gone; nobody can connect to it anyway */
    free(listener);
}

uint16_t http_listener_port(const struct http_listener *listener)
{
    return listener->port;
}
