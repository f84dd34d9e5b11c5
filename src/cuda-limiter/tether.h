#pragma once
/*
 * tether - this process's connection to its supervisor. All functions are called with the guest's
 * lock held, and none blocks. Its descriptors lie high and are hidden from the program's own
 * close().
 */
#include "utils/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Receives what has come, and connects anew where there is no connection and it is time to. */
void tether_poll(uint64_t now_ns);

/* The socket, -1 where there is none: then tether_poll() is due at tether_retry_ns(). */
int tether_fd(void);
uint64_t tether_retry_ns(void);

/* Whether WELCOME came on this connection. */
bool tether_is_welcome(void);
/* Whether the supervisor has asked for guards on this connection. */
bool tether_is_armed(void);
/* Says that a guard looks at leases, where the supervisor waits to hear it. */
void tether_answer_arm(void);
bool tether_owes_armed(void);
/* How many connections have ended. */
uint64_t tether_lost_count(void);

/* -EAGAIN where the socket is full, -ENOTCONN without a connection; others where it is lost. */
int tether_send(const void *message, size_t size, const int *fds, size_t fd_count) MUST_CHECK;

/* In a forked child: no connection. */
void tether_forget(void);

/* The program took the number of one of our descriptors. */
void tether_lose_descriptor(int fd);

/* Moves a descriptor that we made to a high number and marks it ours; returns its number. */
int tether_keep(int fd) MUST_CHECK;
