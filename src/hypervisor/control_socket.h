#pragma once
/*
 * control_socket - `<base>/control`, where `vgpu` finds the daemon: the same messages as on a
 * tenant's socket (ipc/message.h), and those that make, list and choose tenants. Everybody on the
 * machine may connect where the daemon is root's; who they are says the kernel, and what they may,
 * the loop. Who sends garbage, or does not read, loses the connection.
 */
#include "utils/attr.h"
#include "utils/err.h"

struct control_socket;
struct node;

/* -EADDRINUSE with words: another daemon answers there. */
int control_socket_new(struct control_socket **ret_socket, struct node *node,
                       struct err *err) MUST_CHECK;
/* NULL is fine. */
void control_socket_free(struct control_socket *socket);
