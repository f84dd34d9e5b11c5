#include "hypervisor/http_caller.h"

#include "hypervisor/http_clock.h"
#include "hypervisor/http_guard.h"
#include "hypervisor/http_listener.h"
#include "hypervisor/http_routes.h"
#include "hypervisor/http_server.h"
#include "utils/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/* Its address as text; "": not known. */
static void write_address(const struct http_connection *connection, char *ret_text, socklen_t size)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection->library, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    union {
        const struct sockaddr *any;
        const struct sockaddr_in *four;
        const struct sockaddr_in6 *six;
    } address;
    const char *text = NULL;

    if (info && info->client_addr) {
        address.any = info->client_addr;
        if (address.any->sa_family == AF_INET)
            text = inet_ntop(AF_INET, &address.four->sin_addr, ret_text, size);
        if (address.any->sa_family == AF_INET6)
            text = inet_ntop(AF_INET6, &address.six->sin6_addr, ret_text, size);
    }
    if (!text)
        *ret_text = '\0';
}

/* What the connection says of it. */
static void look_at_peer(struct http_caller *caller, const struct http_connection *connection)
{
    if (connection->listened->is_unix) {
        caller->is_near = true;
        (void)str_format(caller->peer, sizeof(caller->peer), "user %u", connection->uid); /* fits */
        return;
    }
    write_address(connection, caller->peer, sizeof(caller->peer));
    caller->is_near = http_guard_is_loopback(caller->peer);
}

static int use_token(struct http_caller *caller, struct http_server *server, const char *bearer,
                     struct err *err)
{
    int rc = http_server_find_token(server, bearer, caller);

    if (rc == -EKEYEXPIRED)
        return err_say(err, EACCES, "the token has expired");
    if (rc < 0)
        return err_say(err, EACCES, "the token is not known here");
    caller->has_grant = true;
    caller->is_known = true;
    caller->identity = (struct request_caller){.uid = (uid_t)-1, .gid = (gid_t)-1};
    caller->identity.is_operator = caller->grant.role == TOKEN_OPERATOR;
    caller->may_change = caller->identity.is_operator;
    return 0;
}

int http_caller_find(struct http_caller *ret_caller, struct http_server *server,
                     const struct http_connection *connection, const char *bearer, struct err *err)
{
    bool is_user = connection->uid != (uid_t)-1;
    struct http_caller caller = {
        .identity = {.uid = connection->uid, .gid = connection->gid, .pid = connection->pid},
        .is_known = is_user,
        .may_change = is_user,
        .peer_pid = connection->pid,
    };
    int rc = 0;

    look_at_peer(&caller, connection);
    caller.identity.is_operator = is_user && (connection->uid == 0 || connection->uid == geteuid());
    if (bearer)
        rc = use_token(&caller, server, bearer, err);
    if (rc == 0)
        *ret_caller = caller;
    return rc;
}

int http_caller_check(const struct http_caller *caller, const struct http_route *route,
                      struct err *err)
{
    bool is_pod = caller->has_grant && caller->grant.role == TOKEN_POD;

    if (is_pod && route->flags & HTTP_ROUTE_IS_FOR_PODS)
        return 0;
    if (!(route->flags & HTTP_ROUTE_CHANGES)) {
        if (caller->is_near || route->flags & HTTP_ROUTE_IS_OPEN || (caller->is_known && !is_pod))
            return 0;
        return is_pod ? err_say(err, EPERM, "a pod's token is not good for this")
                      : err_say(err, EACCES, "from afar a token is needed");
    }
    if (caller->may_change)
        return 0;
    return caller->is_known ? err_say(err, EPERM, "the token is not an operator's")
                            : err_say(err, EACCES,
                                      "to change something, an operator's token is needed here, or "
                                      "the unix socket");
}
