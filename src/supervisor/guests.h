#pragma once
/*
 * guests - the processes of a tenant as they speak to its supervisor: their descriptors, their rows
 * of the ledger, their channels. What a guest says is bounded and believed only of itself: who
 * sends garbage loses its own connection.
 *
 *   (none) --HELLO: guests_join()--> joined: has a row, FILE, GROUP, CHANNEL... are taken
 *   joined --end of file, garbage: guests_lose()--> lost: not governed, row and duplicates are kept
 *   lost   --HELLO again: guests_join()--> joined, with its row (its connection had broken)
 *   lost   --HELLO anew, GUEST_LOST_NS have passed: it called exec--> left
 *   any    --its pidfd is readable: guests_leave()--> left: its clients are freed, its row reaped
 *
 * A lost guest is not freed at once: it may be alive and come again within a second, and freeing
 * the clients of a living process would end its work.
 */
#include "ipc/ledger.h"
#include "ipc/message.h"
#include "ipc/region.h"
#include "utils/attr.h"
#include "utils/list.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define GUEST_FILES_MAX   64
#define GUEST_CLIENTS_MAX 64
#define GUEST_LOST_NS     UINT64_C(3000000000)

struct controller;

struct guest_file {
    uint64_t id;
    int fd; /* our duplicate; -1: free entry */
};

struct guest_client {
    int fd; /* of a guest_file */
    uint32_t handle;
};

struct guest {
    struct list node;
    pid_t pid;
    char comm[16];
    int socket_fd; /* borrowed from whoever polls it; -1: lost */
    uint64_t lost_ns;
    int pid_fd; /* ours */
    struct ledger_row row;
    bool has_row, is_armed, has_objects;
    bool is_too_much_said; /* that it has more than is governed: once is enough */
    struct guest_file files[GUEST_FILES_MAX];
    uint32_t file_count;
    struct guest_client clients[GUEST_CLIENTS_MAX];
    uint32_t client_count;
    struct message_counters counters;
};

struct guests {
    struct list head;
    uint32_t count;
    struct ledger *ledger;
    int ledger_fd, control_fd; /* borrowed: what WELCOME carries */
    struct region_control *control;
    struct controller *controller;
    uint32_t nonce;
    bool is_arming;
    struct message_counters gone; /* sums of guests that have left */
    uint32_t complaint_count;
    uint32_t told_count, untold_count; /* of processes that came and went, in this span */
    uint64_t telling_since_ns;
};

void guests_init(struct guests *guests, struct region_control *control,
                 struct controller *controller);

/* Whether there is to be a warning about what a process sent: not as often as it likes. */
bool guests_may_complain(struct guests *guests);

/*
 * A guest's HELLO: gives it a row and answers WELCOME. NULL where it cannot (it was answered).
 * Takes the pidfd, of the process that connected; a negative errno: it cannot be had.
 */
struct guest *guests_join(struct guests *guests, int socket_fd, int pid_fd, pid_t pid,
                          bool is_again);

/*
 * One message of a guest, judged already; takes the descriptor (-1: none). Returns -EPROTO where
 * the guest is to be sent away.
 */
int guests_take(struct guests *guests, struct guest *guest, const void *message, int fd) MUST_CHECK;

/* Its connection has ended or is to be ended by the caller. */
void guests_lose(struct guests *guests, struct guest *guest, uint64_t now_ns);

/*
 * The process has ended, or called exec: frees what it had in the driver through our duplicates,
 * its row, and the guest.
 */
void guests_leave(struct guests *guests, struct guest *guest);

/* Lost guests whose time is over leave. Returns whether any is still lost. */
bool guests_expire(struct guests *guests, uint64_t now_ns);

/* Tells all guests whether leases may come. */
void guests_arm(struct guests *guests, bool is_arming);

/* Rows left by a former supervisor whose processes are no more. */
void guests_reap_dead_rows(struct guests *guests);
