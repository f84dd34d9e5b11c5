#include "supervisor/clients.h"

#include "ipc/message.h"
#include "supervisor/connections.h"
#include "supervisor/controller.h"
#include "supervisor/status.h"
#include "supervisor/tenant.h"
#include "utils/log.h"
#include "utils/str.h"

#include <errno.h>
#include <unistd.h>

static int reply(int fd, int status, const char *text)
{
    struct message_reply message = {.status = status};

    message_init(&message, MESSAGE_REPLY, sizeof(message));
    (void)str_format(message.text, sizeof(message.text), "%s", text); /* cut at worst */
    return sock_send(fd, &message, sizeof(message), NULL, 0);
}

static bool may_change(const struct sock_peer *peer)
{
    return peer->uid == geteuid() || peer->uid == 0;
}

static int refuse(int fd)
{
    return reply(fd, -EPERM,
                 "this tenant is kept by the daemon for you: the daemon changes it (vgpu set)");
}

static int on_set(const struct connections_config *config, int fd, const struct sock_peer *peer,
                  const struct message_set *set)
{
    struct err err = {0};
    int rc = tenant_change(config->tenant, set, &err);

    if (rc < 0)
        return reply(fd, rc, err.text);
    tenant_apply(config->tenant, config->control, config->controller);
    log_info("tenant '%s': process %d changed its limits", config->tenant->name, (int)peer->pid);
    rc = tenant_save(config->tenant, config->state_path, &err);
    if (rc < 0)
        (void)err_wrap(&err, "the change holds, but is lost with this supervisor");
    return reply(fd, rc, err.text);
}

int clients_send_status(const struct connections_config *config, int fd)
{
    struct status_source source = {
        .tenant = config->tenant, .guests = config->guests, .controller = config->controller};
    int rc = status_send(fd, &source);

    return rc < 0 ? rc : reply(fd, 0, "");
}

static int on_explain(const struct connections_config *config, int fd)
{
    for (uint32_t i = 0; i < config->tenant->gpu_count; i++) {
        struct message_explained explained;
        int rc;

        if (!config->tenant->quotas[i].is_allowed)
            continue;
        controller_explain(config->controller, i, &explained);
        rc = sock_send(fd, &explained, sizeof(explained), NULL, 0);
        if (rc < 0)
            return rc;
    }
    return reply(fd, 0, "");
}

static int on_end(const struct connections_config *config, int fd, const struct message_end *end)
{
    int rc = config->on_end(config->context, end->is_forced != 0);

    return reply(fd, rc,
                 rc < 0 ? "it has processes: they are ended only if that is asked for" : "");
}

int clients_take(const struct connections_config *config, int fd, const struct sock_peer *peer,
                 const void *message)
{
    const struct message_header *header = message;

    switch (header->type) {
    case MESSAGE_STATUS:
    case MESSAGE_WATCH:
        return clients_send_status(config, fd);
    case MESSAGE_EXPLAIN:
        return on_explain(config, fd);
    case MESSAGE_SET:
        return may_change(peer) ? on_set(config, fd, peer, message) : refuse(fd);
    case MESSAGE_END:
        return may_change(peer) ? on_end(config, fd, message) : refuse(fd);
    default:
        return -EPROTO;
    }
}
